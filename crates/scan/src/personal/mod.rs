//! Personal data: numbers that belong to a person, and in prose, names and places.
//!
//! Nearly everything personal that has a form has digits or an `@`, so the engine asks here only where those stand
//! ([`forms`]). What has a check digit is checked ([`checks`]); what could be any number counts only beside a word that
//! says what it is ([`context`]). All of it is written by hand instead of as patterns: a number is read once and
//! compared with every form, and the words around it are looked for only when a form fits.
//!
//! Reading prose (ages, addresses, dates) is a second step that runs only when asked for ([`prose`]): it makes
//! mistakes, and little of it makes sense in source code.

mod address;
mod bytes;
mod card;
mod checks;
mod contact;
mod context;
mod crypto;
mod date;
mod document;
mod forms;
mod groups;
mod iban;
mod kinds;
mod names;
mod national;
mod nations;
mod network;
mod phone;
mod place;
mod prose;

pub(crate) use forms::ALL;
pub use kinds::Kind;
pub(crate) use prose::Prose;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Forms that are the same in code, logs and data: quick and precise.
    Forms,
    /// Also what only a reader of prose would call personal.
    Prose,
}

/// A find: what it is, how sure, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    kind: Kind,
    /// 1 to 100.
    score: u8,
    span: std::ops::Range<usize>,
}

/// Whether a text has the check that its kind has; none for kinds without one.
pub(crate) fn is_valid(kind: &str, text: &[u8]) -> Option<bool> {
    match kind {
        "payment-card" => Some(card::is_valid(text)),
        "iban" => Some(checks::iban(text)),
        "ip-address" if text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') => {
            let octets = || text.split(|byte| *byte == b'.');
            let is_octet =
                |octet: &[u8]| !octet.starts_with(b"0") && bytes::number(octet).is_some_and(|value| value < 256);
            Some(octets().count() == 4 && octets().all(is_octet))
        }
        _ => national::is_valid(kind, text),
    }
}

/// Counts what is looked at, so that tests can say how much work a text makes.
#[cfg(test)]
mod work {
    use std::cell::Cell;

    thread_local!(static BYTES: Cell<usize> = const { Cell::new(0) });

    pub(super) fn count(bytes: usize) {
        BYTES.set(BYTES.get() + bytes);
    }

    /// So many bytes were looked at since the last call.
    pub(super) fn taken() -> usize {
        BYTES.take()
    }
}

#[cfg(test)]
mod testing {
    use crate::{Class, Options, REPORT_SCORE, Scanner};

    /// The text is given with each find as `«kind:text»`; exactly those must be found.
    #[track_caller]
    pub(super) fn check(marked: &str) {
        check_at(marked, false);
    }

    #[track_caller]
    pub(super) fn check_prose(marked: &str) {
        check_at(marked, true);
    }

    #[track_caller]
    fn check_at(marked: &str, prose: bool) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (index, part) in marked.split(['«', '»']).enumerate() {
            if index % 2 == 1 {
                let (kind, part) = part.split_once(':').unwrap();
                expected.push((kind.to_owned(), part.to_owned()));
                text.push_str(part);
            } else {
                text.push_str(part);
            }
        }
        let scanner = Scanner::new(Options { classes: vec![Class::Personal], prose, ..Options::default() });
        let found: Vec<_> = scanner
            .scan_str(&text)
            .into_iter()
            .filter(|found| found.score >= REPORT_SCORE)
            .map(|found| (found.kind.to_owned(), text[found.span].to_owned()))
            .collect();
        assert_eq!(found, expected, "in {text:?}");
    }
}

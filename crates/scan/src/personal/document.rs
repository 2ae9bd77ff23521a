//! Numbers without a form of their own, beside the name of the paper they are printed on.

use super::bytes::{at, before, number, part, run_end};
use super::context::is_before;
use super::{Found, Kind};

/// The name stands just before: `passport number is 123456789`.
const LABEL_BYTES: usize = 40;

struct Document {
    kind: Kind,
    words: &'static [&'static str],
    /// Letters and digits.
    lengths: std::ops::RangeInclusive<usize>,
    digits_min: usize,
    may_have_hyphens: bool,
}

const DOCUMENTS: &[Document] = &[
    Document {
        kind: Kind::Passport,
        words: &["passport", "passeport", "reisepass", "pasaporte", "passaporto", "paspoort"],
        lengths: 6..=10,
        digits_min: 5,
        may_have_hyphens: false,
    },
    Document {
        kind: Kind::DriverLicence,
        words: &[
            "driver license",
            "driver licence",
            "driver's license",
            "driver's licence",
            "drivers license",
            "drivers licence",
            "driving license",
            "driving licence",
            "driver’s license",
            "driver_license",
            "dl number",
            "license number",
            "licence number",
            "führerschein",
            "permis de conduire",
            "licencia de conducir",
            "patente di guida",
            "rijbewijs",
        ],
        lengths: 5..=18,
        digits_min: 4,
        may_have_hyphens: true,
    },
    Document {
        kind: Kind::BankAccount,
        words: &[
            "account number",
            "account no",
            "acct",
            "bank account",
            "account #",
            "kontonummer",
            "checking account",
            "savings account",
        ],
        lengths: 8..=17,
        digits_min: 8,
        may_have_hyphens: false,
    },
];

/// The number whose first word with a digit is this.
pub(super) fn find(text: &[u8], start: usize, end: usize) -> Option<Found> {
    if !matches!(before(text, start), b' ' | b':' | b'#' | b'=' | b'"' | b'\'' | b'\t' | b'(' | b'\n' | b'>') {
        return None;
    }
    let hyphened = run_end(text, start, 24, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let plain = Word::of(text, start, end);
    let other = (hyphened > end).then(|| Word::of(text, start, hyphened));
    DOCUMENTS.iter().find_map(|document| {
        let word = other.as_ref().filter(|_| document.may_have_hyphens).unwrap_or(&plain);
        let is_form = word.is_number && document.lengths.contains(&word.signs) && word.digits >= document.digits_min;
        (is_form && is_before(text, start, LABEL_BYTES, document.words)).then_some(Found {
            kind: document.kind,
            score: 70,
            span: start..word.end,
        })
    })
}

/// A word of digits and capitals.
struct Word {
    end: usize,
    signs: usize,
    digits: usize,
    /// Whether it may be a document's number.
    is_number: bool,
}

impl Word {
    fn of(text: &[u8], start: usize, end: usize) -> Self {
        let word = part(text, start..end);
        let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
        let signs = digits + word.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        let is_number = !word.iter().any(u8::is_ascii_lowercase)
            && !is_date(word)
            && !matches!(at(text, end), b'.' | b'-' | b'/' | b'_' | b'(' if at(text, end + 1).is_ascii_alphanumeric());
        Self { end, signs, digits, is_number }
    }
}

/// `2020-01-02`: the day it was issued.
fn is_date(word: &[u8]) -> bool {
    word.len() == 10 && at(word, 4) == b'-' && number(part(word, 0..4)).is_some_and(|year| (1900..2100).contains(&year))
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check;

    #[test]
    fn finds_numbers_beside_their_document() {
        check("my passport number is «passport:C03005988»");
        check("Passport: «passport:912803456»");
        check("my driver's license number is «driver-licence:2270-66-1551»");
        check("driving licence «driver-licence:U62928788557186»");
        check("account number: «bank-account:945456787654»");
    }

    #[test]
    fn leaves_numbers_beside_nothing() {
        check("C03005988 and 2270-66-1551 and 945456787654");
        check("passport 0.6.0, passport-local@1234567");
        check("driver license issued 2020-01-02");
    }
}

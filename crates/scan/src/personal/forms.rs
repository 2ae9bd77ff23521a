//! The detectors: which places each form is looked for at.

use super::bytes::{at, before, part, run_end};
use super::groups::Groups;
use super::{Depth, Found, card, contact, crypto, date, document, iban, national, network, phone, place};
use crate::detector::{Detector, Hint, Hit, Look, Spot};
use crate::sighting::Class;

/// The shortest form of digits alone is an address such as 10.1.2.3.
const DIGITS_MIN: u8 = 5;

/// Every detector of personal data that needs no prose.
pub(crate) const ALL: &[&[Detector]] = &[&[
    personal("email", &[Hint::At], email),
    personal("number", &[Hint::Digits(DIGITS_MIN)], number),
    personal("identifier", &[Hint::Word { digits: 4, bytes: 5 }], word),
    personal("crypto-address", &[Hint::Exact(&["bc1q", "bc1p", "ltc1q"])], wallet),
    personal("network-address", &[Hint::Group], address),
    personal("identifier", &[Hint::Word { digits: 2, bytes: 4 }], spaced),
    personal(
        "date-of-birth",
        &[Hint::AnyCase(&["birth", "born", "geboren", "naissance"]), Hint::Exact(&["DOB", "dob:"])],
        birth,
    ),
]];

const fn personal(kind: &'static str, hints: &'static [Hint], parse: fn(&Spot<'_>, &mut dyn FnMut(Hit))) -> Detector {
    Detector { class: Class::Personal, kind, hints, sieve: None, look: Look::Parse(parse) }
}

impl From<Found> for Hit {
    fn from(found: Found) -> Self {
        Self { kind: found.kind.name(), score: found.score, span: found.span }
    }
}

fn email(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    if let Some(found) = contact::find_email(spot.text, spot.at.start) {
        report(found.into());
    }
}

/// A word of digits only: the most telling form first.
fn number(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    let (text, start, end) = (spot.text, spot.at.start, spot.at.end);
    if before(text, start).is_ascii_alphanumeric() {
        return;
    }
    if let Some(found) = phone::country_before(text, start).and_then(|first| phone::find(text, first)) {
        return report(found.into());
    }
    // Digits with a letter after them are a word, but the number they end may be a telephone's: `555-0123x45`.
    let is_word = at(text, end).is_ascii_alphabetic();
    let groups = Groups::read(text, start);
    let found = if is_word {
        phone::find(text, start)
    } else {
        network::find_v4(text, &groups, 0)
            .or_else(|| card::find(text, &groups, 0))
            .or_else(|| national::find(text, &groups, 0))
            .or_else(|| national::find_hyphened(text, start, end))
            .or_else(|| national::find_spaced(text, start))
            .or_else(|| iban_before(text, start))
            .or_else(|| document::find(text, start, end))
            .or_else(|| if date::is_numeric(text, start, end) { None } else { phone::find(text, start) })
            .or_else(|| place::find_coordinates(text, start, end))
    };
    if let Some(found) = found {
        report(found.into());
    }
}

/// The account number in groups of four that these digits are part of; its country stands some groups before.
fn iban_before(text: &[u8], start: usize) -> Option<Found> {
    (1..=3).filter_map(|groups| start.checked_sub(groups * 5)).find_map(|first| {
        let is_grouped = matches!(at(text, first + 4), b' ' | b'-') && !before(text, first).is_ascii_alphanumeric();
        if is_grouped { iban::find(text, first) } else { None }
    })
}

/// A word of letters and digits.
fn word(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    let (text, start, end) = (spot.text, spot.at.start, spot.at.end);
    let length = end - start;
    let within = |least: usize, most: usize| (least..=most).contains(&length);
    let found = Some(())
        .filter(|()| within(15, 34))
        .and_then(|()| iban::find(text, start))
        .or_else(|| if within(8, 18) { national::find_mixed(text, start, end) } else { None })
        .or_else(|| if within(26, 42) { crypto::find(text, start, end) } else { None })
        .or_else(|| if within(5, 18) { document::find(text, start, end) } else { None });
    if let Some(found) = found {
        report(found.into());
    }
}

/// A wallet's address that starts with its network.
fn wallet(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    const BYTES_MAX: usize = 90;
    let (text, start) = (spot.text, spot.at.start);
    let end = run_end(text, start, BYTES_MAX, |byte| byte.is_ascii_alphanumeric());
    if before(text, start).is_ascii_alphanumeric() {
        return;
    }
    if let Some(found) = crypto::find(text, start, end) {
        report(found.into());
    }
}

/// Hexadecimal groups around this word.
fn address(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    if let Some(found) = network::find_colons(spot.text, spot.at.start, spot.at.end) {
        report(found.into());
    }
}

/// What starts with two letters and two digits, in groups.
fn spaced(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    let (text, start, end) = (spot.text, spot.at.start, spot.at.end);
    if end - start == 4
        && let Some(found) = national::find_mixed(text, start, end)
    {
        report(found.into());
    }
}

/// How far a birthday may stand from the word for it.
const BIRTHDAY_BYTES: usize = 48;

/// The date that follows a word for being born.
fn birth(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    let (text, from) = (spot.text, spot.at.end);
    let end = text.len().min(from + BIRTHDAY_BYTES);
    let mut index = from;
    while let Some(offset) = part(text, index..end).iter().position(u8::is_ascii_digit) {
        let start = index + offset;
        let word_end = run_end(text, start, BIRTHDAY_BYTES, |byte| byte.is_ascii_alphanumeric());
        if let Some(found) = date::find(text, start, word_end, Depth::Forms) {
            return report(found.into());
        }
        index = word_end;
    }
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check;
    use crate::personal::work;
    use crate::{Class, Options, Scanner};

    #[test]
    fn finds_each_wherever_it_stands() {
        for padding in 0..130 {
            let spaces = " ".repeat(padding);
            check(&format!("{spaces}«us-ssn:536-90-4399» «email:a@example.org»\n«us-ssn:536-90-4398»"));
        }
    }

    #[test]
    fn finds_what_stands_at_both_ends() {
        check("«email:jane@example.org»");
        check("«us-ssn:536-90-4399»");
        check("«iban:GB82 WEST 1234 5698 7654 32»");
    }

    #[test]
    fn numbers_in_a_row_cost_what_numbers_cost() {
        for hostile in [
            "4111 1111 1111 1111 ",
            "4111 ",
            "1",
            "1 ",
            "1.",
            "1-",
            "0 12 ",
            "(030) 12",
            "+49 30 ",
            "a1:",
            "1a-",
            "AB12 ",
            "AB12",
            "a@",
            "@",
            "a.b@c.",
            "0x1",
            "DE89 3704 ",
            "12.345678,",
            "2020-01-02 ",
            "::1",
        ] {
            let text = hostile.repeat((16 << 10) / hostile.len());
            work::taken();
            let scanner = Scanner::new(Options { classes: vec![Class::Personal], prose: true, decode: false });
            let finds = scanner.scan(text.as_bytes()).len();
            let work = work::taken();
            assert!(work / text.len() <= WORK_PER_BYTE, "`{hostile}`: {} a byte, {finds} finds", work / text.len());
        }
    }

    /// Bytes that may be looked at for words, groups and telephones, for each byte of the text.
    const WORK_PER_BYTE: usize = 400;
}

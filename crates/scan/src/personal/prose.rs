//! What only prose says: names, ages, streets, postal codes, dates, web addresses. A [`Feature`] that looks at every digit and
//! point of a text; too slow and too eager for source code, so that it runs only where prose is expected.

use super::bytes::{at, before, number, part, run_end, run_start};
use super::date::clock_end;
use super::{Depth, Found, Kind, address, contact, date, names, place};
use crate::detector::{Feature, Hit, Text};
use crate::sighting::Class;

/// A word with a digit that is longer is encoded data or a digest.
const WORD_BYTES_MAX: usize = 90;

/// Reads prose.
pub(crate) struct Prose;

impl Feature for Prose {
    fn class(&self) -> Class {
        Class::Personal
    }

    fn look(&self, text: &Text<'_>, report: &mut dyn FnMut(Hit)) {
        let text = text.bytes;
        names::find(text, &mut |found| report(found.into()));
        let mut report = |found: Option<Found>| found.map(|found| report(found.into())).is_some();
        memchr::memmem::find_iter(text, b"://").for_each(|colon| _ = report(contact::find_url(text, colon)));
        memchr::memchr_iter(b'.', text).for_each(|dot| _ = report(contact::find_domain(text, dot)));
        memchr::memmem::find_iter(text, b"day").for_each(|day| _ = report(date::find_weekday(text, day)));
        let is_word = |byte: u8| byte.is_ascii_alphanumeric();
        let mut index = 0;
        while let Some(offset) = part(text, index..text.len()).iter().position(u8::is_ascii_digit) {
            let digit = index + offset;
            let start = run_start(text, digit, WORD_BYTES_MAX, is_word);
            let end = run_end(text, digit, WORD_BYTES_MAX, is_word);
            index = end;
            if end - start >= WORD_BYTES_MAX {
                index = run_end(text, end, usize::MAX, is_word);
                continue;
            }
            if let Some(found) = look(text, start, end) {
                index = found.span.end.max(end);
                report(Some(found));
            }
        }
    }
}

/// Looks at a word with a digit in it.
fn look(text: &[u8], start: usize, end: usize) -> Option<Found> {
    Some(())
        .filter(|()| at(text, start).is_ascii_digit())
        .and_then(|()| date::find(text, start, end, Depth::Prose))
        .or_else(|| place::find_degrees(text, start, end))
        .or_else(|| place::find_postcode(text, start, end))
        .or_else(|| place::find_unit(text, start, end))
        .or_else(|| address::find(text, start, end))
        .or_else(|| place::find_street(text, start, end))
        .or_else(|| place::find_bare_postcode(text, start, end))
        .or_else(|| find_age(text, start, end))
        .or_else(|| find_time(text, start))
}

/// The oldest person on record was 122.
const AGE_MAX: u32 = 122;

/// How old somebody is, where these digits start: `79 year old`, `turned 60`, `aged 12`.
fn find_age(text: &[u8], start: usize, end: usize) -> Option<Found> {
    const AFTER: &[&[u8]] = &[
        b" year old",
        b" years old",
        b"-year-old",
        b" year-old",
        b" years-old",
        b" y/o",
        b" yo ",
        b" yr old",
        b" yrs old",
        b" years of age",
        b"-years-old",
        b" years young",
        b" y.o",
    ];
    const BEFORE: &[&[u8]] = &[
        b"turned", b"turn", b"turning", b"turns", b"aged", b"age", b"age:", b"age of", b"old:", b"was", b"am", b"i'm",
        b"is",
    ];
    let digits = run_end(text, start, 4, |byte| byte.is_ascii_digit());
    let age = number(part(text, start..digits)).filter(|age| (1..=AGE_MAX).contains(age) && digits - start <= 3)?;
    if before(text, start).is_ascii_alphanumeric() || matches!(before(text, start), b'.' | b'$' | b'#' | b'-') {
        return None;
    }
    let rest = part(text, digits..text.len().min(digits + 16)).to_ascii_lowercase();
    let found = |score| Some(Found { kind: Kind::Age, score, span: start..digits });
    if AFTER.iter().any(|after| rest.starts_with(after)) {
        return found(85);
    }
    if digits != end {
        return None;
    }
    let from = run_start(text, start.saturating_sub(1), 12, |byte| {
        byte.is_ascii_alphabetic() || matches!(byte, b':' | b'\'' | b' ')
    });
    let words = part(text, from..start.saturating_sub(1)).to_ascii_lowercase();
    let said = BEFORE.iter().find(|word| {
        words.ends_with(word)
            && !words
                .get(..words.len() - word.len())
                .is_some_and(|rest| rest.last().is_some_and(u8::is_ascii_alphabetic))
    })?;
    // What is counted or measured is no age.
    let next = at(text, end);
    let ends = matches!(next, b'.' | b',' | b'!' | b'?' | b'\n' | b';' | b')' | b'"' | 0)
        && !(next == b'.' && at(text, end + 1).is_ascii_digit());
    let is_adult_or_child = age >= 5;
    match *said {
        b"turned" | b"turn" | b"turning" | b"turns" | b"aged" | b"age" | b"age:" | b"age of" => {
            found(75).filter(|_| ends || next == b' ')
        }
        _ => found(55).filter(|_| ends && is_adult_or_child),
    }
}

/// A time of day that starts with these digits.
fn find_time(text: &[u8], start: usize) -> Option<Found> {
    let is_start = !before(text, start).is_ascii_alphanumeric() && !matches!(before(text, start), b':' | b'.' | b'-');
    let last = clock_end(text, start).filter(|_| is_start)?;
    // Two numbers with a colon are also a proportion or a verse; a time says so.
    let says_so = last - start >= 7 || matches!(before(text, last), b'm' | b'M');
    (says_so && !at(text, last).is_ascii_alphanumeric() && at(text, last) != b':').then_some(Found {
        kind: Kind::Date,
        score: 55,
        span: start..last,
    })
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check_prose;

    #[test]
    fn finds_ages() {
        check_prose("This «age:79» year old female, a «age:5»-year-old and I'm «age:31» y/o.");
        check_prose("I just turned «age:47». Retired at the age of «age:66»");
        check_prose("when he was «age:78».");
        check_prose("I am 20 minutes away; chapter 12. It was 300. 12 years ago");
    }
}

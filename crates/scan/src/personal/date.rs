//! Dates: birthdays everywhere, any date and time in prose.

use super::bytes::{at, before, number, part, run_end, run_start};
use super::context::{is_before, is_near};
use super::{Depth, Found, Kind};

const BORN: &[&str] = &[
    "born",
    "birth",
    "dob",
    "birthday",
    "birthdate",
    "date_of_birth",
    "d.o.b",
    "bday",
    "geboren",
    "geburtsdatum",
    "né le",
    "née le",
    "naissance",
    "nacimiento",
    "nacido",
    "nacida",
    "nascimento",
    "nascita",
    "geboortedatum",
];

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The date that starts with these digits, or has them in it.
pub(super) fn find(text: &[u8], start: usize, end: usize, depth: Depth) -> Option<Found> {
    let mut span = numeric(text, start, end).or_else(|| named(text, start, end)).or_else(|| {
        let year = bare_year(text, start, end)?;
        (depth == Depth::Prose).then_some(year)
    })?;
    // A birthday has its name on it; the time of a record has not.
    if is_before(text, span.start, 48, BORN) {
        return Some(Found { kind: Kind::DateOfBirth, score: 85, span });
    }
    if depth == Depth::Forms {
        return None;
    }
    span.end = time_end(text, span.end);
    Some(Found { kind: Kind::Date, score: 60, span })
}

/// Whether a date in digits starts here: never a telephone number.
pub(super) fn is_numeric(text: &[u8], start: usize, end: usize) -> bool {
    numeric(text, start, end).is_some()
}

fn is_year(digits: &[u8]) -> bool {
    digits.len() == 4 && number(digits).is_some_and(|year| (1900..=2099).contains(&year))
}

fn in_range(digits: &[u8], largest: u32) -> bool {
    digits.len() <= 2 && number(digits).is_some_and(|value| (1..=largest).contains(&value))
}

/// `2000-04-16`, `2/8/1935`, `16.04.2000`, `04/16/00`.
fn numeric(text: &[u8], start: usize, end: usize) -> Option<std::ops::Range<usize>> {
    let separator = at(text, end);
    if !matches!(separator, b'-' | b'/' | b'.') || matches!(before(text, start), b'.' | b'-' | b'/' | b'_') {
        return None;
    }
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let second = end + 1..run_end(text, end + 1, 5, is_digit);
    if at(text, second.end) != separator {
        return None;
    }
    let third = second.end + 1..run_end(text, second.end + 1, 5, is_digit);
    let next = at(text, third.end);
    let goes_on = (next.is_ascii_alphanumeric() && next != b'T')
        || next == b'_'
        || (matches!(next, b'-' | b'/' | b'.') && at(text, third.end + 1).is_ascii_alphanumeric());
    let (first, second, last) = (part(text, start..end), part(text, second), part(text, third.clone()));
    let is_date = if is_year(first) {
        in_range(second, 12) && in_range(last, 31)
    } else {
        let is_day_and_month =
            (in_range(first, 31) && in_range(second, 12)) || (in_range(first, 12) && in_range(second, 31));
        // Two digits of a year are enough only with slashes: the rest are versions.
        let has_year = is_year(last) || (separator == b'/' && last.len() == 2);
        is_day_and_month && has_year
    };
    (is_date && !goes_on).then_some(start..third.end)
}

/// `4 July 1976`, `July 4, 1976`, `July 1976`, `4th of July`, with the month in full or its first three letters.
fn named(text: &[u8], start: usize, end: usize) -> Option<std::ops::Range<usize>> {
    let digits_end = run_end(text, start, 5, |byte| byte.is_ascii_digit());
    let digits = part(text, start..digits_end);
    if digits_end != end && !part(text, digits_end..end).iter().all(|byte| b"sthndrSTHNDR".contains(byte)) {
        return None;
    }
    let is_year_here = is_year(digits);
    if !is_year_here && !in_range(digits, 31) {
        return None;
    }
    if let Some(month) = month_before(text, start) {
        // The day may be followed by the year.
        let mut last = end;
        if !is_year_here {
            let from = run_end(text, end, 2, |byte| byte == b',' || byte == b' ');
            let to = run_end(text, from, 5, |byte| byte.is_ascii_digit());
            if from > end && is_year(part(text, from..to)) && !at(text, to).is_ascii_alphanumeric() {
                last = to;
            }
        }
        return Some(month..last);
    }
    if is_year_here {
        return None;
    }
    let mut from = run_end(text, end, 2, |byte| matches!(byte, b' ' | b'-' | b'.'));
    if part(text, from..from + 3).eq_ignore_ascii_case(b"of ") {
        from += 3;
    }
    let word = run_end(text, from, 10, |byte| byte.is_ascii_alphabetic());
    if from == end || !is_month(part(text, from..word)) {
        return None;
    }
    let year = run_end(text, word, 3, |byte| matches!(byte, b' ' | b'-' | b'.' | b','));
    let to = run_end(text, year, 5, |byte| byte.is_ascii_digit());
    Some(if is_year(part(text, year..to)) && !at(text, to).is_ascii_alphanumeric() { start..to } else { start..word })
}

fn is_month(word: &[u8]) -> bool {
    let is_name = |month: &&str| word.eq_ignore_ascii_case(month.as_bytes());
    let is_short = |month: &&str| word.len() == 3 && part(month.as_bytes(), 0..3).eq_ignore_ascii_case(word);
    // `may` and `march` are verbs as well; the month has a capital.
    word.first().is_some_and(u8::is_ascii_uppercase) && MONTHS.iter().any(|month| is_name(month) || is_short(month))
        || word.eq_ignore_ascii_case(b"sept") && word.first().is_some_and(u8::is_ascii_uppercase)
}

fn month_before(text: &[u8], start: usize) -> Option<usize> {
    let gap = run_start(text, start, 2, |byte| matches!(byte, b' ' | b'.' | b','));
    let word = run_start(text, gap, 10, |byte| byte.is_ascii_alphabetic());
    (gap < start && is_month(part(text, word..gap))).then_some(word)
}

/// `Monday`, whose last letters stand here.
pub(super) fn find_weekday(text: &[u8], day: usize) -> Option<Found> {
    const DAYS: &[&[u8]] = &[b"Mon", b"Tues", b"Wednes", b"Thurs", b"Fri", b"Satur", b"Sun"];
    let start = run_start(text, day, 8, |byte| byte.is_ascii_alphabetic());
    let end = day + 3;
    let is_day = DAYS.contains(&part(text, start..day)) && !at(text, end).is_ascii_alphanumeric();
    is_day.then_some(Found { kind: Kind::Date, score: 55, span: start..end })
}

/// A year that a sentence speaks of: `in 1977`, `a 2017 film`, `born 1980`.
fn bare_year(text: &[u8], start: usize, end: usize) -> Option<std::ops::Range<usize>> {
    const BEFORE: &[&[u8]] = &[
        b"in", b"since", b"of", b"by", b"from", b"during", b"until", b"till", b"a", b"the", b"year", b"before",
        b"after", b"around", b"early", b"late", b"circa", b"about", b"on", b"and", b"to", b"summer", b"winter",
        b"spring", b"autumn", b"fall",
    ];
    let word_start = run_start(text, start.saturating_sub(1), 10, |byte| byte.is_ascii_alphabetic());
    let word = part(text, word_start..start.saturating_sub(1)).to_ascii_lowercase();
    let is_said = before(text, start) == b' ' && BEFORE.contains(&word.as_slice());
    let next = at(text, end);
    let goes_on = next.is_ascii_alphanumeric()
        || (matches!(next, b'.' | b'-' | b'/' | b',') && at(text, end + 1).is_ascii_digit());
    let is_bracketed = before(text, start) == b'(' && at(text, end) == b')';
    (is_year(part(text, start..end)) && !goes_on && (is_said || is_bracketed || is_near(text, start, start, BORN)))
        .then_some(start..end)
}

/// ` 11:34:35`, `T11:34Z`, ` 3:04 pm` after a date.
fn time_end(text: &[u8], end: usize) -> usize {
    let from = run_end(text, end, 2, |byte| matches!(byte, b' ' | b'T' | b','));
    clock_end(text, from).filter(|_| from > end).unwrap_or(end)
}

/// Where a time of day that starts at `start` ends.
pub(super) fn clock_end(text: &[u8], start: usize) -> Option<usize> {
    let pair = |from: usize| run_end(text, from, 3, |byte| byte.is_ascii_digit());
    let hour = pair(start);
    if hour == start || hour - start > 2 || at(text, hour) != b':' || pair(hour + 1) != hour + 3 {
        return None;
    }
    let mut end = hour + 3;
    if at(text, end) == b':' && pair(end + 1) == end + 3 {
        end += 3;
        if at(text, end) == b'.' {
            end = run_end(text, end + 1, 9, |byte| byte.is_ascii_digit());
        }
    }
    let gap = run_end(text, end, 1, |byte| byte == b' ');
    let half = part(text, gap..gap + 2);
    if half.eq_ignore_ascii_case(b"am") || half.eq_ignore_ascii_case(b"pm") {
        end = gap + 2;
    } else if at(text, end) == b'Z' {
        end += 1;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::{check, check_prose};

    #[test]
    fn finds_birthdays_everywhere() {
        check("born on «date-of-birth:2/8/1935»");
        check("\"date_of_birth\": \"«date-of-birth:1980-04-16»\"");
        check("DOB «date-of-birth:4 July 1976», born «date-of-birth:July 4, 1976»");
        check("released on 2/8/1935 or 1980-04-16");
    }

    #[test]
    fn finds_dates_in_prose() {
        check_prose("On «date:2007-01-17 23:08:55», the");
        check_prose("due «date:March 3rd, 2021» and «date:3rd of May»");
        check_prose("founded in «date:1977». A «date:2017» film, 1977 pieces, version 2.0.1999");
        check_prose("you may 3 march 4 on «date:Monday» morning, daily or Someday");
    }
}

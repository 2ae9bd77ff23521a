//! Whole postal addresses in prose: a house number, then words with capitals, numbers and lines, up to a postal code, a
//! state or a country. Something in it must say that this is an address: a flat, a word for a street, or a state.

use super::bytes::{at, before, part, run_end};
use super::nations::COUNTRIES;
use super::place::{is_state, is_street, is_unit_word};
use super::{Found, Kind};

/// Four lines of an envelope.
const ADDRESS_BYTES_MAX: usize = 160;
const WORDS_MAX: usize = 18;

/// Small words within names of streets and towns.
const PARTICLES: &[&[u8]] = &[
    b"de",
    b"la",
    b"le",
    b"du",
    b"des",
    b"da",
    b"do",
    b"dos",
    b"del",
    b"di",
    b"van",
    b"der",
    b"den",
    b"y",
    b"el",
    b"en",
    b"sur",
    b"am",
    b"an",
    b"der",
    b"u",
    b"ul",
    b"of",
    b"nan",
    b"terrasse",
    b"vei",
    b"gate",
    b"och",
    b"og",
];
const SHIPS: &[&[u8]] = &[b"USNS", b"USS", b"USNV", b"USCGC"];

/// The address whose first number is this.
pub(super) fn find(text: &[u8], start: usize, end: usize) -> Option<Found> {
    let is_house = part(text, start..end).iter().all(u8::is_ascii_digit) && (1..=5).contains(&(end - start));
    if !is_house || !matches!(before(text, start), 0 | b' ' | b'\n' | b'"' | b':' | b'>' | b'(' | b'\t') {
        return None;
    }
    let limit = text.len().min(start + ADDRESS_BYTES_MAX);
    let (mut index, mut last, mut is_address, mut words, mut numbers) = (end, None, false, 0, 1);
    let mut after_unit = false;
    let mut after_state = false;
    while index < limit && words < WORDS_MAX {
        let (word, is_line) = gap(text, index)?;
        let word_end = run_end(text, word, 32, |byte| {
            byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'-' | b'\'')
        });
        let written = part(text, word..word_end);
        if written.is_empty() {
            break;
        }
        words += 1;
        if written.iter().all(u8::is_ascii_digit) {
            numbers += 1;
            // A code ends the address, unless more of the same follows.
            if after_unit {
                after_unit = false;
            } else if numbers >= 2 && (4..=6).contains(&written.len()) && words >= 3 {
                last = Some(word_end);
                break;
            } else if written.len() > 5 {
                break;
            }
            index = word_end;
            continue;
        }
        after_unit = is_unit_word(written);
        is_address |= after_unit || (words > 1 && is_street(written));
        if is_state(written) && words > 2 {
            is_address = true;
            after_state = true;
            last = Some(word_end);
        } else if after_state && !is_country(text, word) {
            break;
        }
        if let Some(country) = country_end(text, word) {
            last = Some(country);
            after_state = true;
            index = country;
            continue;
        }
        let is_name = written.first().is_some_and(|byte| byte.is_ascii_uppercase() || *byte >= 0x80);
        if !is_name && (is_line || !PARTICLES.contains(&written)) {
            break;
        }
        index = if at(text, word_end) == b'.' && (written.len() <= 4 || after_unit) { word_end + 1 } else { word_end };
    }
    let last = last.filter(|_| is_address && words >= 3)?;
    Some(Found { kind: Kind::StreetAddress, score: 72, span: start..last })
}

/// Where the next word starts, and whether it stands on another line; none where the sentence ends.
fn gap(text: &[u8], index: usize) -> Option<(usize, bool)> {
    let next = run_end(text, index, 6, |byte| matches!(byte, b' ' | b',' | b'\n'));
    let is_line = part(text, index..next).contains(&b'\n');
    let is_end = next == index || part(text, index..next).windows(2).any(|pair| pair == b"\n\n");
    (!is_end).then_some((next, is_line))
}

fn is_country(text: &[u8], start: usize) -> bool {
    country_end(text, start).is_some()
}

fn country_end(text: &[u8], start: usize) -> Option<usize> {
    let one = run_end(text, start, 24, |byte| byte.is_ascii_alphabetic());
    let two = run_end(text, one + 1, 24, |byte| byte.is_ascii_alphabetic());
    [two, one].into_iter().find(|end| {
        let name = std::str::from_utf8(part(text, start..*end)).unwrap_or_default();
        COUNTRIES.binary_search(&name).is_ok()
    })
}

/// A ship's post: `USNS Bergman`, `FPO AP 93757`; its first letter stands here.
pub(super) fn find_ship(text: &[u8], start: usize, end: usize) -> Option<usize> {
    if !SHIPS.contains(&part(text, start..end)) || at(text, end) != b' ' {
        return None;
    }
    let name =
        run_end(text, end + 1, 32, |byte| byte.is_ascii_alphabetic() || byte >= 0x80 || matches!(byte, b' ' | b'-'));
    let line = run_end(text, name, 2, |byte| matches!(byte, b'\n' | b' '));
    let state = line + 7;
    let code = run_end(text, state, 6, |byte| byte.is_ascii_digit());
    (part(text, line..line + 4) == b"FPO " && code == state + 5).then_some(code)
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check_prose;

    #[test]
    fn finds_whole_addresses() {
        check_prose("send it to «street-address:0412 Nordbaan 130 Apt. 999\nWestfield, MP 35739». Thanks");
        check_prose("at «street-address:14 Crown Street\n Suite 321\n LONDON\n United Kingdom 75419» today");
        check_prose("Ship to «street-address:USNS Bergman\nFPO AP 93757», please");
    }

    #[test]
    fn leaves_sentences_with_numbers() {
        check_prose("We saw 12 Angry Men, then 400 Blows by Truffaut");
        check_prose("In 5 Days, OK 2 Apples");
    }
}

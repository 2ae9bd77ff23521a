//! Names in prose, by what stands beside them: a title, an introduction, the form of a company; and countries and their
//! people by name. A name with nothing beside it is not found: no list holds all names, and a guess would be wrong in
//! every other sentence.

use super::bytes::{at, before, part, run_end};
use super::nations::{COUNTRIES, PEOPLES};
use super::{Found, Kind, address};

const TITLES: &[&str] = &[
    "Mr",
    "Mrs",
    "Ms",
    "Dr",
    "Miss",
    "Prof",
    "Professor",
    "Mx",
    "Frau",
    "Herr",
    "Madame",
    "Monsieur",
    "Señor",
    "Señora",
];
const COMPANIES: &[&str] = &[
    "Inc",
    "Ltd",
    "LLC",
    "GmbH",
    "Corp",
    "Corporation",
    "PLC",
    "plc",
    "AG",
    "Limited",
    "Holdings",
    "Bancorp",
    "Technologies",
    "Pharmaceuticals",
    "University",
    "Foundation",
    "Group",
    "Partners",
    "Industries",
    "Associates",
];
/// What a sentence says right before a person's name.
const INTRODUCTIONS: &[&str] = &[
    "name is ",
    "named ",
    "Name: ",
    "name: ",
    "I'm ",
    "called ",
    "Dear ",
    "Hi ",
    "Hello ",
    "said ",
    "says ",
    "person's name ",
    "speak to ",
    "signed by ",
    "directed by ",
    "Directed By: ",
    "Contact: ",
    "Sincerely,\n",
    "Regards,\n",
    "wife ",
    "husband ",
    "daughter ",
    "son ",
    "brother ",
    "sister ",
];
/// A name of more words is a headline.
const NAME_WORDS_MAX: usize = 4;
const WORD_BYTES_MAX: usize = 32;

/// Reports names in reading order.
pub(super) fn find(text: &[u8], report: &mut dyn FnMut(Found)) {
    let mut index = 0;
    while index < text.len() {
        if !is_letter(at(text, index)) {
            index += 1;
            continue;
        }
        let end = run_end(text, index, usize::MAX, is_letter);
        index = if end - index > WORD_BYTES_MAX || before(text, index).is_ascii_digit() {
            end
        } else {
            word(text, index, end, report).max(end)
        };
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
}

fn is_capital(text: &[u8], index: usize) -> bool {
    // Capitals beyond ASCII that European names have start with these bytes.
    at(text, index).is_ascii_uppercase() || matches!(at(text, index), 0xc3..=0xc5 | 0xce | 0xd0)
}

/// Looks at one word, and says where to go on.
fn word(text: &[u8], start: usize, end: usize, report: &mut dyn FnMut(Found)) -> usize {
    let written = part(text, start..end);
    let found = |kind, score, span| Found { kind, score, span };
    if let Some(country) = country(text, start) {
        report(found(Kind::Place, 60, start..country));
        return country;
    }
    if is_people(written) {
        report(found(Kind::Group, 60, start..end));
        return end;
    }
    if !is_capital(text, start) {
        return end;
    }
    if let Some(address) = address::find_ship(text, start, end) {
        report(found(Kind::StreetAddress, 75, start..address));
        return address;
    }
    if TITLES.iter().any(|title| title.as_bytes() == written) {
        let title = if at(text, end) == b'.' { end + 1 } else { end };
        let name = name_end(text, title + 1);
        if at(text, title) == b' ' && name > title + 1 {
            report(found(Kind::Title, 70, start..title));
            report(found(Kind::Person, 75, title + 1..name));
            return name;
        }
        return end;
    }
    let name = name_end(text, start);
    if let Some(company) = company_end(text, start, name) {
        report(found(Kind::Organization, 65, start..company));
        return company;
    }
    let lead = part(text, start.saturating_sub(16)..start);
    if INTRODUCTIONS.iter().any(|words| lead.ends_with(words.as_bytes())) && end - start >= 2 {
        report(found(Kind::Person, 60, start..name));
        return name;
    }
    end
}

/// Where up to four words with capitals that start at `start` end; `J.` is one of them.
fn name_end(text: &[u8], start: usize) -> usize {
    let (mut from, mut end) = (start, start);
    for _ in 0..NAME_WORDS_MAX {
        if !is_capital(text, from) {
            break;
        }
        let word = run_end(text, from, WORD_BYTES_MAX, |byte| is_letter(byte) || byte == b'-');
        end = word;
        let has_point = word - from == 1 && at(text, word) == b'.';
        from = if has_point { word + 1 } else { word };
        if at(text, from) != b' ' {
            break;
        }
        from += 1;
    }
    end
}

/// Where the name of a company that starts here ends, if one of its words says that it is one.
fn company_end(text: &[u8], start: usize, end: usize) -> Option<usize> {
    let name = part(text, start..end);
    let last = name.iter().rposition(|byte| *byte == b' ')?;
    let is_company = COMPANIES.iter().any(|form| form.as_bytes() == part(name, last + 1..name.len()));
    // An abbreviation owns its point.
    let is_short = name.ends_with(b"Inc") || name.ends_with(b"Ltd") || name.ends_with(b"Corp");
    is_company.then_some(if is_short && at(text, end) == b'.' { end + 1 } else { end })
}

fn country(text: &[u8], start: usize) -> Option<usize> {
    if !at(text, start).is_ascii_uppercase() {
        return None;
    }
    let mut longest = None;
    let mut end = start;
    for _ in 0..3 {
        end = run_end(text, end, WORD_BYTES_MAX, is_letter);
        let name = std::str::from_utf8(part(text, start..end)).ok()?;
        if COUNTRIES.binary_search(&name).is_ok() {
            longest = Some(end);
        }
        if at(text, end) != b' ' {
            break;
        }
        end += 1;
    }
    longest
}

fn is_people(word: &[u8]) -> bool {
    let Ok(word) = std::str::from_utf8(word) else { return false };
    if !word.starts_with(|first: char| first.is_ascii_uppercase()) {
        return false;
    }
    let is_known = |word: &str| PEOPLES.binary_search(&word).is_ok();
    is_known(word) || word.strip_suffix('s').is_some_and(is_known)
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check_prose;

    #[test]
    fn finds_names_beside_what_says_so() {
        check_prose("Call «title:Mr.» «person:Fábio Barros» or «title:Dr» «person:Jane A. Smith», please");
        check_prose("My name is «person:Aantje Mourik» and I'm «person:Leif».");
        check_prose("Dear «person:Ana»,");
        check_prose("I work for «organization:Aunt Bertha Inc» in «place:South Africa» with «group:Germans».");
        check_prose("The «group:Polish» office in «place:New Zealand».");
    }

    #[test]
    fn leaves_other_words() {
        check_prose("The Quick Brown Fox; named after it; polish the desk; Dr. no");
        check_prose("fn main() { let Result = Some(Value); }");
    }
}

//! Where somebody is: coordinates everywhere; postal codes beside their name.

use super::bytes::{at, before, number, part, run_end, run_start};
use super::context::is_before;
use super::{Found, Kind};

const LATITUDE: &[&str] = &["lat", "latitude"];
const LONGITUDE: &[&str] = &["lng", "lon", "long", "longitude"];
const POSITION: &[&str] =
    &["coordinates", "coords", "coordinate", "gps", "located at", "location", "geo", "lat", "latitude", "position"];
const POSTCODE: &[&str] = &[
    "zip",
    "zipcode",
    "zip code",
    "postcode",
    "post code",
    "postal",
    "plz",
    "postleitzahl",
    "code postal",
    "cap",
    "código postal",
    "codigo postal",
    "cep",
    "pincode",
];

/// A decimal with its name, or a pair of them, starting with these digits.
pub(super) fn find_coordinates(text: &[u8], start: usize, end: usize) -> Option<Found> {
    let (first, degrees) = decimal(text, start, end)?;
    if degrees <= 90.0 && is_before(text, first.start, 48, POSITION) {
        let gap = run_end(text, first.end, 3, |byte| matches!(byte, b',' | b' ' | b';' | b'/'));
        let sign = run_end(text, gap, 1, |byte| byte == b'-');
        let whole = run_end(text, sign, 4, |byte| byte.is_ascii_digit());
        if gap > first.end
            && let Some((second, east)) = decimal(text, sign, whole)
            && east <= 180.0
        {
            return Some(Found { kind: Kind::Coordinates, score: 85, span: first.start..second.end });
        }
    }
    let is_named = (degrees <= 90.0 && is_before(text, first.start, 14, LATITUDE))
        || (degrees <= 180.0 && is_before(text, first.start, 14, LONGITUDE));
    is_named.then_some(Found { kind: Kind::Coordinates, score: 70, span: first })
}

/// Whole degrees up to 180 and three decimals or more: a hundred metres.
fn decimal(text: &[u8], start: usize, end: usize) -> Option<(std::ops::Range<usize>, f64)> {
    let last = run_end(text, end + 1, 16, |byte| byte.is_ascii_digit());
    let is_form = (1..=3).contains(&(end.saturating_sub(start)))
        && at(text, end) == b'.'
        && (4..=17).contains(&(last - end))
        && !at(text, last).is_ascii_alphanumeric();
    let value: f64 = std::str::from_utf8(part(text, start..last)).ok().filter(|_| is_form)?.parse().ok()?;
    let start = if before(text, start) == b'-' { start - 1 } else { start };
    Some((start..last, value)).filter(|_| value > 0.0 && !before(text, start).is_ascii_alphanumeric())
}

/// Degrees, minutes and seconds with a direction, such as `40°42′46″N`, starting with these digits.
pub(super) fn find_degrees(text: &[u8], start: usize, end: usize) -> Option<Found> {
    if !part(text, end..end + 2).eq("°".as_bytes()) {
        return None;
    }
    let is_part = |byte: u8| {
        byte.is_ascii_digit()
            || b" .'\"".contains(&byte)
            || matches!(byte, 0xc2 | 0xb0 | 0xe2 | 0x80 | 0xb2 | 0xb3 | 0x99 | 0x9d)
    };
    let direction = run_end(text, end, 32, is_part);
    let is_direction = matches!(at(text, direction), b'N' | b'S' | b'E' | b'W' | b'O')
        && !at(text, direction + 1).is_ascii_alphanumeric();
    let digits = part(text, start..direction).iter().filter(|byte| byte.is_ascii_digit()).count();
    (is_direction && digits >= 4).then_some(Found { kind: Kind::Coordinates, score: 85, span: start..direction + 1 })
}

/// A code beside its name: `ZIP: 53650`, `postal code B0J 2H0`.
pub(super) fn find_postcode(text: &[u8], start: usize, end: usize) -> Option<Found> {
    if !is_before(text, start, 24, POSTCODE)
        || !matches!(before(text, start), b' ' | b':' | b'"' | b'\'' | b'=' | b'\t' | b'#' | b'\n' | b'(' | b'>')
    {
        return None;
    }
    let last = code_end(text, end);
    let code = part(text, start..last);
    let digits = code.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_code = (3..=10).contains(&code.len())
        && digits >= 2
        && !code.iter().any(u8::is_ascii_lowercase)
        && !(matches!(at(text, last), b'.' | b'-' | b'_') && at(text, last + 1).is_ascii_alphanumeric());
    is_code.then_some(Found { kind: Kind::Postcode, score: 65, span: start..last })
}

/// The two letters of the states, and of the armed forces' post offices.
const STATES: &[u8] =
    b"AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY \
    NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY PR GU VI AA AE AP ";

/// A code by where it stands: `Denver, CO 80014`, `in Springfield 62701`; or by its form: `SW1A 1AA`, `K1A 0B1`.
pub(super) fn find_bare_postcode(text: &[u8], start: usize, end: usize) -> Option<Found> {
    let found = |span| Some(Found { kind: Kind::Postcode, score: 55, span });
    if let Some(last) = british_or_canadian(text, start, end) {
        return found(start..last);
    }
    let digits = part(text, start..end);
    if !matches!(digits.len(), 2..=5) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let last = code_end(text, end);
    let gap = run_start(text, start, 8, |byte| matches!(byte, b' ' | b'\n' | b'\t'));
    let next = at(text, last);
    let goes_on = next.is_ascii_alphanumeric()
        || matches!(next, b'-' | b'/' | b':' | b'%')
        || (matches!(next, b'.' | b',') && at(text, last + 1).is_ascii_digit());
    if gap == start || goes_on {
        return None;
    }
    let state = part(text, gap.saturating_sub(2)..gap);
    let is_alone = !before(text, gap.saturating_sub(2)).is_ascii_alphanumeric();
    // At the end of a line, other countries' provinces count as well.
    let is_province = matches!(next, 0 | b'\n') && state.len() == 2 && state.iter().all(u8::is_ascii_uppercase);
    if is_alone && digits.len() >= 4 && ((digits.len() == 5 && is_state(state)) || is_province) {
        return found(start..last);
    }
    let is_year = last == end && matches!(digits, [b'1', b'5'..=b'9', _, _] | [b'2', b'0', _, _]);
    let is_code = digits.len() >= 4 || last > end;
    (is_code && !is_year && gap + 1 == start && is_after_place(text, gap)).then_some(start..last).and_then(found)
}

/// Where a code ends that has one more part or not: `394 13`, `3610-114`, `7412 SL`, `80014-1234`.
fn code_end(text: &[u8], end: usize) -> usize {
    if !matches!(at(text, end), b' ' | b'-') {
        return end;
    }
    let next = run_end(text, end + 1, 5, |byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    let more = part(text, end + 1..next);
    let has_form = matches!(more.len(), 2..=4)
        && !at(text, next).is_ascii_alphanumeric()
        && (more.iter().any(u8::is_ascii_digit) || more.len() == 2);
    if has_form { next } else { end }
}

/// Whether these are the two letters of a state.
pub(super) fn is_state(word: &[u8]) -> bool {
    STATES.chunks(3).any(|known| part(known, 0..2) == word)
}

/// Whether this is a word for a street, with a capital.
pub(super) fn is_street(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_uppercase)
        && STREETS.iter().any(|street| word.eq_ignore_ascii_case(street.as_bytes()))
}

/// Whether this is a word for a part of a house.
pub(super) fn is_unit_word(word: &[u8]) -> bool {
    const WORDS: &[&str] = &["apt", "apartment", "suite", "ste", "unit", "flat", "room", "floor"];
    WORDS.iter().any(|unit| word.eq_ignore_ascii_case(unit.as_bytes()))
}

/// Whether one to four words with capitals end here, after a word for being somewhere.
fn is_after_place(text: &[u8], end: usize) -> bool {
    const WORDS: &[&[u8]] = &[b"in", b"to", b"near", b"from", b"at", b"around"];
    let mut end = end;
    for words in 0..5 {
        let start = run_start(text, end, 24, |byte| {
            byte.is_ascii_alphabetic() || byte >= 0x80 || byte == b'-' || byte == b'\''
        });
        let word = part(text, start..end);
        if words > 0 && WORDS.contains(&word) {
            return true;
        }
        let is_name = word.first().is_some_and(|byte| byte.is_ascii_uppercase() || *byte >= 0x80);
        if !is_name || before(text, start) != b' ' {
            return false;
        }
        end = start - 1;
    }
    false
}

/// Where a British or Canadian code ends whose first half is this word.
fn british_or_canadian(text: &[u8], start: usize, end: usize) -> Option<usize> {
    let form = |range: std::ops::Range<usize>| -> Vec<u8> {
        let class = |byte: &u8| match byte {
            b'A'..=b'Z' => b'A',
            b'0'..=b'9' => b'9',
            _ => b'?',
        };
        part(text, range).iter().map(class).collect()
    };
    let last = end + 4;
    if at(text, end) != b' ' || at(text, last).is_ascii_alphanumeric() || end - start > 4 || before(text, start) == b'-'
    {
        return None;
    }
    let (outward, inward) = (form(start..end), form(end + 1..last));
    let is_british =
        matches!(outward.as_slice(), b"A9" | b"A99" | b"AA9" | b"AA99" | b"A9A" | b"AA9A") && inward == b"9AA";
    let is_canadian = outward == b"A9A" && inward == b"9A9";
    (is_british || is_canadian).then_some(last)
}

/// Words that follow a number or a name of a street.
const STREETS: &[&str] = &[
    "street",
    "st",
    "avenue",
    "ave",
    "road",
    "rd",
    "boulevard",
    "blvd",
    "lane",
    "ln",
    "drive",
    "dr",
    "court",
    "ct",
    "square",
    "sq",
    "terrace",
    "place",
    "pl",
    "way",
    "parkway",
    "pkwy",
    "highway",
    "hwy",
    "crescent",
    "close",
    "circle",
    "cir",
    "alley",
    "row",
    "trail",
    "plaza",
    "loop",
    "grove",
    "gardens",
    "hill",
];

/// A house number and a street in English order, with what stands on its floor, starting with these digits.
pub(super) fn find_street(text: &[u8], start: usize, end: usize) -> Option<Found> {
    if number(part(text, start..end)).is_none_or(|house| house == 0 || house > 99_999)
        || !matches!(before(text, start), 0 | b' ' | b'\n' | b'"' | b':' | b'>' | b'(' | b'\t')
    {
        return None;
    }
    let mut from = end;
    for words in 0..4 {
        if at(text, from) != b' ' {
            return None;
        }
        let word = run_end(text, from + 1, 24, |byte| {
            byte.is_ascii_alphabetic()
                || byte >= 0x80
                || matches!(byte, b'\'' | b'-')
                || (words == 0 && byte.is_ascii_digit())
        });
        let name = part(text, from + 1..word);
        if words > 0
            && STREETS.iter().any(|street| name.eq_ignore_ascii_case(street.as_bytes()))
            && name.first().is_some_and(u8::is_ascii_uppercase)
        {
            let mut last = word;
            if at(text, last) == b'.' && name.len() <= 4 {
                last += 1;
            }
            return Some(Found { kind: Kind::StreetAddress, score: 65, span: start..unit_end(text, last) });
        }
        let is_name =
            name.first().is_some_and(|byte| byte.is_ascii_uppercase() || *byte >= 0x80 || byte.is_ascii_digit());
        if !is_name {
            return None;
        }
        from = if at(text, word) == b'.' { word + 1 } else { word };
    }
    None
}

/// `, Apt. 864`, ` Suite 5`: part of the address before it.
fn unit_end(text: &[u8], end: usize) -> usize {
    let from = run_end(text, end, 3, |byte| matches!(byte, b' ' | b',' | b'\n'));
    unit(text, from).unwrap_or(end)
}

/// Where a flat or an office that starts at `start` ends.
fn unit(text: &[u8], start: usize) -> Option<usize> {
    let word = run_end(text, start, 10, |byte| byte.is_ascii_alphabetic());
    let name = part(text, start..word);
    if !is_unit_word(name) {
        return None;
    }
    let from = run_end(text, word, 3, |byte| matches!(byte, b'.' | b' ' | b'#'));
    let to = run_end(text, from, 7, |byte| byte.is_ascii_digit());
    (to > from && from > word).then_some(to)
}

/// `Apt. 595` alone, and boxes of the post: `PO Box 123`, `PSC 0413, Box 8144`; these digits end the first part.
pub(super) fn find_unit(text: &[u8], start: usize, end: usize) -> Option<Found> {
    let gap = run_start(text, start, 3, |byte| matches!(byte, b'.' | b' ' | b'#'));
    let word = run_start(text, gap, 10, |byte| byte.is_ascii_alphabetic());
    let name = part(text, word..gap);
    if gap == start || !name.first().is_some_and(u8::is_ascii_uppercase) {
        return None;
    }
    if matches!(name, b"PSC" | b"Unit" | b"CMR") {
        let from = run_end(text, end, 2, |byte| matches!(byte, b',' | b' '));
        if part(text, from..from + 4) == b"Box " {
            let mut last = run_end(text, from + 4, 8, |byte| byte.is_ascii_digit());
            // The line after has the post office of the forces.
            let line = run_end(text, last, 2, |byte| matches!(byte, b'\n' | b' ' | b','));
            if matches!(part(text, line..line + 3), b"APO" | b"FPO" | b"DPO") {
                let state = run_end(text, line + 3, 4, |byte| byte == b' ' || byte.is_ascii_uppercase());
                last = run_end(text, state, 5, |byte| byte.is_ascii_digit());
            }
            return Some(Found { kind: Kind::StreetAddress, score: 75, span: word..last });
        }
    }
    let box_before = name == b"Box" && {
        let previous = run_start(text, word.saturating_sub(1), 5, |byte| byte.is_ascii_alphabetic() || byte == b'.');
        matches!(part(text, previous..word.saturating_sub(1)), b"PO" | b"P.O." | b"Post")
    };
    let is_unit = unit(text, word) == Some(end) && !matches!(name, b"Unit" | b"Floor" | b"Room");
    (is_unit || box_before).then_some(Found { kind: Kind::StreetAddress, score: 60, span: word..end })
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::{check, check_prose};

    #[test]
    fn finds_coordinates() {
        check("coordinates: «coordinates:40.7128, -74.0060»");
        check("{\"lat\": «coordinates:40.7128», \"lng\": «coordinates:-74.0060»}");
        check_prose("at «coordinates:40°42′46″N» «coordinates:74°0′22″W»");
        check("bezier(0.4567, 0.1234), 40.7128, -74.0060, late 12.3456");
    }

    #[test]
    fn finds_postcodes_and_streets_in_prose() {
        check_prose("ZIP: «postcode:53650» and zip code «postcode:B0J 2H0».");
        check_prose("postal code is «postcode:3610-114»");
        check_prose("lives at «street-address:12 Crown Street, Apt. 5» now");
        check_prose("«street-address:PSC 0413, Box 8144\nAPO AA 42323»");
        check_prose("Denver, CO «postcode:80014» and London «postcode:SW1A 1AA», Ottawa «postcode:K1A 0B1»");
        check_prose("an office in Bad Homburg «postcode:61348» opened in «date:March 1999» or Windows 2000");
        check_prose("took 12 Small steps; 5 Ways; unzip 12345");
    }
}

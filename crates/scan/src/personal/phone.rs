//! Telephone numbers: international ones by the country's code, North American ones by their shape, others by a
//! leading zero or a word near.

use super::bytes::{at, before, part, run_end, run_start};
use super::context::{is_before, is_near};
use super::{Found, Kind};

/// E.164.
const DIGITS_MAX: usize = 15;
/// Groups that people write; more of them are a table.
const GROUPS_MAX: usize = 7;

/// Words that hardly ever stand beside other numbers.
const STRONG: &[&str] = &[
    "phone",
    "telephone",
    "tel",
    "mobile",
    "cell",
    "cellphone",
    "fax",
    "whatsapp",
    "telegram",
    "hotline",
    "helpline",
    "landline",
    "voicemail",
    "dial",
    "telefon",
    "téléphone",
    "telefono",
    "teléfono",
    "móvil",
    "celular",
    "telefone",
    "handy",
    "gsm",
    "mobil",
    "telefax",
    "phone_number",
    "phonenumber",
    "puhelin",
    "telefoon",
    "telefonnummer",
    "msisdn",
    "numéro",
    "caller",
    "call me",
    "call us",
    "text me",
    "answering",
    "ring me",
    "reach me",
    "rufnummer",
];
/// Words that make a number in groups a telephone number.
const WEAK: &[&str] = &[
    "call",
    "calling",
    "called",
    "contact",
    "reach",
    "ring",
    "number",
    "desk",
    "office",
    "home",
    "work",
    "text",
    "message",
    "messages",
    "registered",
    "direct",
    "switchboard",
    "callback",
    "extension",
    "portable",
    "reached",
    "texted",
    "sms",
    "appel",
    "anruf",
];

/// A number as it was written.
struct Written {
    start: usize,
    end: usize,
    has_plus: bool,
    has_parens: bool,
    digits: [u8; DIGITS_MAX],
    digit_count: usize,
    groups: [u8; GROUPS_MAX],
    group_count: usize,
    /// The separator between the last groups.
    separator: u8,
    is_mixed: bool,
}

/// The number whose first group of digits starts at `first`.
pub(super) fn find(text: &[u8], first: usize) -> Option<Found> {
    let mut written = read(text, first)?;
    let score = loop {
        if let Some(score) = rate(text, &written) {
            break score;
        }
        // What follows after a space may be another number.
        written = shorten(text, &written)?;
    };
    let end = extension_end(text, written.end);
    Some(Found { kind: Kind::Phone, score, span: written.start..end })
}

/// Reads groups, separators and parentheses as far as they go.
fn read(text: &[u8], first: usize) -> Option<Written> {
    let mut start = first;
    let (mut has_plus, mut has_parens) = (false, false);
    if before(text, start) == b'(' && matches!(parenthesis(text, first), Some(1..=5)) {
        start -= 1;
        has_parens = true;
    }
    if before(text, start) == b'+' {
        start -= 1;
        has_plus = true;
        if before(text, start) == b'(' && !has_parens {
            start -= 1;
            has_parens = true;
        }
    }
    let previous = before(text, start);
    let is_glued = previous.is_ascii_alphanumeric()
        || matches!(previous, b'_' | b'$' | b'#' | b'%' | b'*' | b'&' | b'\\' | b')' | b'~' | b'^' | b'+' | b'!')
        || (matches!(previous, b'.' | b'-' | b'/') && before(text, start - 1).is_ascii_alphanumeric())
        || (previous == b',' && before(text, start - 1).is_ascii_digit())
        || (previous == b'-' && !has_plus);
    if is_glued && !is_tel_uri(text, start) {
        return None;
    }
    let mut written = Written {
        start,
        end: first,
        has_plus,
        has_parens,
        digits: [0; DIGITS_MAX],
        digit_count: 0,
        groups: [0; GROUPS_MAX],
        group_count: 0,
        separator: 0,
        is_mixed: false,
    };
    let mut from = first;
    loop {
        let end = run_end(text, from, DIGITS_MAX + 1, |byte| byte.is_ascii_digit());
        if !written.push(part(text, from..end)) {
            break;
        }
        written.end = end;
        let Some((next, separator, is_paren)) = separator(text, end) else { break };
        written.has_parens |= is_paren;
        written.is_mixed |=
            written.separator != 0 && written.separator != separator && separator != b')' && written.separator != b')';
        written.separator = separator;
        from = next;
    }
    (written.digit_count >= 6).then_some(written)
}

impl Written {
    fn push(&mut self, group: &[u8]) -> bool {
        let Some(place) = self.groups.get_mut(self.group_count) else { return false };
        let Some(digits) = self.digits.get_mut(self.digit_count..self.digit_count + group.len()) else { return false };
        digits.copy_from_slice(group);
        self.digit_count += group.len();
        *place = u8::try_from(group.len()).unwrap_or(u8::MAX);
        self.group_count += 1;
        true
    }

    fn digits(&self) -> &[u8] {
        part(&self.digits, 0..self.digit_count)
    }

    fn groups(&self) -> &[u8] {
        part(&self.groups, 0..self.group_count)
    }
}

/// Whether `tel:` stands before.
fn is_tel_uri(text: &[u8], start: usize) -> bool {
    part(text, start.saturating_sub(4)..start).eq_ignore_ascii_case(b"tel:")
}

/// How many digits stand in the parenthesis that was opened before `first`.
fn parenthesis(text: &[u8], first: usize) -> Option<usize> {
    let end = run_end(text, first, 6, |byte| byte.is_ascii_digit());
    (at(text, end) == b')').then_some(end - first)
}

/// The separator after a group: where the next group starts, which byte it is, whether a parenthesis is part of it.
fn separator(text: &[u8], end: usize) -> Option<(usize, u8, bool)> {
    let (mut index, mut kept, mut is_paren) = (end, 0, false);
    while index - end < 3 {
        match at(text, index) {
            digit if digit.is_ascii_digit() => return Some((index, kept, is_paren)),
            b')' if !is_paren || kept == b'(' => {
                is_paren = true;
                kept = b')';
            }
            b'(' if kept != b')' && parenthesis(text, index + 1).is_some_and(|digits| digits <= 4) => {
                is_paren = true;
                kept = b'(';
            }
            byte @ (b' ' | b'-' | b'.' | b'/')
                if kept == 0
                    || matches!(kept, b')')
                    || (kept == b' ' && byte == b'-')
                    || (kept == b'-' && byte == b' ') =>
            {
                kept = if kept == b')' { b')' } else { byte };
            }
            _ => return None,
        }
        index += 1;
    }
    at(text, index).is_ascii_digit().then_some((index, kept, is_paren))
}

/// The same number without its last group, if a space stood before that.
fn shorten(text: &[u8], written: &Written) -> Option<Written> {
    let last = usize::from(*written.groups().last()?);
    let end = written.end.checked_sub(last + 1)?;
    if at(text, end) != b' ' || written.group_count < 2 {
        return None;
    }
    let count = written.group_count - 1;
    Some(Written {
        end,
        digit_count: written.digit_count - last,
        group_count: count,
        digits: written.digits,
        groups: written.groups,
        ..*written
    })
    .filter(|shorter| shorter.digit_count >= 6)
}

/// The score, if this is a telephone number.
fn rate(text: &[u8], written: &Written) -> Option<u8> {
    let next = at(text, written.end);
    let after_next = at(text, written.end + 1);
    let goes_on = match next {
        b',' if written.group_count > 1 => false,
        b'.' | b'-' | b'/' | b',' => {
            after_next.is_ascii_digit() || (next == b'-' && after_next.is_ascii_lowercase() && !written.has_plus)
        }
        b'x' | b'X' => !after_next.is_ascii_digit(),
        b'%' | b'_' | b':' if next != b':' || after_next.is_ascii_digit() => true,
        byte => byte.is_ascii_alphanumeric(),
    };
    let distinct = written.digits().iter().any(|digit| digit != written.digits().first().unwrap_or(&0));
    if goes_on || !distinct {
        return None;
    }
    let strong = || is_near(text, written.start, written.end, STRONG);
    let weak = || is_near(text, written.start, written.end, WEAK);
    let count = written.digit_count;
    let digits = written.digits();
    let is_grouped = written.group_count > 1;
    if is_date(written) {
        return None;
    }
    if written.has_plus {
        let is_number = (8..=DIGITS_MAX).contains(&count)
            && is_country(digits)
            && (is_grouped || count >= 10)
            && !(written.separator == b'.' && written.group_count == 2);
        return is_number.then(|| if strong() { 95 } else { 85 });
    }
    if let Some(score) = north_american(written) {
        return if strong() || weak() { Some(90) } else { Some(score).filter(|score| *score >= 50) };
    }
    let shortest = written.groups().iter().copied().min().unwrap_or(0);
    let starts_with_zero = digits.first() == Some(&b'0');
    let has_two_zeros = digits.starts_with(b"00");
    // `00` and a country's code, as Europe dials it.
    if has_two_zeros
        && is_grouped
        && (10..=DIGITS_MAX).contains(&count)
        && part(digits, 2..4) != b"00"
        && is_country(part(digits, 2..count))
        && !is_tabled(text, written)
        && (strong() || weak())
    {
        return Some(85);
    }
    let in_range = (7..=12).contains(&count) || (count == 6 && written.has_parens);
    if !in_range {
        return None;
    }
    if strong() {
        return Some(if is_grouped { 85 } else { 60 });
    }
    let groups_fit = is_grouped
        && !is_tabled(text, written)
        && written.group_count <= 5
        && (shortest >= 2 || written.has_parens || starts_with_zero);
    if groups_fit && !has_two_zeros && weak() {
        return Some(70);
    }
    if !is_grouped && (9..=11).contains(&count) && is_told(text, written.start) && weak() {
        return Some(60);
    }
    // Alone: a leading zero with a trunk code, in groups as nothing else is.
    let is_national = starts_with_zero
        && !has_two_zeros
        && groups_fit
        && shortest >= 2
        && (9..=11).contains(&count)
        && (written.group_count >= 3 || written.has_parens || written.separator == b'/' || is_trunk_and_rest(written))
        && (written.separator != b'.' || written.group_count >= 4)
        && !written.is_mixed;
    is_national.then_some(60)
}

/// `07700 921916`: the trunk's zero and an area, then all the rest.
fn is_trunk_and_rest(written: &Written) -> bool {
    matches!(written.groups(), [3..=5, 5..=8]) && written.separator == b' ' && written.digit_count >= 10
}

/// Whether a word stands right before that a sentence has before a number: `call me on 9498777106`.
fn is_told(text: &[u8], start: usize) -> bool {
    const WORDS: &[&[u8]] =
        &[b"on", b"at", b"to", b"is", b"number", b"from", b"registered", b"contact", b"text", b"call"];
    let end = start.saturating_sub(1);
    let word = run_start(text, end, 12, |byte| byte.is_ascii_alphabetic());
    before(text, start) == b' ' && WORDS.iter().any(|known| part(text, word..end).eq_ignore_ascii_case(known))
}

/// The first digits of `+44(0)1414960193`, whose last group starts at `start`: in brackets stands what is not dialled.
pub(super) fn country_before(text: &[u8], start: usize) -> Option<usize> {
    let bracket = run_start(text, start, 1, |byte| byte == b' ').checked_sub(3)?;
    let first = run_start(text, bracket, 3, |byte| byte.is_ascii_digit());
    let is_form = part(text, bracket..bracket + 3) == b"(0)" && first < bracket && before(text, first) == b'+';
    is_form.then_some(first)
}

/// Whether this is a day such as 1582-10-15 or a span of years such as 2000-2068.
fn is_date(written: &Written) -> bool {
    let digits = written.digits();
    let is_year = |digits: &[u8]| matches!(digits, [b'1', ..] | [b'2', b'0', ..]);
    match written.groups() {
        [4, 2, 2, ..] => matches!(part(digits, 4..6), [b'0', _] | [b'1', b'0'..=b'2']) && written.separator == b'-',
        // An address of a machine.
        [1..=3, 1..=3, 1..=3, 1..=3] => written.separator == b'.',
        [4, 4] => is_year(digits) && is_year(part(digits, 4..8)) && written.separator == b'-',
        _ => false,
    }
}

/// Whether the number stands among others like it, as in a table or in bytes written as `02 0f 30`.
fn is_tabled(text: &[u8], written: &Written) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    let gap = run_start(text, written.start, 2, |byte| matches!(byte, b' ' | b';' | b'\t'));
    let word = run_start(text, gap, 8, is_hex);
    let follows = gap < written.start
        && gap > word
        && !before(text, word).is_ascii_alphabetic()
        && part(text, word..gap).iter().any(u8::is_ascii_digit);
    let after = run_end(text, written.end, 2, |byte| matches!(byte, b' ' | b';' | b'\t'));
    let next = run_end(text, after, 8, is_hex);
    let goes_on = after > written.end
        && next > after
        && !at(text, next).is_ascii_alphanumeric()
        && part(text, after..next).iter().any(u8::is_ascii_digit)
        && next - after <= 4;
    // Of five pairs of a number, hardly ever three start with zero.
    let pairs = written.digits().chunks(2).filter(|pair| pair.starts_with(b"0")).count();
    let is_hex_dump = written.groups().iter().all(|length| *length == 2) && pairs >= 3;
    follows || goes_on || is_hex_dump || is_before(text, written.start, 24, &["hex"])
}

/// Three, three and four digits, with a one before them or not; none for other shapes.
fn north_american(written: &Written) -> Option<u8> {
    let (groups, digits) = match (written.groups(), written.digits()) {
        ([1, rest @ ..], [b'1', digits @ ..]) => (rest, digits),
        ([3, rest @ ..], [b'0', b'0', b'1', digits @ ..]) => (rest, digits),
        (groups, digits) => (groups, digits),
    };
    let is_shape = matches!(groups, [3, 3, 4]);
    let is_bare = matches!(groups, [6, 4] | [3, 7]) && written.has_parens;
    let has_area = matches!(digits.first(), Some(b'2'..=b'9'));
    if !(is_shape || is_bare) {
        return None;
    }
    if !has_area {
        // No such area, but what people make up looks so.
        return (written.has_parens || (written.separator == b'-' && !written.is_mixed)).then_some(55);
    }
    let has_exchange = matches!(digits.get(3), Some(b'2'..=b'9'));
    Some(match written.separator {
        _ if written.has_parens => 75,
        b'-' if !written.is_mixed => 70,
        b'.' if has_exchange => 60,
        b' ' if has_exchange => 45,
        _ => 40,
    })
}

/// Whether the digits start with the code of a country or a network (ITU E.164), and go on as a number there may.
fn is_country(digits: &[u8]) -> bool {
    match digits {
        [b'1', area, _, _, ..] => digits.len() == 11 && matches!(area, b'2'..=b'9'),
        [b'7', rest @ ..] => rest.len() == 10,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0' | b'1' | b'2' | b'3' | b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => true,
        [b'2', second, ..] => !matches!(second, b'8'),
        [b'3', b'5' | b'7' | b'8', ..] | [b'4', b'2', ..] | [b'5', b'0' | b'9', ..] => true,
        [b'6', b'7'..=b'9', ..] | [b'8', b'0' | b'5' | b'7' | b'8', ..] | [b'9', b'6' | b'7' | b'9', ..] => true,
        _ => false,
    }
}

/// `x4587`, ` ext. 12`: part of the number.
fn extension_end(text: &[u8], end: usize) -> usize {
    let rest = part(text, end..text.len().min(end + 8));
    for mark in [" ext. ", " ext ", " ext.", " ext", " x", "x", " #"] {
        let is_mark = rest.get(..mark.len()).is_some_and(|found| found.eq_ignore_ascii_case(mark.as_bytes()));
        if is_mark {
            let from = end + mark.len();
            let to = run_end(text, from, 7, |byte| byte.is_ascii_digit());
            if (1..=6).contains(&(to - from)) && !at(text, to).is_ascii_alphanumeric() {
                return to;
            }
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check;

    #[test]
    fn finds_numbers_of_many_countries() {
        check("«phone:+1-984-182-0190»");
        check("«phone:+46 (0)8 928 571 38»");
        check("«phone:+447700921916»");
        check("tel:«phone:+4915112345678»");
        check("«phone:(541) 714-1388» or «phone:541-714-1388»");
        check("«phone:345-899-3560x4587» and «phone:345-899-3560 ext. 12»");
        check("«phone:03.93.92.16.85»");
        check("«phone:07700 063 966»");
        check("call me at «phone:699 956 915»");
        check("Phone: «phone:9498777106»");
        check("fax «phone:467 3395»");
        check("Mobile: «phone:78 651 450» or so");
        check("fax=«phone:+44(0)1414960193», «phone:+49(0) 100772837»");
        check("a,«phone:+33 5 33 79 16 01»,195");
        check("«phone:001-345-899-3560»");
        check("«phone:07700 921916» or «phone:(012)345-6789»");
        check("Can someone call me on «phone:9498777106»?");
        check("«phone:541-714-1388»-Office,«phone:0494 92 82 32»-Fax");
    }

    #[test]
    fn leaves_other_numbers() {
        check("699 956 915");
        check("9498777106");
        check("call 3 times in 20 minutes");
        check("1.2.345.6789 and 2020-01-02 03:04:05");
        check("0000-0002-1825-0097");
        check("550e8400-e29b-41d4-a716-446655440000");
        check("a+12345678901 +0123456789");
        check("200 300 4000 5000 6000");
        check("call(123456789)");
        check("2024.01.02.1234 1582-10-15 years 2000-2068 (+9999-12-31");
        check("hex!(\"02 03 01 00 01\") and 31 0a 02 31 14 55 66 02");
        check("LETTER NUMBER: 00E7;0063 0327;00E7");
    }
}

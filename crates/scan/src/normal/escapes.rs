//! Escapes: `\u0041`, `\x41`, `\101` of programs and JSON, `%41` of URLs, `=41` of quoted-printable.

use super::{Rewrite, Text};

/// An escape with a backslash, at `at`.
pub(super) fn backslash(text: &[u8], at: usize, is_json: bool) -> Option<Rewrite> {
    let rest = text.get(at + 1..)?;
    let telling = |length: usize, text| Some(Rewrite { length, text, is_telling: true });
    match rest {
        [b'u', b'{', digits @ ..] => {
            let length = digits.iter().take(8).position(|byte| *byte == b'}')?;
            telling(length + 4, Text::letter(char::from_u32(number(digits.get(..length)?, 16)?)?))
        }
        [b'u', ..] => {
            let unit = number(rest.get(1..5)?, 16)?;
            if let Some(letter) = char::from_u32(unit) {
                return telling(6, Text::letter(letter));
            }
            let low = rest.get(5..11)?.strip_prefix(b"\\u").and_then(|digits| number(digits, 16))?;
            let letter = char::decode_utf16([u16::try_from(unit).ok()?, u16::try_from(low).ok()?]).next()?.ok()?;
            telling(12, Text::letter(letter))
        }
        [b'U', ..] => telling(10, Text::letter(char::from_u32(number(rest.get(1..9)?, 16)?)?)),
        [b'x', ..] => telling(4, Text::byte(u8::try_from(number(rest.get(1..3)?, 16)?).ok()?)),
        [b'0'..=b'3', ..] => telling(4, Text::byte(u8::try_from(number(rest.get(..3)?, 8)?).ok()?)),
        // A slash that PHP and others escape in JSON; in a pattern or a path it stands beside other things.
        [b'/', after, ..] if is_of_token(*after) && at > 0 && text.get(at - 1).copied().is_some_and(is_of_token) => {
            telling(2, Text::byte(b'/'))
        }
        // A line that goes on in the next one.
        [b'\n', ..] => telling(2, Text::new(b"")?),
        [b'\r', b'\n', ..] => telling(3, Text::new(b"")?),
        [short, ..] if is_json => {
            let byte = match short {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'"' | b'\\' | b'/' => *short,
                _ => return None,
            };
            Some(Rewrite { length: 2, text: Text::byte(byte), is_telling: false })
        }
        _ => None,
    }
}

/// `%41`, and `%u0041` of old scripts.
pub(super) fn percent(rest: &[u8]) -> Option<Rewrite> {
    if let Some(digits) = rest.get(..6).and_then(|rest| rest.strip_prefix(b"%u")) {
        return Some(Rewrite { length: 6, text: Text::letter(char::from_u32(number(digits, 16)?)?), is_telling: true });
    }
    let byte = u8::try_from(number(rest.get(1..3)?, 16)?).ok()?;
    // A space or a line break tells nothing new, and format strings are full of them.
    Some(Rewrite { length: 3, text: Text::byte(byte), is_telling: byte > b' ' })
}

/// `=41`, and the line break that is none.
pub(super) fn quoted_printable(rest: &[u8]) -> Option<Rewrite> {
    match rest {
        [b'=', b'\n', ..] => Some(Rewrite { length: 2, text: Text::new(b"")?, is_telling: true }),
        [b'=', b'\r', b'\n', ..] => Some(Rewrite { length: 3, text: Text::new(b"")?, is_telling: true }),
        _ => {
            let byte = u8::try_from(number(rest.get(1..3)?, 16)?).ok()?;
            Some(Rewrite { length: 3, text: Text::byte(byte), is_telling: true })
        }
    }
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=-_.:".contains(&byte)
}

/// The value of digits, all of which must be such.
pub(super) fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits
        .iter()
        .try_fold(0_u32, |value, digit| value.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?))
}

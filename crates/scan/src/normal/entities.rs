//! Character references of HTML and XML: `&#65;`, `&#x41;`, and the names of ASCII characters.

use super::escapes::number;
use super::{Rewrite, Text};

/// Names that stand for ASCII, as HTML lists them, and the spaces and hyphens that are invisible.
const NAMES: &[(&[u8], char)] = &[
    (b"amp", '&'),
    (b"lt", '<'),
    (b"gt", '>'),
    (b"quot", '"'),
    (b"apos", '\''),
    (b"nbsp", ' '),
    (b"equals", '='),
    (b"colon", ':'),
    (b"semi", ';'),
    (b"comma", ','),
    (b"period", '.'),
    (b"sol", '/'),
    (b"bsol", '\\'),
    (b"plus", '+'),
    (b"dash", '-'),
    (b"hyphen", '-'),
    (b"lowbar", '_'),
    (b"UnderBar", '_'),
    (b"commat", '@'),
    (b"num", '#'),
    (b"dollar", '$'),
    (b"percnt", '%'),
    (b"ast", '*'),
    (b"excl", '!'),
    (b"quest", '?'),
    (b"lpar", '('),
    (b"rpar", ')'),
    (b"lsqb", '['),
    (b"lbrack", '['),
    (b"rsqb", ']'),
    (b"rbrack", ']'),
    (b"lcub", '{'),
    (b"lbrace", '{'),
    (b"rcub", '}'),
    (b"rbrace", '}'),
    (b"verbar", '|'),
    (b"vert", '|'),
    (b"grave", '`'),
    (b"Hat", '^'),
    (b"Tab", '\t'),
    (b"NewLine", '\n'),
    (b"shy", '\u{ad}'),
    (b"zwj", '\u{200d}'),
    (b"zwnj", '\u{200c}'),
    (b"ZeroWidthSpace", '\u{200b}'),
    (b"NoBreak", '\u{2060}'),
];

/// No name and no number is longer.
const NAME_BYTES_MAX: usize = 16;

/// The character reference that the text begins with.
pub(super) fn entity(rest: &[u8]) -> Option<Rewrite> {
    let body = rest.get(1..rest.len().min(NAME_BYTES_MAX + 2))?;
    let (letter, length) = if let Some(digits) = body.strip_prefix(b"#") {
        let (digits, radix, prefix) = match digits {
            [b'x' | b'X', digits @ ..] => (digits, 16, 3),
            _ => (digits, 10, 2),
        };
        let count = digits.iter().take_while(|digit| char::from(**digit).is_digit(radix)).count();
        let letter = char::from_u32(number(digits.get(..count)?, radix)?)?;
        // Browsers do without the semicolon.
        (letter, prefix + count + usize::from(digits.get(count) == Some(&b';')))
    } else {
        let length = body.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let name = body.get(..length).filter(|_| body.get(length) == Some(&b';'))?;
        (NAMES.iter().find(|(known, _)| *known == name)?.1, length + 2)
    };
    Some(Rewrite { length, text: Text::letter(letter), is_telling: letter > ' ' })
}

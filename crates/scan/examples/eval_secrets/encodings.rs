//! The encodings under which a secret must still be seen.

use std::fmt::Write;
use std::io::Write as _;

use super::generate::{STANDARD, URL, base64};

/// An encoding by name.
pub type Encoding = (&'static str, fn(&str) -> Vec<u8>);

/// Each is applied once, to the token alone or to the whole text.
pub const ENCODINGS: &[Encoding] = &[
    ("base64", |text| base64(text.as_bytes(), STANDARD).into_bytes()),
    ("base64 for URLs", |text| base64(text.as_bytes(), URL).into_bytes()),
    ("base64 in lines of 76", |text| {
        let text = base64(text.as_bytes(), STANDARD);
        text.as_bytes().chunks(76).collect::<Vec<_>>().join(&b"\n"[..])
    }),
    ("hex", |text| hex(text, |byte| format!("{byte:02x}"))),
    ("upper-case hex", |text| hex(text, |byte| format!("{byte:02X}"))),
    ("percent, every byte", |text| hex(text, |byte| format!("%{byte:02X}"))),
    ("percent, as browsers do", percent),
    ("JSON string", |text| serde_json::to_string(text).unwrap_or_default().into_bytes()),
    ("JSON \\u escapes", |text| hex(text, |byte| format!("\\u{byte:04x}"))),
    ("HTML entities", |text| hex(text, |byte| format!("&#{byte};"))),
    ("HTML hex entities", |text| hex(text, |byte| format!("&#x{byte:x};"))),
    ("gzip", |text| compressed(text, true)),
    ("zlib", |text| compressed(text, false)),
    ("zero-width letters", |text| interleave(text, '\u{200B}')),
    ("look-alike letters", |text| text.chars().map(look_alike).collect::<String>().into_bytes()),
    ("full-width letters", |text| {
        let wide = |letter: char| match letter {
            '!'..='~' => char::from_u32(letter as u32 + 0xFEE0).unwrap_or(letter),
            other => other,
        };
        text.chars().map(wide).collect::<String>().into_bytes()
    }),
    ("UTF-16", |text| text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
];

fn hex(text: &str, form: impl Fn(u8) -> String) -> Vec<u8> {
    text.bytes().map(form).collect::<String>().into_bytes()
}

fn percent(text: &str) -> Vec<u8> {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            other => {
                let _ = write!(escaped, "%{other:02X}");
            }
        }
    }
    escaped.into_bytes()
}

fn compressed(text: &str, gzip: bool) -> Vec<u8> {
    let level = flate2::Compression::default();
    if gzip {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
        let _ = writer.write_all(text.as_bytes());
        writer.finish().unwrap_or_default()
    } else {
        let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
        let _ = writer.write_all(text.as_bytes());
        writer.finish().unwrap_or_default()
    }
}

fn interleave(text: &str, between: char) -> Vec<u8> {
    text.chars().flat_map(|letter| [letter, between]).collect::<String>().into_bytes()
}

/// Cyrillic and Greek letters that look like Latin ones.
fn look_alike(letter: char) -> char {
    match letter {
        'a' => 'а',
        'c' => 'с',
        'e' => 'е',
        'o' => 'о',
        'p' => 'р',
        'x' => 'х',
        'y' => 'у',
        'A' => 'А',
        'B' => 'В',
        'E' => 'Е',
        'H' => 'Н',
        'K' => 'К',
        'M' => 'М',
        'O' => 'О',
        'P' => 'Р',
        'T' => 'Т',
        other => other,
    }
}

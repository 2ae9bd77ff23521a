//! Makes text safe to show on a terminal and honest to read.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with every deceptive character written out, such as `\n`, `\x1b` or `\u{202e}`; borrowed when there is none.
///
/// The result is one line that moves no cursor, changes no colour and reads in the order it is stored.
pub fn printable(text: &str) -> Cow<'_, str> {
    // Nearly all text is plain ASCII, and this loop is vectorised.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(is_deceptive) else { return Cow::Borrowed(text) };
    let (clean, rest) = text.split_at(first);
    let mut shown = String::with_capacity(text.len() + 16);
    shown.push_str(clean);
    for letter in rest.chars() {
        match letter {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            letter if !is_deceptive(letter) => shown.push(letter),
            // Writing to a string can't fail.
            letter if letter.is_ascii() => _ = write!(shown, "\\x{:02x}", u32::from(letter)),
            letter => _ = write!(shown, "\\u{{{:x}}}", u32::from(letter)),
        }
    }
    Cow::Owned(shown)
}

/// Whether a character controls the terminal, turns the reading direction, can't be seen, or passes for a space.
pub fn is_deceptive(letter: char) -> bool {
    matches!(letter,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Bidirectional marks, embeddings, overrides and isolates.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Zero width: joiners, soft hyphen, invisible operators, word joiner, byte order mark, fillers.
        | '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}'
        | '\u{1d173}'..='\u{1d17a}'
        // Variation selectors and tags: invisible, and a channel for hidden text.
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}'
        // Separators that break lines, and spaces that look like the one on the keyboard.
        | '\u{2028}' | '\u{2029}'
        | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}'
        // Private use: a font decides what it shows.
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(printable(text), expected);
        assert_eq!(printable(expected), expected, "a second pass changed it");
    }

    #[test]
    fn writes_out_what_deceives() {
        check("a\nb\tc\r", "a\\nb\\tc\\r");
        check("\x1b[2J\x07", "\\x1b[2J\\x07");
        check("\u{9b}31m", "\\u{9b}31m");
        check("user\u{202e}gpj.exe", "user\\u{202e}gpj.exe");
        check("pay\u{200b}pal\u{feff}", "pay\\u{200b}pal\\u{feff}");
        check("hi\u{e0041}\u{fe0f}", "hi\\u{e0041}\\u{fe0f}");
        check("rm\u{a0}-rf", "rm\\u{a0}-rf");
    }

    #[test]
    fn leaves_ordinary_text_borrowed() {
        for text in ["", "GET https://example.com/?q=1", "C:\\Users", "grüße 日本語 \u{3000} émoji 🦀", "-=[]{}"]
        {
            assert!(matches!(printable(text), Cow::Borrowed(_)), "{text}");
        }
    }
}

//! Letters beyond ASCII that read as plain ones, and those that can't be read at all.
//!
//! Unicode's compatibility forms (NFKC) cover full-width, mathematical, circled and joined letters. Letters of other
//! scripts that look like Latin ones count as such only where they stand in a word with plain letters or digits: a
//! Russian word stays Russian. Invisible letters go; tags and variation selectors, which can spell a text that nobody
//! sees, become the letters they spell.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::{Rewrite, Text};

/// Marks above one letter; more are decoration.
const MARKS_MAX: usize = 8;
/// As many variation selectors in a row spell something; one or two choose how a sign is shown.
const SPELLING_MIN: usize = 4;

/// What the letter at `at` is rewritten to.
pub(super) fn letter(text: &[u8], at: usize) -> Option<Rewrite> {
    let rest = text.get(at..)?;
    let letter = first_letter(rest)?;
    let length = letter.len_utf8();
    if stays(letter) {
        return None;
    }
    let telling = |length: usize, text| Some(Rewrite { length, text, is_telling: true });
    if let Some(spelled) = tag(letter) {
        return telling(length, Text::byte(spelled));
    }
    if let Some(spelled) = selector(letter).filter(|_| spells(text, at)) {
        return telling(length, Text::byte(spelled));
    }
    if is_invisible(letter) {
        return telling(length, Text::new(b"")?);
    }
    if let Some(plain) = look_alike(letter) {
        return if is_in_plain_word(text, at) { telling(length, Text::byte(plain)) } else { None };
    }
    // With the marks above it, as NFKC joins or parts them.
    let mut end = length;
    for _ in 0..MARKS_MAX {
        match first_letter(rest.get(end..)?) {
            Some(mark) if canonical_combining_class(mark) != 0 => end += mark.len_utf8(),
            _ => break,
        }
    }
    let cluster = std::str::from_utf8(rest.get(..end)?).ok()?;
    let mut plain = [0; 40];
    let mut written = 0;
    for letter in cluster.nfkc() {
        let mut bytes = [0; 4];
        let bytes = letter.encode_utf8(&mut bytes).as_bytes();
        plain.get_mut(written..written + bytes.len())?.copy_from_slice(bytes);
        written += bytes.len();
    }
    let plain = plain.get(..written)?;
    if plain == cluster.as_bytes() {
        return None;
    }
    Some(Rewrite { length: end, text: Text::new(plain)?, is_telling: plain.iter().any(u8::is_ascii_graphic) })
}

/// The letter that bytes begin with, if they are UTF-8.
pub(crate) fn first_letter(bytes: &[u8]) -> Option<char> {
    let length = match bytes.first()? {
        0x00..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    std::str::from_utf8(bytes.get(..length)?).ok()?.chars().next()
}

/// Letters of whole scripts that are what they are: most of what is written.
fn stays(letter: char) -> bool {
    matches!(letter,
        'À'..='ÿ'
        // Hebrew and Arabic without presentation forms, Kana, Han, Hangul.
        | '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}'
        | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        // Quotation marks, dashes, bullets, arrows, lines: neither letters nor in the way of any.
        | '\u{2013}' | '\u{2014}' | '\u{2018}'..='\u{201e}' | '\u{2022}' | '\u{2190}'..='\u{21ff}' | '\u{2500}'..='\u{257f}')
}

/// The ASCII letter that a tag stands for; tags are invisible.
pub(crate) fn tag(letter: char) -> Option<u8> {
    let code = u32::from(letter).checked_sub(0xE_0000)?;
    u8::try_from(code).ok().filter(|byte| matches!(byte, b' '..=b'~'))
}

/// The byte that a variation selector stands for, where they are used to spell.
pub(crate) fn selector(letter: char) -> Option<u8> {
    match u32::from(letter) {
        code @ 0xFE00..=0xFE0F => u8::try_from(code - 0xFE00).ok(),
        code @ 0xE_0100..=0xE_01EF => u8::try_from(code - 0xE_0100 + 16).ok(),
        _ => None,
    }
}

/// Whether the variation selector at `at` stands in a row of several.
fn spells(text: &[u8], at: usize) -> bool {
    /// A selector has three or four bytes.
    const BYTES: usize = 4 * SPELLING_MIN;
    let is_selector = |letter: char| selector(letter).is_some();
    let after = text.get(at..text.len().min(at + BYTES)).unwrap_or_default();
    let before = text.get(at.saturating_sub(BYTES)..at).unwrap_or_default();
    let count = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        (
            text.chars().take_while(|letter| is_selector(*letter)).count(),
            text.chars().rev().take_while(|letter| is_selector(*letter)).count(),
        )
    };
    count(after).0 + count(before).1 >= SPELLING_MIN
}

/// Letters that have no width and no ink.
pub(crate) fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether plain letters or digits stand in the same word, which is looked at as far as some letters to each side.
fn is_in_plain_word(text: &[u8], at: usize) -> bool {
    const NEAR_BYTES: usize = 24;
    let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || **byte == b'_';
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric();
    let before = text.get(at.saturating_sub(NEAR_BYTES)..at).unwrap_or_default();
    let after = text.get(at..text.len().min(at + NEAR_BYTES)).unwrap_or_default();
    before.iter().rev().take_while(is_word).any(is_plain) || after.iter().take_while(is_word).any(is_plain)
}

/// The plain letter that a letter of another script looks like (after Unicode's list of confusable characters; those
/// that are drawn alike in nearly every font).
fn look_alike(letter: char) -> Option<u8> {
    let plain = match letter {
        // Cyrillic.
        'А' => 'A',
        'В' => 'B',
        'Е' | 'Ѐ' => 'E',
        'К' => 'K',
        'М' => 'M',
        'Н' => 'H',
        'О' => 'O',
        'Р' => 'P',
        'С' => 'C',
        'Т' => 'T',
        'Х' => 'X',
        'У' | 'Ү' => 'Y',
        'Ѕ' => 'S',
        'І' | 'Ӏ' => 'I',
        'Ј' => 'J',
        'Ԛ' => 'Q',
        'Ԝ' => 'W',
        'З' => '3',
        'Ѵ' => 'V',
        'Ԍ' => 'G',
        'а' => 'a',
        'е' => 'e',
        'о' => 'o',
        'р' => 'p',
        'с' => 'c',
        'у' | 'ү' => 'y',
        'х' => 'x',
        'ѕ' => 's',
        'і' => 'i',
        'ј' => 'j',
        'һ' => 'h',
        'ԁ' => 'd',
        'ԛ' => 'q',
        'ԝ' => 'w',
        'ѵ' => 'v',
        'ӏ' => 'l',
        'г' => 'r',
        'к' => 'k',
        'м' => 'm',
        'н' => 'h',
        'т' => 't',
        'в' => 'b',
        'п' => 'n',
        'ь' => 'b',
        // Greek.
        'Α' => 'A',
        'Β' => 'B',
        'Ε' => 'E',
        'Ζ' => 'Z',
        'Η' => 'H',
        'Ι' => 'I',
        'Κ' => 'K',
        'Μ' => 'M',
        'Ν' => 'N',
        'Ο' => 'O',
        'Ρ' => 'P',
        'Τ' => 'T',
        'Υ' => 'Y',
        'Χ' => 'X',
        'ο' => 'o',
        'ν' => 'v',
        'ι' => 'i',
        'κ' => 'k',
        'ρ' => 'p',
        'υ' => 'u',
        'α' => 'a',
        'γ' => 'y',
        'τ' => 't',
        'ϳ' => 'j',
        'σ' => 'o',
        'η' => 'n',
        'ω' => 'w',
        'χ' => 'x',
        'ε' => 'e',
        'β' => 'b',
        // Armenian and Cherokee.
        'Օ' => 'O',
        'Ս' => 'U',
        'օ' => 'o',
        'ս' => 'u',
        'հ' => 'h',
        'ո' => 'n',
        'ց' => 'g',
        'զ' => 'q',
        'յ' => 'j',
        'Ꭺ' => 'A',
        'Ᏼ' => 'B',
        'Ꮯ' => 'C',
        'Ꭰ' => 'D',
        'Ꭼ' => 'E',
        'Ꮐ' => 'G',
        'Ꮋ' => 'H',
        'Ꮖ' => 'I',
        'Ꭻ' => 'J',
        'Ꮶ' => 'K',
        'Ꮮ' => 'L',
        'Ꮇ' => 'M',
        'Ꮲ' => 'P',
        'Ꮪ' => 'S',
        'Ꭲ' => 'T',
        'Ꮩ' => 'V',
        'Ꮃ' => 'W',
        'Ꮓ' => 'Z',
        // Latin letters of other languages and of phonetics.
        'ı' | 'ɩ' | 'ɪ' => 'i',
        'ȷ' => 'j',
        'ɡ' => 'g',
        'ɑ' => 'a',
        'ʋ' => 'v',
        'ʟ' => 'L',
        'ʏ' => 'Y',
        'ɴ' => 'N',
        'ʀ' => 'R',
        'ʜ' => 'H',
        'ʙ' => 'B',
        'ɢ' => 'G',
        'ƅ' => 'b',
        'ᴀ' => 'A',
        'ᴄ' => 'c',
        'ᴅ' => 'D',
        'ᴇ' => 'E',
        'ᴊ' => 'J',
        'ᴋ' => 'K',
        'ᴍ' => 'M',
        'ᴏ' => 'o',
        'ᴘ' => 'P',
        'ᴛ' => 'T',
        'ᴜ' => 'u',
        'ᴠ' => 'v',
        'ᴡ' => 'w',
        'ᴢ' => 'z',
        'ꜱ' => 's',
        'ꜰ' => 'F',
        // Digits, hyphens and points.
        '‐' | '‑' | '‒' | '−' | '⁃' | '－' => '-',
        '․' => '.',
        '∕' | '⁄' => '/',
        'ꞏ' => '.',
        '＿' => '_',
        '：' | '∶' | 'ː' => ':',
        _ => return None,
    };
    u8::try_from(plain).ok()
}

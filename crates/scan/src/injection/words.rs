//! Words: the smallest things the classifier looks at.
//!
//! A word is known by a hash of its lower-case letters and by its class from [`super::lexicon`]. Numbers, addresses and
//! punctuation that carries meaning become one word each, so that `$2,099.00` and `$45.00` are the same to the
//! classifier. Everything here is one pass over bytes, without allocation.

use super::lexicon::{self, Class};

/// Longest run of bytes that still counts as a word; what is longer is a blob (encoded data, a digest).
const WORD_BYTES_MAX: usize = 32;

/// A word of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Hash of the lower-case form.
    pub hash: u32,
    /// Class from the lexicon, or a class by shape.
    pub class: Class,
    /// Hash of the last three letters: what an unknown word may still tell.
    pub ending: u32,
    /// Whether it opens with a capital letter.
    pub capital: bool,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

/// What a byte is to the tokenizer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Letter,
    Digit,
    Wide,
    Other,
}

pub(super) const fn kind(byte: u8) -> Kind {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => Kind::Letter,
        b'0'..=b'9' => Kind::Digit,
        0x80..=0xff => Kind::Wide,
        _ => Kind::Other,
    }
}

/// Continue `hash` with one byte.
const fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(0x9E37_79B1).rotate_left(5)
}

/// The hash of a whole lower-case word, as the lexicon keys it.
pub(super) const fn hash_word(word: &[u8]) -> u32 {
    let mut hash = 0x811C_9DC5;
    let mut rest = word;
    while let [byte, tail @ ..] = rest {
        hash = step(hash, byte.to_ascii_lowercase());
        rest = tail;
    }
    hash
}

/// Length of a character of a script written without spaces that starts with `lead`, or none: each such character is
/// a word of its own, and pairs and triples of them do the rest.
const fn ideograph(lead: u8) -> bool {
    matches!(lead, 0xE3..=0xED)
}

/// Read the word that starts at `start`, where a letter, digit or wide byte stands.
pub(super) fn read(text: &[u8], start: usize) -> Word {
    let rest = text.get(start..).unwrap_or_default();
    let first = rest.first().copied().unwrap_or_default();
    if ideograph(first) {
        let end = start + rest.len().min(3);
        let hash = hash_word(rest.get(..3).unwrap_or(rest));
        return Word {
            hash,
            class: lexicon::class(hash).unwrap_or(Class::Wide),
            ending: 0,
            capital: false,
            start,
            end,
        };
    }
    let (mut hash, mut ending, mut length) = (0x811C_9DC5_u32, 0_u32, 0_usize);
    let (mut digits, mut dots, mut at) = (0_usize, 0_usize, false);
    let mut bytes = rest.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let next = bytes.peek().copied().unwrap_or(b' ');
        match kind(byte) {
            Kind::Letter => {}
            Kind::Digit => digits += 1,
            Kind::Wide if ideograph(byte) => break,
            Kind::Wide => {}
            Kind::Other => match byte {
                b'\'' if kind(next) == Kind::Letter && length > 0 => {}
                // `example.com` goes on, `email.If` is where somebody forgot a space
                b'.' | b',' | b':' if digits > 0 && kind(next) == Kind::Digit => {}
                b'.' if next.is_ascii_lowercase() => dots += 1,
                b'@' if kind(next) == Kind::Letter => at = true,
                b'/' if (dots > 0 || at) && kind(next) != Kind::Other => {}
                b':' if next == b'/' && length < 6 => dots += 1,
                b'/' if dots > 0 => {}
                b'-' | b'_' | b'=' | b'?' | b'&' | b'%' if dots > 0 && kind(next) != Kind::Other => {}
                _ => break,
            },
        }
        length += 1;
        let low = byte.to_ascii_lowercase();
        hash = step(hash, low);
        ending = (ending << 8 | u32::from(low)) & 0x00FF_FFFF;
    }
    let length = length.max(1);
    let class = if at {
        Class::Address
    } else if dots > 0 && digits < length {
        Class::Link
    } else if digits > 0 {
        Class::Number
    } else if length > WORD_BYTES_MAX {
        Class::Blob
    } else {
        lexicon::class(hash).unwrap_or(if first.is_ascii_uppercase() { Class::Name } else { Class::Other })
    };
    let hash =
        if matches!(class, Class::Address | Class::Link | Class::Number | Class::Blob) { class as u32 } else { hash };
    let ending = if matches!(class, Class::Name | Class::Other) { ending } else { 0 };
    Word { hash, class, ending, capital: first.is_ascii_uppercase(), start, end: start + length }
}

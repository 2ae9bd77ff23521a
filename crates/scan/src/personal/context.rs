//! The words around a number that say what it is.

use super::bytes::{at, before, part};
use crate::bits::{self, BLOCK};

/// How far back a word may stand from what it names. A label and a short phrase fit; the sentence before rarely does.
pub(super) const BEFORE_BYTES: usize = 64;
/// How far on: `… is my mobile`.
pub(super) const AFTER_BYTES: usize = 32;

/// Whether one of the words, given in lower case, stands shortly before `start` or shortly after `end`.
///
/// A word counts where it starts as a word; `tel` is in `tel:` and `Tel No`, and `ssn` in `user_ssn`, but `tel` is
/// not in `intel`. One that is short must end as a word, too.
pub(super) fn is_near(text: &[u8], start: usize, end: usize, words: &[&str]) -> bool {
    is_before(text, start, BEFORE_BYTES, words) || is_after(text, end, words)
}

/// As [`is_near`], looking back only, at most so many bytes.
pub(super) fn is_before(text: &[u8], start: usize, bytes: usize, words: &[&str]) -> bool {
    has_word(text, start.saturating_sub(bytes), start, words)
}

fn is_after(text: &[u8], end: usize, words: &[&str]) -> bool {
    let to = text.len().min(end.saturating_add(AFTER_BYTES));
    // What follows on another line names what stands there.
    let line = part(text, end..to).iter().position(|byte| *byte == b'\n').map_or(to, |length| end + length);
    has_word(text, end, line, words)
}

/// Whether one of the words stands between `from` and `to`. Only where a word starts is anything compared, and only
/// with the words of the same first letter: numbers are common, and few have a word near. Where there are no letters
/// at all, as in tables of numbers, a few operations say so.
fn has_word(text: &[u8], from: usize, to: usize, words: &[&str]) -> bool {
    let initials = words.iter().fold(0_u32, |initials, word| initials | initial(at(word.as_bytes(), 0)));
    let mut previous = before(text, from);
    let mut start = from;
    part(text, from..to).chunks(BLOCK).any(|chunk| {
        #[cfg(test)]
        super::work::count(chunk.len());
        let mut padded = [0; BLOCK];
        for (byte, there) in padded.iter_mut().zip(chunk) {
            *byte = *there;
        }
        let letters = bits::of(&padded, bits::letters);
        let capitals = bits::of(&padded, |bytes| bits::range(bytes, b'A', 26));
        let small = letters & !capitals;
        let behind = |bits: u64, is_before: bool| bits << 1 | u64::from(is_before);
        let after_letter = behind(letters, previous.is_ascii_alphabetic());
        // `userSsn`: a capital inside of a name starts a word.
        let after_small = behind(small, previous.is_ascii_lowercase());
        let mut starts = letters & !after_letter | capitals & after_small;
        if initials & OTHER_INITIAL != 0 {
            starts |= !letters & !after_letter;
        }
        previous = chunk.last().copied().unwrap_or(0);
        let offset = start;
        start += chunk.len();
        while starts != 0 {
            let place = starts.trailing_zeros() as usize;
            starts &= starts - 1;
            let index = offset + place;
            if initials & initial(at(text, index)) != 0
                && words.iter().any(|word| is_word(text, index, to, word.as_bytes()))
            {
                return true;
            }
        }
        false
    })
}

/// The bit of all that is no ASCII letter.
const OTHER_INITIAL: u32 = 1 << 31;

/// A bit for each letter; all that is no ASCII letter shares one.
fn initial(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => 1 << (letter - b'a'),
        _ => OTHER_INITIAL,
    }
}

/// Whether this word starts at `start`, and ends where a word may end.
fn is_word(text: &[u8], start: usize, to: usize, word: &[u8]) -> bool {
    let end = start + word.len();
    let is_same = at(text, start).eq_ignore_ascii_case(&at(word, 0))
        && end <= to
        && part(text, start..end).eq_ignore_ascii_case(word);
    let next = at(text, end);
    is_same
        && (word.len() > SHORT_BYTES
            || !next.is_ascii_alphabetic()
            || (next.is_ascii_uppercase() && before(text, end).is_ascii_lowercase()))
}

/// Words up to this length stand inside many others.
const SHORT_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_words_and_not_parts_of_words() {
        let near = |text: &str, word: &str| {
            let start = text.find('5').unwrap();
            is_near(text.as_bytes(), start, start + 1, &[word])
        };
        assert!(near("Tel: 5", "tel"));
        assert!(!near("intel 5", "tel"));
        assert!(!near("telling 5", "tel"));
        assert!(near("user_ssn=5", "ssn"));
        assert!(near("\"userSsn\": 5", "ssn"));
        assert!(!near("lessn 5", "ssn"));
        assert!(near("phones 5", "phone"), "a long word may go on, as plurals do");
        assert!(near("5 is my mobile", "mobile"));
        assert!(!near("5\nmobile", "mobile"), "the next line has its own number");
    }
}

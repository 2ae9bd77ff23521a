//! Text that a person reading it doesn't see, or sees in another order than it is stored.

use std::ops::Range;

use crate::detector::Hit;
use crate::normal::letters::{first_letter, is_invisible, selector, tag};

/// Letters without width in a row; flags and families of emoji are joined by one at a time.
const INVISIBLE_ROW_MIN: usize = 3;
/// Variation selectors in a row that spell something.
const SELECTORS_MIN: usize = 4;
/// Tags after the black flag are the flags of regions, with at most so many letters.
const FLAG: char = '\u{1f3f4}';
const FLAG_TAGS_MAX: usize = 6;

/// Reports every stretch of invisible letters that has no honest use, and every turn of the reading direction around
/// plain letters.
pub(crate) fn look(text: &[u8], mut report: impl FnMut(Hit)) {
    let mut at = 0;
    let mut before = None;
    while let Some(start) = next_wide(text, at) {
        if start > at {
            before = text.get(start - 1).copied().map(char::from);
        }
        let rest = text.get(start..).unwrap_or_default();
        let Some(letter) = first_letter(rest) else {
            at = start + 1;
            continue;
        };
        at = start + letter.len_utf8();
        if !is_invisible(letter) {
            before = Some(letter);
            continue;
        }
        let stretch = Stretch::from(rest);
        at = start + stretch.bytes;
        let after = first_letter(text.get(at..).unwrap_or_default());
        if let Some((kind, score)) = stretch.judge(before, after) {
            report(Hit { kind, score, span: Range { start, end: at } });
        }
    }
}

/// Invisible letters in a row.
#[derive(Default)]
struct Stretch {
    bytes: usize,
    letters: usize,
    tags: usize,
    selectors: usize,
    turns: usize,
    overrides: usize,
    joiners: usize,
}

impl Stretch {
    fn from(text: &[u8]) -> Self {
        let mut stretch = Self::default();
        while let Some(letter) =
            first_letter(text.get(stretch.bytes..).unwrap_or_default()).filter(|letter| is_invisible(*letter))
        {
            stretch.bytes += letter.len_utf8();
            stretch.letters += 1;
            stretch.tags += usize::from(tag(letter).is_some());
            stretch.selectors += usize::from(selector(letter).is_some());
            stretch.turns += usize::from(matches!(letter, '\u{202a}' | '\u{202b}' | '\u{2066}'..='\u{2068}'));
            stretch.overrides += usize::from(matches!(letter, '\u{202d}' | '\u{202e}'));
            stretch.joiners += usize::from(matches!(letter, '\u{200c}' | '\u{200d}' | '\u{ad}' | '\u{feff}'));
        }
        stretch
    }

    fn judge(&self, before: Option<char>, after: Option<char>) -> Option<(&'static str, u8)> {
        let is_plain = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        let between_plain = is_plain(before) && is_plain(after);
        if self.tags > 0 {
            let is_flag = before == Some(FLAG) && self.tags <= FLAG_TAGS_MAX;
            return (!is_flag).then_some(("unicode-tags", 95));
        }
        if self.selectors >= SELECTORS_MIN {
            return Some(("variation-selectors", 90));
        }
        if self.overrides > 0 {
            return Some(("bidi-override", 85));
        }
        // Isolates and embeddings belong around text of another direction.
        if self.turns > 0 && !is_right_to_left(before) && !is_right_to_left(after) {
            return Some(("bidi-override", 60));
        }
        if self.letters - self.selectors >= INVISIBLE_ROW_MIN {
            return Some(("zero-width", 80));
        }
        // A soft hyphen inside of a word is what it is made for.
        if between_plain && self.selectors < self.letters {
            let score = if self.joiners == self.letters { 40 } else { 60 };
            return Some(("zero-width", score));
        }
        None
    }
}

fn is_right_to_left(letter: Option<char>) -> bool {
    letter.is_some_and(
        |letter| matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'),
    )
}

/// The next byte that is not ASCII.
fn next_wide(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let mut offset = from;
    // The library looks at many bytes together, but says only whether there is one.
    for part in rest.chunks(PART_BYTES) {
        if !part.is_ascii() {
            return part.iter().position(|byte| !byte.is_ascii()).map(|index| offset + index);
        }
        offset += part.len();
    }
    None
}

/// Looked at together for bytes that are not ASCII.
const PART_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let mut found = Vec::new();
        look(text.as_bytes(), |hit| found.push((hit.kind, text[hit.span].escape_unicode().to_string())));
        let expected: Vec<_> = expected.iter().map(|(kind, span)| (*kind, span.escape_unicode().to_string())).collect();
        assert_eq!(found, expected, "in {text:?}");
    }

    #[test]
    fn sees_what_is_hidden_and_leaves_honest_uses() {
        check("hi\u{e0068}\u{e0069}", &[("unicode-tags", "\u{e0068}\u{e0069}")]);
        check("🏴\u{e0067}\u{e0062}\u{e007f}", &[]);
        check("pay\u{200b}pal", &[("zero-width", "\u{200b}")]);
        check("👩\u{200d}💻 ☀\u{fe0f} می\u{200c}خواهم", &[]);
        check("\u{feff}first", &[]);
        check("a \u{202e}gpj.exe", &[("bidi-override", "\u{202e}")]);
        check("a \u{2067}שלום\u{2069} b", &[]);
        check("if \u{2066}admin\u{2069}", &[("bidi-override", "\u{2066}")]);
        check("x\u{fe00}\u{fe01}\u{fe02}\u{fe03}", &[("variation-selectors", "\u{fe00}\u{fe01}\u{fe02}\u{fe03}")]);
        check("x\u{200b}\u{200c}\u{200b} y", &[("zero-width", "\u{200b}\u{200c}\u{200b}")]);
        check("naïve “quotes” – 日本語", &[]);
    }
}

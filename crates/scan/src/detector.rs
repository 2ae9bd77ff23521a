//! What a detector is: data that the engine compiles together with all others.
//!
//! A detector names its *hints*: what stands in, or right at, everything it finds. The engine looks for all hints of
//! all detectors in one pass, and asks a detector only where one of its hints is. Hints decide the speed: the rarer
//! they are in ordinary text and code, the less is asked.

use std::ops::Range;

use crate::sighting::Class;

/// One detector.
pub struct Detector {
    /// What sort of thing it finds.
    pub class: Class,
    /// What it finds; lower case and hyphens. It is what markers, reports and policies say.
    pub kind: &'static str,
    /// Where it wants to be asked.
    pub hints: &'static [Hint],
    /// A quick look first, for hints that ordinary text is full of: false only where `look` could find nothing. What it
    /// turns away costs next to nothing, and most processes never compile the pattern.
    pub sieve: Option<fn(&Spot<'_>) -> bool>,
    /// How it looks at such a place.
    pub look: Look,
}

impl Detector {
    /// The same with a quick look first.
    pub const fn sifted(self, sieve: fn(&Spot<'_>) -> bool) -> Self {
        Self { sieve: Some(sieve), ..self }
    }
}

/// A detector of secrets.
pub const fn secret(kind: &'static str, hints: &'static [Hint], look: Look) -> Detector {
    Detector { class: Class::Secret, kind, hints, sieve: None, look }
}

/// A place where a detector wants to be asked.
#[derive(Debug, Clone, Copy)]
pub enum Hint {
    /// One of these texts, of at least three ASCII bytes, exactly as written.
    Exact(&'static [&'static str]),
    /// One of these texts, of at least three ASCII bytes, in any case.
    AnyCase(&'static [&'static str]),
    /// One of these texts, of at least three ASCII bytes, exactly as written, where a long word opens: at least fifteen
    /// letters, digits, `_` and `-` in a row, which have no letter or digit before them. Of a text that ends in `.` the
    /// long word stands behind it. Long words are rare, so this is where short texts are looked for.
    Opens(&'static [&'static str]),
    /// A run of digits from which on there are at least so many digits, where at most one of ` `, `-`, `.`, `/` stands
    /// between two, or brackets as in `(030) 12`. Asked at every run of digits that has as many to follow. Five at
    /// least: fewer stand everywhere.
    Digits(u8),
    /// A word of letters and digits, at most 40 bytes, with at least one letter, so many digits and so many bytes.
    /// Asked once, at its first digit. Four bytes and two digits at least: `u8` and `i32` stand everywhere.
    Word {
        /// The least number of digits in it.
        digits: u8,
        /// The least number of bytes it has.
        bytes: u8,
    },
    /// A word of two to four hexadecimal digits, letters and others, with a `:` or `-` beside it.
    Group,
    /// The byte `@`.
    At,
}

/// How a detector looks at the place of a hint.
pub enum Look {
    /// The pattern begins exactly where the hint does. This is the quickest.
    From(&'static str, Score),
    /// The pattern begins where the hint does, or at most so many bytes before it.
    Around(usize, &'static str, Score),
    /// No pattern: a function that reads the place itself.
    Parse(fn(&Spot<'_>, &mut dyn FnMut(Hit))),
}

/// Gives what a pattern found a score from 1 to 100, or 0 to turn it away.
///
/// The secret is the pattern's first group that takes part, or the whole match where there is none. A pattern is
/// matched over bytes, without Unicode, leftmost first; it sees what stands before and after for `\b` and `^`.
pub type Score = fn(&Found<'_>) -> u8;

/// What a pattern found.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The text around it, for a look at what stands before and after.
    pub text: &'a [u8],
    /// Where the match with its context stands in `text`.
    pub at: Range<usize>,
    /// The match with its context.
    pub whole: &'a [u8],
    /// The part that is reported.
    pub secret: &'a [u8],
}

impl<'a> Found<'a> {
    /// The byte before the match, or zero at the start of the text.
    pub fn byte_before(&self) -> u8 {
        self.at.start.checked_sub(1).and_then(|index| self.text.get(index)).copied().unwrap_or(0)
    }

    /// What stands before the match on its line, at most so many bytes.
    pub fn line_before(&self, bytes_max: usize) -> &'a [u8] {
        let from = self.at.start.saturating_sub(bytes_max);
        let before = self.text.get(from..self.at.start).unwrap_or_default();
        match memchr::memrchr(b'\n', before) {
            Some(newline) => before.get(newline + 1..).unwrap_or_default(),
            None => before,
        }
    }

    /// What stands after the match on its line, at most so many bytes.
    pub fn line_after(&self, bytes_max: usize) -> &'a [u8] {
        let to = self.at.end.saturating_add(bytes_max).min(self.text.len());
        let after = self.text.get(self.at.end..to).unwrap_or_default();
        after.split(|byte| *byte == b'\n').next().unwrap_or_default()
    }
}

/// A place where a hint is.
#[derive(Debug, Clone)]
pub struct Spot<'a> {
    /// The text around the place.
    pub text: &'a [u8],
    /// The hint itself: the literal, the `@`, the run of digits, or the whole word.
    pub at: Range<usize>,
}

impl<'a> Spot<'a> {
    /// The so many bytes before the hint, or none if there are fewer.
    pub fn before(&self, count: usize) -> &'a [u8] {
        self.at.start.checked_sub(count).and_then(|from| self.text.get(from..self.at.start)).unwrap_or_default()
    }

    /// The hint itself.
    pub fn hint(&self) -> &'a [u8] {
        self.text.get(self.at.clone()).unwrap_or_default()
    }

    /// All that stands behind the hint.
    pub fn after(&self) -> &'a [u8] {
        self.text.get(self.at.end..).unwrap_or_default()
    }
}

/// What a parsing detector found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is; the detector's own kind, or another one.
    pub kind: &'static str,
    /// From 1 to 100.
    pub score: u8,
    /// Where it stands in the text that was looked at.
    pub span: Range<usize>,
}

/// Looks at text as a whole instead of at places in it, such as a classifier.
pub trait Feature: Sync {
    /// What sort of thing it finds.
    fn class(&self) -> Class;

    /// Looks at the text and reports what it sees, in any order.
    fn look(&self, text: &Text<'_>, report: &mut dyn FnMut(Hit));
}

/// What a [`Feature`] sees: normalised text, in which invisible letters are gone, look-alikes are plain letters and
/// escapes are undone. Spans refer to it; the engine finds the original bytes.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The bytes; nearly always UTF-8, never promised to be.
    pub bytes: &'a [u8],
    /// How many encodings were undone to see it; 0 is the text as it came.
    pub depth: u8,
}

/// For forms that nothing else has.
pub fn always(_: &Found<'_>) -> u8 {
    90
}

/// For forms that ordinary hyphenated words could have: random text nearly always has a digit and a letter.
pub fn has_digit_and_letter(found: &Found<'_>) -> u8 {
    let secret = found.secret;
    if secret.iter().any(u8::is_ascii_digit) && secret.iter().any(u8::is_ascii_alphabetic) { 80 } else { 0 }
}

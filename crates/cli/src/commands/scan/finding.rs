//! A finding: where something was seen and what it is like, never the thing itself.

use std::ops::Range;

use bartizan_scan::{Class, REPORT_SCORE, Sighting};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Of a value that can't be guessed, the first characters are shown; they are its issuer's prefix.
const SHOWN_CHARACTERS: usize = 4;
/// Below this a prefix would be too much of the whole.
const SHOWN_OF: usize = 16;
/// How far around a finding its line is read, for a comment that says to leave it.
const COMMENT_BYTES_MAX: usize = 4096;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub class: &'static str,
    pub kind: String,
    pub score: u8,
    pub path: String,
    /// Counted from one.
    pub line: usize,
    /// In characters, counted from one.
    pub column: usize,
    pub end_line: usize,
    /// The character after the last.
    pub end_column: usize,
    /// The first characters and how many there are.
    pub value: String,
    /// Recognises the same value again.
    pub fingerprint: Fingerprint,
    /// The oldest commit that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// A digest of kind and value. Of a random key it is long enough to tell all keys apart; of what could be guessed by
/// trying (a password, a number of an account, a name) it is so short that a guess can't be confirmed with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    fn new(class: Class, kind: &str, value: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"bartizan scan 1\0");
        digest.update(kind.as_bytes());
        digest.update(b"\0");
        digest.update(value);
        let guessable = class != Class::Secret || value.len() < SHOWN_OF;
        let bytes = if guessable { 2 } else { 10 };
        Self(digest.finalize().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A piece of content at hand, and the place in the whole up to which lines are counted.
pub struct Window<'a> {
    pub bytes: &'a [u8],
    /// The offset of the first byte.
    pub offset: usize,
}

/// How far lines and columns are counted: each byte is looked at once, however many findings there are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// In the whole content.
    at: usize,
    line: usize,
    column: usize,
}

impl Place {
    /// Moves on over these bytes, which follow.
    pub fn pass(&mut self, bytes: &[u8]) {
        self.at += bytes.len();
        let tail = match memchr::memrchr(b'\n', bytes) {
            Some(newline) => {
                self.line += memchr::memchr_iter(b'\n', bytes).count();
                self.column = 0;
                bytes.get(newline + 1..).unwrap_or_default()
            }
            None => bytes,
        };
        // Characters, whichever of their bytes comes last: those that go on a character don't count.
        self.column += tail.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    }

    /// Moves on to an offset in a window that has it.
    pub fn pass_to(&mut self, window: &Window<'_>, offset: usize) {
        let from = self.at.saturating_sub(window.offset);
        let to = offset.saturating_sub(window.offset);
        self.pass(window.bytes.get(from..to).unwrap_or_default());
    }
}

impl Window<'_> {
    /// The finding for a sighting in this window; `None` if it is weak, outside, or a comment says to leave it.
    /// Sightings come in order, so that `place` only moves on.
    pub fn finding(&self, path: &str, sighting: &Sighting, place: &mut Place) -> Option<Finding> {
        if sighting.score < REPORT_SCORE {
            return None;
        }
        let span = sighting.span.start.checked_sub(self.offset)?..sighting.span.end.checked_sub(self.offset)?;
        let value = self.bytes.get(span.clone())?;
        if self.is_left_alone(&span, sighting.kind) {
            return None;
        }
        place.pass_to(self, sighting.span.start);
        let start = *place;
        let mut end = start;
        end.pass(value);
        Some(Finding {
            class: sighting.class.as_str(),
            kind: sighting.kind.to_owned(),
            score: sighting.score,
            path: path.to_owned(),
            line: start.line + 1,
            column: start.column + 1,
            end_line: end.line + 1,
            end_column: end.column + 1,
            value: shown(sighting.class, value),
            fingerprint: Fingerprint::new(sighting.class, sighting.kind, value),
            commit: None,
        })
    }

    /// Whether the finding's line, or the line before it, carries a comment to leave it: `bartizan:ignore`, or
    /// `bartizan:ignore[kind,kind]`. The words of two widespread scanners are understood for secrets, so that a project
    /// needn't mark everything twice.
    fn is_left_alone(&self, span: &Range<usize>, kind: &str) -> bool {
        let from = span.start.saturating_sub(COMMENT_BYTES_MAX);
        let to = self.bytes.len().min(span.end.saturating_add(COMMENT_BYTES_MAX));
        let before = self.bytes.get(from..span.start).unwrap_or_default();
        let after = self.bytes.get(span.end..to).unwrap_or_default();
        let mut lines = before.rsplit(|byte| *byte == b'\n');
        let line_before = lines.next().unwrap_or_default();
        let line_after = after.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let above = lines.next().filter(|line| is_comment(line)).unwrap_or_default();
        [line_before, line_after, above].iter().any(|text| says_ignore(text, kind))
    }
}

/// A line that is nothing but a comment: only such a line speaks for the one below it.
fn is_comment(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    [&b"#"[..], b"//", b"--", b";", b"/*", b"<!--", b"%"].iter().any(|start| line.starts_with(start))
}

fn says_ignore(text: &[u8], kind: &str) -> bool {
    const OTHERS: [&str; 2] = ["gitleaks:allow", "pragma: allowlist secret"];
    let text = String::from_utf8_lossy(text);
    if OTHERS.iter().any(|words| text.contains(words)) {
        return true;
    }
    text.match_indices("bartizan:ignore").any(|(at, words)| {
        let rest = text.get(at + words.len()..).unwrap_or_default();
        match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((kinds, _)) => kinds.split(',').any(|named| named.trim() == kind),
            None => !rest.starts_with(|next: char| next.is_alphanumeric() || next == '['),
        }
    })
}

fn shown(class: Class, value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let count = text.chars().count();
    let shown = if class == Class::Secret && count >= SHOWN_OF { SHOWN_CHARACTERS } else { 1 };
    let start: String = text.chars().take(shown).map(|letter| if letter.is_control() { '.' } else { letter }).collect();
    format!("{start}… ({count} characters)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str, value: &str) -> Option<Finding> {
        let start = text.find(value).unwrap();
        let span = start..start + value.len();
        let sighting = Sighting { class: Class::Secret, kind: "github-token", score: 90, span };
        Window { bytes: text.as_bytes(), offset: 0 }.finding("x", &sighting, &mut Place::default())
    }

    #[test]
    fn says_where_and_never_what() {
        let finding = seen("a\nbc = abcdefghijklmnopqrstuvwxyz\n", "abcdefghijklmnopqrstuvwxyz").unwrap();
        assert_eq!((finding.line, finding.column, finding.end_column), (2, 6, 32));
        assert_eq!(finding.value, "abcd… (26 characters)");
        assert_eq!(finding.fingerprint.as_str().len(), 20);
        let short = seen("pin = hunter2!", "hunter2!").unwrap();
        assert_eq!(short.value, "h… (8 characters)");
        assert_eq!(short.fingerprint.as_str().len(), 4, "a password must not be confirmed by its digest");
    }

    #[test]
    fn comments_leave_what_they_name() {
        for text in [
            "k = SECRETVALUE0123456789 # bartizan:ignore",
            "k = SECRETVALUE0123456789 # bartizan:ignore[jwt, github-token]",
            "// bartizan:ignore\nk = SECRETVALUE0123456789",
            "k = SECRETVALUE0123456789 // gitleaks:allow",
        ] {
            assert_eq!(seen(text, "SECRETVALUE0123456789"), None, "{text}");
        }
        for text in [
            "k = SECRETVALUE0123456789 # bartizan:ignore[jwt]",
            "j = x # bartizan:ignore\nk = SECRETVALUE0123456789",
            "k = SECRETVALUE0123456789\n# bartizan:ignore",
            "k = SECRETVALUE0123456789 # bartizan:ignored",
        ] {
            assert!(seen(text, "SECRETVALUE0123456789").is_some(), "{text}");
        }
    }
}

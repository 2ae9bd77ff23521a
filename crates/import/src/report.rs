//! What became of each part of what was imported.

use serde::Serialize;

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Means the same.
    Converted,
    /// Holds back more than it did; the reason says what.
    Stricter,
    /// Has no equivalent and was left out.
    NoEquivalent,
    /// Worth knowing; nothing was lost.
    Remark,
}

impl Fate {
    /// The word shown to people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Converted => "converted",
            Self::Stricter => "stricter",
            Self::NoEquivalent => "no equivalent",
            Self::Remark => "remark",
        }
    }
}

/// One part and its fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Where it stood, dotted, e.g. `guards.egress_allowlist.allow[2]`.
    pub part: String,
    /// What became of it.
    pub fate: Fate,
    /// In a sentence, with the reason.
    pub reason: String,
}

/// Most notes kept: hostile input can't grow the report.
const NOTES_MAX: usize = 2000;
/// Longest piece of input repeated.
const QUOTED_CHARS_MAX: usize = 120;

/// Every note, in the order things were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The notes.
    pub notes: Vec<Note>,
}

impl Report {
    pub(crate) fn add(&mut self, part: impl Into<String>, fate: Fate, reason: impl Into<String>) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(Note { part: quoted(&part.into()), fate, reason: reason.into() });
        }
    }

    /// How many notes have this fate.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.notes.iter().filter(|note| note.fate == fate).count()
    }
}

/// Input as it is repeated to people: bounded, without control characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String =
        text.chars().take(QUOTED_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

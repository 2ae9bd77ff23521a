//! What a scan gives back: what was seen, how surely, and where.

use std::ops::Range;

/// The classes of what can be seen in content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A key, token or password.
    Secret,
    /// Something about a person.
    Personal,
    /// Text that tries to instruct whoever reads it.
    Injection,
    /// Text a person reading it doesn't see.
    Hidden,
}

impl Class {
    /// Every class, in the order in which they are listed everywhere.
    pub const ALL: [Self; 4] = [Self::Secret, Self::Personal, Self::Injection, Self::Hidden];

    /// The word used everywhere: `secret`, `personal`, `injection`, `hidden`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Personal => "personal",
            Self::Injection => "injection",
            Self::Hidden => "hidden",
        }
    }
}

/// One thing seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What sort of thing.
    pub class: Class,
    /// Which of its kinds, such as `github-token` or `email`.
    pub kind: &'static str,
    /// How sure the detector is, from 1 to 100.
    pub score: u8,
    /// Byte offsets in what was scanned, as it came: for something found inside of encoded text, the encoded bytes
    /// that cover it.
    pub span: Range<usize>,
}

/// From this score on, a sighting is worth a person's time. What is below is weak: redaction takes it out all the
/// same, reports leave it away.
pub const REPORT_SCORE: u8 = 50;

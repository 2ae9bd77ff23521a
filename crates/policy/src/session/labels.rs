//! Labels that data carry, and the set of those a session has read.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// A label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Label {
    /// Keys, tokens, passwords.
    Secret,
    /// Something about a person.
    Personal,
    /// Came from somewhere that may say anything.
    Untrusted,
    /// A kind of data of one's own.
    Internal(String),
}

/// Longest name of an internal label.
const NAME_BYTES_MAX: usize = 64;
/// Most internal labels of one session; policies bound it already, by their size.
const INTERNAL_MAX: usize = 4096;

impl Label {
    /// The forms, for suggestions.
    pub(crate) const NAMES: [&'static str; 4] = ["secret", "personal", "untrusted", "internal:name"];

    /// Reads a label.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "secret" => Some(Self::Secret),
            "personal" => Some(Self::Personal),
            "untrusted" => Some(Self::Untrusted),
            _ => {
                let name = text.strip_prefix("internal:")?;
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                let good = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain);
                good.then(|| Self::Internal(name.to_owned()))
            }
        }
    }

    fn bit(&self) -> u8 {
        match self {
            Self::Secret => 1,
            Self::Personal => 2,
            Self::Untrusted => 4,
            Self::Internal(_) => 8,
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret => formatter.write_str("secret"),
            Self::Personal => formatter.write_str("personal"),
            Self::Untrusted => formatter.write_str("untrusted"),
            Self::Internal(name) => write!(formatter, "internal:{name}"),
        }
    }
}

/// Labels only ever come to it.
#[derive(Debug, Default)]
pub(super) struct LabelSet {
    bits: AtomicU8,
    internal: Mutex<BTreeSet<String>>,
}

impl LabelSet {
    pub(super) fn add(&self, label: &Label) {
        if let Label::Internal(name) = label {
            let mut internal = self.internal.lock().unwrap_or_else(PoisonError::into_inner);
            if internal.len() < INTERNAL_MAX {
                internal.insert(name.clone());
            }
        }
        self.bits.fetch_or(label.bit(), Ordering::AcqRel);
    }

    pub(super) fn has(&self, label: &Label) -> bool {
        if self.bits.load(Ordering::Acquire) & label.bit() == 0 {
            return false;
        }
        match label {
            Label::Internal(name) => {
                self.internal.lock().unwrap_or_else(PoisonError::into_inner).contains(name.as_str())
            }
            _ => true,
        }
    }

    pub(super) fn all(&self) -> Vec<Label> {
        let mut all: Vec<Label> =
            [Label::Secret, Label::Personal, Label::Untrusted].into_iter().filter(|label| self.has(label)).collect();
        let internal = self.internal.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(internal.iter().cloned().map(Label::Internal));
        all
    }
}

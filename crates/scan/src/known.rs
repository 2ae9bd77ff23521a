//! Values that are known: the secrets a process holds. They are looked for as they are and in every form they usually
//! take (base64 at any place of a longer text, hexadecimal digits, percent signs, JSON escapes), exactly, so that nothing
//! else is ever taken for one.
//!
//! Values and forms are kept in locked memory and nowhere else: the search has no tables made of them, only two bits of
//! a hash of their first bytes.

mod forms;
mod mask;

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_crypto::{Locked, LockedError};

pub use mask::Mask;

/// What a known value is called in markers.
pub(crate) const KIND: &str = "known-secret";

/// Fewer bytes stand in ordinary text by chance: a value as short can't be told from it.
pub const KNOWN_BYTES_MIN: usize = 8;
/// Longest value: a private key in PEM fits.
pub const KNOWN_BYTES_MAX: usize = 64 * 1024;

/// Values that are known, shared by everything that must not show them. Cheap to clone; what is added is known to all
/// clones at once.
#[derive(Clone, Default)]
pub struct Known {
    needles: Arc<RwLock<Arc<Needles>>>,
}

/// Why a value can't be looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownError {
    /// Too short or too long.
    #[error(
        "a secret has {KNOWN_BYTES_MIN} to {KNOWN_BYTES_MAX} bytes, this one has {bytes}: a shorter one can't be told from ordinary text and so can't be kept out of it"
    )]
    Length {
        /// How many it has.
        bytes: usize,
    },
    /// It can't be kept.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

impl Known {
    /// Looks for this value, too, from now on.
    ///
    /// # Errors
    /// It is too short to be told from ordinary text, too long, or there is no memory.
    pub fn add(&self, value: &[u8]) -> Result<(), KnownError> {
        if !(KNOWN_BYTES_MIN..=KNOWN_BYTES_MAX).contains(&value.len()) {
            return Err(KnownError::Length { bytes: value.len() });
        }
        let mut held = self.needles.write().unwrap_or_else(PoisonError::into_inner);
        if held.find(value, 0).is_some_and(|found| found == (0..value.len())) {
            return Ok(());
        }
        *held = Arc::new(held.with(value)?);
        Ok(())
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needles().values.is_empty()
    }

    /// For bytes that come in pieces.
    #[must_use]
    pub fn mask(&self) -> Mask {
        Mask::new(self.clone())
    }

    pub(crate) fn needles(&self) -> Arc<Needles> {
        self.needles.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where known values stand: in order, apart from each other.
    pub(crate) fn find_all(&self, text: &[u8]) -> Vec<Range<usize>> {
        let needles = self.needles();
        let mut found: Vec<Range<usize>> = Vec::new();
        if needles.values.is_empty() {
            return found;
        }
        let mut from = 0;
        while let Some(span) = needles.find(text, from) {
            // Another value may begin within this one.
            from = span.start + 1;
            match found.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => found.push(span),
            }
        }
        found
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Known(..)")
    }
}

/// Every form of every value.
#[derive(Default)]
pub(crate) struct Needles {
    values: Vec<Arc<Value>>,
    /// Which first bytes a needle has: a bit for each hash of the first four.
    starts: Option<Box<Starts>>,
    longest: usize,
}

/// Bits in the filter of first bytes: 4 KiB stay in the first-level cache, and so many needles set few of them.
const STARTS_BITS: usize = 1 << 15;
type Starts = [u64; STARTS_BITS / 64];

struct Value {
    memory: Locked,
    forms: Vec<Range<usize>>,
}

impl Value {
    fn forms(&self) -> impl Iterator<Item = &[u8]> {
        self.forms.iter().filter_map(|form| self.memory.bytes().get(form.clone()))
    }
}

fn hash(first: [u8; 4]) -> usize {
    (u32::from_le_bytes(first).wrapping_mul(0x9E37_79B1) >> 17) as usize % STARTS_BITS
}

impl Needles {
    fn with(&self, value: &[u8]) -> Result<Self, LockedError> {
        let (memory, forms) = forms::of(value)?;
        let mut values = self.values.clone();
        values.push(Arc::new(Value { memory, forms }));
        let mut starts: Box<Starts> = Box::new([0; STARTS_BITS / 64]);
        let mut longest = 0;
        for form in values.iter().flat_map(|value| value.forms()) {
            longest = longest.max(form.len());
            if let Some(first) = form.first_chunk::<4>()
                && let Some(word) = starts.get_mut(hash(*first) / 64)
            {
                *word |= 1 << (hash(*first) % 64);
            }
        }
        Ok(Self { values, starts: Some(starts), longest })
    }

    /// Whether a form may start as this does; texts of fewer than four bytes always may.
    fn may_start(&self, text: &[u8]) -> bool {
        let (Some(starts), Some(first)) = (self.starts.as_deref(), text.first_chunk::<4>()) else { return true };
        let hash = hash(*first);
        starts.get(hash / 64).is_some_and(|word| word & (1 << (hash % 64)) != 0)
    }

    /// The longest form that stands first at or after this place.
    fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let rest = text.get(from..)?;
        for (at, window) in rest.windows(4).enumerate() {
            if !self.may_start(window) {
                continue;
            }
            let here = rest.get(at..).unwrap_or_default();
            let forms = self.values.iter().flat_map(|value| value.forms());
            if let Some(length) = forms.filter(|form| here.starts_with(form)).map(<[u8]>::len).max() {
                return Some(from + at..from + at + length);
            }
        }
        None
    }

    /// How many bytes at the end of this text may be the beginning of a form.
    fn begun(&self, text: &[u8]) -> usize {
        let most = text.len().min(self.longest.saturating_sub(1));
        let forms = || self.values.iter().flat_map(|value| value.forms());
        (1..=most)
            .rev()
            .find(|length| {
                let tail = text.get(text.len() - length..).unwrap_or_default();
                self.may_start(tail) && forms().any(|form| form.len() > *length && form.starts_with(tail))
            })
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &[u8] = b"s3cr\"t/+valu\\e~of&mine";

    fn known() -> Known {
        let known = Known::default();
        known.add(VALUE).unwrap();
        known
    }

    #[test]
    fn short_values_are_refused() {
        assert!(Known::default().add(b"1234567").is_err() && Known::default().add(b"12345678").is_ok());
        assert!(Known::default().is_empty() && !known().is_empty());
    }

    #[test]
    fn what_is_known_already_is_kept_once() {
        let known = known();
        known.add(VALUE).unwrap();
        assert_eq!(known.needles().values.len(), 1);
    }

    #[test]
    fn finds_values_beside_and_within_each_other() {
        let known = Known::default();
        known.add(b"abcdefgh").unwrap();
        known.add(b"efghijkl").unwrap();
        assert_eq!(known.find_all(b"..abcdefgh.abcdefghijkl"), [2..10, 11..23]);
        assert!(known.find_all(b"abcdefg hefghijk").is_empty());
    }

    #[test]
    fn shows_nothing() {
        assert_eq!(format!("{:?} {:?}", known(), known().mask()), "Known(..) Mask(..)");
    }
}

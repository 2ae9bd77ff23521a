//! The short texts by which long words open, such as `hf_` and `sk_`.
//!
//! Three bytes are everywhere in code; where a word of fifteen bytes and more begins is not, so they are looked for
//! only there.

use super::literals::{Literal, Place};

/// Bits of the table of first bytes; a few hundredths of them are set.
const SET_BITS: u32 = 12;
const SET_WORDS: usize = 1 << (SET_BITS - 6);

/// The texts of all detectors.
pub(super) struct Openings {
    set: [u64; SET_WORDS],
    /// In the order of their three bytes.
    texts: Vec<(u32, Literal)>,
}

impl Openings {
    pub(super) fn new(literals: impl Iterator<Item = Literal>) -> Self {
        let keyed = literals.filter_map(|literal| {
            let bytes = literal.text.as_bytes();
            let three = if is_before(literal.text) { bytes.last_chunk() } else { bytes.first_chunk() };
            Some((key(three?), literal))
        });
        let mut texts: Vec<_> = keyed.collect();
        texts.sort_by_key(|(key, _)| *key);
        let mut set = [0_u64; SET_WORDS];
        for (key, _) in &texts {
            let (word, bit) = hash(*key);
            if let Some(word) = set.get_mut(word) {
                *word |= bit;
            }
        }
        Self { set, texts }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Calls `found` for each text that opens the long word at `at`.
    #[inline]
    pub(super) fn find(&self, text: &[u8], at: usize, mut found: impl FnMut(Place)) {
        let three = |start: usize| text.get(start..).and_then(|rest| rest.first_chunk()).map(key);
        // The word itself, and what ends in a point before it.
        let before = at.checked_sub(3).and_then(three).filter(|key| *key >> 16 == u32::from(b'.'));
        for key in [three(at), before].into_iter().flatten() {
            let (word, bit) = hash(key);
            if self.set.get(word).copied().unwrap_or(0) & bit == 0 {
                continue;
            }
            let from = self.texts.partition_point(|(other, _)| *other < key);
            for (_, literal) in self.texts.iter().skip(from).take_while(|(other, _)| *other == key) {
                let length = literal.text.len();
                let Some(start) = at.checked_sub(if is_before(literal.text) { length } else { 0 }) else { continue };
                if text.get(start..start + length) == Some(literal.text.as_bytes()) {
                    found(Place { start, end: start + length, detector: literal.detector });
                }
            }
        }
    }
}

/// Whether the long word stands behind the text instead of beginning with it.
fn is_before(text: &str) -> bool {
    text.ends_with('.')
}

fn key(three: &[u8; 3]) -> u32 {
    let [first, second, third] = *three;
    u32::from_le_bytes([first, second, third, 0])
}

fn hash(key: u32) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9E37_79B1) >> (32 - SET_BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_opens_a_word_and_what_stands_before_it() {
        let literal = |(text, detector)| Literal { text, any_case: false, detector };
        let openings = Openings::new([("sk_", 0), ("sk_live_", 1), ("hvs.", 2)].into_iter().map(literal));
        let find = |text: &str, at: usize| {
            let mut found = Vec::new();
            openings.find(text.as_bytes(), at, |place| found.push((place.start..place.end, place.detector)));
            found
        };
        assert_eq!(find("sk_live_x", 0), [(0..3, 0), (0..8, 1)]);
        assert_eq!(find("a hvs.x", 6), [(2..6, 2)]);
        assert_eq!(find("SK_live hvs,x", 0), []);
        assert_eq!(find("vs.x", 3), []);
        assert_eq!(find("x", 0), []);
    }
}

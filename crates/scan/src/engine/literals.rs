//! Finds every literal hint of every detector in one pass.
//!
//! A text of some hundred thousand words holds few hints, so the pass must be quick where there are none: each four
//! neighbouring bytes are hashed into a small bit set that stays in the first-level cache, with no dependency from one
//! position to the next. Only where the bit is set are the hints themselves compared. Of each hint the rarest four
//! bytes are in the set, so that `password` doesn't stop the pass at each `word`.
//!
//! An automaton over as many hints reads one state after the other and is bound by the latency of memory; Teddy, the
//! vectorised search, is for some dozen literals. This is neither, needs no `unsafe`, and is built in microseconds.

/// Bits in the set. Eight KiB: together with the text it stays in the first-level cache of any processor.
const SET_BITS: usize = 1 << 16;
/// Chains of entries; as many as there are about hints.
const CHAINS: usize = 1 << 10;
/// Bytes that are hashed together.
const GRAM: usize = 4;
/// No further entry in a chain.
const END: u16 = u16::MAX;

/// One literal hint, and what it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Literal {
    pub text: &'static str,
    pub any_case: bool,
    /// The detector that wants to be asked.
    pub detector: u16,
}

/// The literals of all detectors.
pub(super) struct Literals {
    set: Box<[u64]>,
    /// The first entry of each chain.
    heads: Box<[u16]>,
    entries: Vec<Entry>,
}

struct Entry {
    literal: Literal,
    /// Where in the literal its rarest bytes stand.
    offset: usize,
    next: u16,
}

/// Where a literal was found, and the detector it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub start: usize,
    pub end: usize,
    pub detector: u16,
}

impl Literals {
    /// Literals of fewer than three bytes are ignored; a test keeps them out of the detectors.
    pub(super) fn new(literals: impl Iterator<Item = Literal>) -> Self {
        let mut set = vec![0_u64; SET_BITS / 64].into_boxed_slice();
        let mut heads = vec![END; CHAINS].into_boxed_slice();
        let mut entries = Vec::new();
        for literal in literals {
            let bytes = literal.text.as_bytes();
            let (offset, gram) = rarest(bytes);
            let chain = match gram {
                Gram::Four(gram) => {
                    mark(&mut set, gram);
                    chain_of(gram)
                }
                Gram::Three(gram) => {
                    // Whatever the fourth byte is; folding leaves half of them.
                    for fourth in (0..=255_u32).filter(|byte| byte & 0x20 != 0) {
                        mark(&mut set, gram | fourth << 24);
                    }
                    chain_of(gram)
                }
                Gram::None => continue,
            };
            let Some(head) = heads.get_mut(chain) else { continue };
            entries.push(Entry { literal, offset, next: *head });
            *head = u16::try_from(entries.len() - 1).unwrap_or(END);
        }
        Self { set, heads, entries }
    }

    /// Calls `found` for every literal in the text, in the order of their rarest bytes.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Place)) {
        let mut at = 0;
        // Eight positions at a time: their grams lie in eleven bytes.
        while let Some(block) = text.get(at..at + 12) {
            let (low, high) = (eight(block), eight(block.get(4..).unwrap_or_default()));
            let mut hits = 0_u32;
            for step in 0..4 {
                hits |= self.test((low >> (8 * step)) as u32) << step;
                hits |= self.test((high >> (8 * step)) as u32) << (step + 4);
            }
            while hits != 0 {
                let position = at + hits.trailing_zeros() as usize;
                hits &= hits - 1;
                self.compare(text, position, &mut found);
            }
            at += 8;
        }
        while at + 3 <= text.len() {
            self.compare(text, at, &mut found);
            at += 1;
        }
    }

    #[inline(always)]
    fn test(&self, gram: u32) -> u32 {
        let hash = hash(gram | FOLD);
        // The index is below the length by construction; the check costs nothing beside the load.
        let word = self.set.get(hash >> 6).copied().unwrap_or(0);
        (word >> (hash & 63)) as u32 & 1
    }

    #[cold]
    fn compare(&self, text: &[u8], position: usize, found: &mut impl FnMut(Place)) {
        let gram = gram_at(text, position);
        self.walk(chain_of(gram), text, position, found);
        let three = gram & 0x00FF_FFFF;
        if chain_of(three) != chain_of(gram) {
            self.walk(chain_of(three), text, position, found);
        }
    }

    fn walk(&self, chain: usize, text: &[u8], position: usize, found: &mut impl FnMut(Place)) {
        let mut next = self.heads.get(chain).copied().unwrap_or(END);
        while let Some(entry) = self.entries.get(usize::from(next)) {
            next = entry.next;
            let Some(start) = position.checked_sub(entry.offset) else { continue };
            let wanted = entry.literal.text.as_bytes();
            let Some(there) = text.get(start..start + wanted.len()) else { continue };
            if there == wanted || (entry.literal.any_case && there.eq_ignore_ascii_case(wanted)) {
                found(Place { start, end: start + wanted.len(), detector: entry.literal.detector });
            }
        }
    }
}

/// Makes small letters of capitals, and the same of some other bytes, which costs a comparison now and then.
const FOLD: u32 = 0x2020_2020;

enum Gram {
    Four(u32),
    Three(u32),
    None,
}

#[inline(always)]
fn hash(folded: u32) -> usize {
    (folded.wrapping_mul(0x9E37_79B1) >> 16) as usize
}

fn chain_of(folded: u32) -> usize {
    (folded.wrapping_mul(0x85EB_CA6B) >> 22) as usize
}

fn mark(set: &mut [u64], folded: u32) {
    let hash = hash(folded);
    if let Some(word) = set.get_mut(hash >> 6) {
        *word |= 1 << (hash & 63);
    }
}

#[inline(always)]
fn eight(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// The folded four bytes at a position; at the end of the text, fewer.
fn gram_at(text: &[u8], position: usize) -> u32 {
    let mut bytes = [0; GRAM];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = text.get(position + index).copied().unwrap_or(0);
    }
    u32::from_le_bytes(bytes) | FOLD
}

/// The rarest part of a literal, and where in it that stands.
fn rarest(literal: &[u8]) -> (usize, Gram) {
    let folded = |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |gram, byte| gram << 8 | u32::from(byte | 0x20));
    match literal.len() {
        0..3 => (0, Gram::None),
        3 => (0, Gram::Three(folded(literal))),
        _ => {
            let weight = |gram: &[u8]| gram.iter().map(|byte| commonness(*byte)).sum::<u32>();
            let best = literal.windows(GRAM).enumerate().min_by_key(|(_, gram)| weight(gram));
            best.map_or((0, Gram::None), |(offset, gram)| (offset, Gram::Four(folded(gram))))
        }
    }
}

/// How common a byte is in code and prose, roughly.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b' ' | b'e' | b't' => 10,
        b'a' | b'i' | b'n' | b'o' | b'r' | b's' => 9,
        b'c' | b'd' | b'l' | b'u' | b'_' => 8,
        b'f' | b'h' | b'm' | b'p' | b'-' | b'/' | b'=' | b':' => 6,
        b'b' | b'g' | b'w' | b'y' | b'v' | b'.' | b'0' | b'1' => 5,
        b'k' | b'x' | b'2'..=b'9' => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(literals: &[(&'static str, bool)], text: &str) -> Vec<(usize, usize)> {
        let literals = Literals::new(literals.iter().enumerate().map(|(index, (text, any_case))| Literal {
            text,
            any_case: *any_case,
            detector: index as u16,
        }));
        let mut found = Vec::new();
        literals.find(text.as_bytes(), |place| found.push((place.start, usize::from(place.detector))));
        found.sort_unstable();
        found
    }

    #[test]
    fn finds_each_literal_wherever_it_stands() {
        let literals = &[("ghp_", false), ("password", true), ("eyJ", false), ("://", true)];
        for padding in 0..40 {
            for after in [0, 1, 3, 9, 20] {
                let text = format!("{}PassWord{}", " ".repeat(padding), "x".repeat(after));
                assert_eq!(find(literals, &text), [(padding, 1)]);
                let text = format!("{}eyJ{}", "a".repeat(padding), "x".repeat(after));
                assert_eq!(find(literals, &text), [(padding, 2)]);
            }
        }
        assert_eq!(find(literals, "GHP_ EYJ"), []);
        assert_eq!(find(literals, "ghp_eyJ://"), [(0, 0), (4, 2), (7, 3)]);
    }

    #[test]
    fn finds_literals_that_overlap() {
        assert_eq!(
            find(&[("secret", true), ("secret_key", true), ("cret_", false)], "secret_key"),
            [(0, 0), (0, 1), (2, 2)]
        );
    }
}

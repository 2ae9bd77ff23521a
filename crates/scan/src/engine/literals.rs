//! Finds every literal hint of every detector in one pass.
//!
//! A text of some hundred thousand words holds few hints, so the pass must be quick where there are none: at every
//! second place, three neighbouring bytes are hashed into a small bit set, with no
//! dependency from one place to the next. Only where the bits are set are the hints themselves compared. Each hint is
//! in the set twice, for an even and for an odd place, with the rarest three bytes that there are at such places, so
//! that `password` doesn't stop the pass at each `word`.
//!
//! An automaton over as many hints reads one state after the other and is bound by the latency of memory; Teddy, the
//! vectorised search, is for some dozen literals. This is neither, needs no `unsafe`, and is built in microseconds.

/// Words in the set. Thirty-two KiB: what is used of it stays in the first-level cache, and a tenth of it is filled.
const SET_WORDS: usize = 1 << 12;
/// Chains of entries; more than there are hints.
const CHAINS: usize = 1 << CHAIN_BITS;
const CHAIN_BITS: u32 = 12;
/// Bytes that are hashed together.
const GRAM: usize = 3;
/// Places that are tested together, each two bytes after the one before.
const PLACES: usize = 12;
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
    set: Box<[u64; SET_WORDS]>,
    /// The first entry of each chain.
    heads: Box<[u16]>,
    entries: Vec<Entry>,
}

struct Entry {
    literal: Literal,
    /// Its three bytes, folded: most of what hashes alike ends here, before the literal itself is touched.
    gram: u32,
    /// How far its three bytes stand behind the start of the literal; those of a literal of three bytes may begin
    /// before it.
    offset: isize,
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
        let mut made =
            Self { set: Box::new([0; SET_WORDS]), heads: vec![END; CHAINS].into_boxed_slice(), entries: Vec::new() };
        for literal in literals {
            let bytes = literal.text.as_bytes();
            for odd in [0, 1] {
                if let Some((offset, gram)) = rarest(bytes, odd) {
                    made.mark(gram);
                    made.enter(gram, literal, offset);
                } else if let [first, second, third] = *bytes {
                    // Two known bytes beside any third, which is before or behind them; folding leaves half of all bytes.
                    let (known, offset, shift) =
                        if commonness(first) + commonness(second) < commonness(second) + commonness(third) {
                            (folded(&[0, first, second]) & !0xFF, -1, 0)
                        } else {
                            (folded(&[second, third, 0]) & 0xFFFF, 1, 16)
                        };
                    for other in (0..=255).filter(|byte| byte & 0x20 != 0) {
                        made.mark(known | other << shift);
                    }
                    made.enter(known, literal, offset);
                }
            }
        }
        made
    }

    fn mark(&mut self, gram: u32) {
        let (word, bits) = hash(gram);
        if let Some(word) = self.set.get_mut(word) {
            *word |= bits;
        }
    }

    fn enter(&mut self, gram: u32, literal: Literal, offset: isize) {
        let Some(head) = self.heads.get_mut(chain_of(gram)) else { return };
        let Ok(index) = u16::try_from(self.entries.len()) else { return };
        self.entries.push(Entry { literal, gram, offset, next: *head });
        *head = index;
    }

    /// Calls `found` for every literal in the text, in the order of the bytes that gave them away.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Place)) {
        let mut at = 0;
        // Each load of eight bytes holds the three bytes of three places.
        while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<{ 2 * PLACES + 2 }>()) {
            let mut hits = 0_u32;
            for load in 0..4 {
                let bytes = eight(block.get(6 * load..).unwrap_or_default()) | FOLD << 32 | FOLD;
                for place in 0..3 {
                    hits |= self.test((bytes >> (16 * place)) as u32) << (3 * load + place);
                }
            }
            while hits != 0 {
                let position = at + 2 * hits.trailing_zeros() as usize;
                hits &= hits - 1;
                self.compare(text, position, &mut found);
            }
            at += 2 * PLACES;
        }
        while at < text.len() {
            self.compare(text, at, &mut found);
            at += 2;
        }
    }

    #[inline(always)]
    fn test(&self, folded: u32) -> u32 {
        let (word, bits) = hash(folded);
        // The index is below the length by construction, and the compiler knows.
        let word = self.set.get(word).copied().unwrap_or(0);
        u32::from(word & bits == bits)
    }

    fn compare(&self, text: &[u8], position: usize, found: &mut impl FnMut(Place)) {
        let gram = gram_at(text, position);
        for known in [gram, gram & !0xFF, gram & 0xFFFF] {
            self.walk(known, text, position, found);
        }
    }

    #[inline]
    fn walk(&self, gram: u32, text: &[u8], position: usize, found: &mut impl FnMut(Place)) {
        let mut next = self.heads.get(chain_of(gram)).copied().unwrap_or(END);
        while let Some(entry) = self.entries.get(usize::from(next)) {
            next = entry.next;
            if entry.gram != gram {
                continue;
            }
            let Some(start) = position.checked_add_signed(-entry.offset) else { continue };
            let wanted = entry.literal.text.as_bytes();
            let Some(there) = text.get(start..start + wanted.len()) else { continue };
            let is_same = there.iter().zip(wanted).all(|(there, wanted)| there | 0x20 == wanted | 0x20)
                && (there == wanted || (entry.literal.any_case && there.eq_ignore_ascii_case(wanted)));
            if is_same {
                found(Place { start, end: start + wanted.len(), detector: entry.literal.detector });
            }
        }
    }
}

/// Makes small letters of capitals, and the same of some other bytes, which costs a comparison now and then.
const FOLD: u64 = 0x2020_2020;

/// The word of the set that three folded bytes belong to, and the two bits in it. The fourth byte doesn't matter.
#[inline(always)]
fn hash(folded: u32) -> (usize, u64) {
    let hash = (folded << 8).wrapping_mul(0x9E37_79B1);
    ((hash >> 20) as usize, 1 << (hash >> 14 & 63) | 1 << (hash >> 8 & 63))
}

fn chain_of(gram: u32) -> usize {
    (gram.wrapping_mul(0x85EB_CA6B) >> (32 - CHAIN_BITS)) as usize
}

#[inline(always)]
fn eight(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

fn folded(bytes: &[u8; GRAM]) -> u32 {
    let [first, second, third] = bytes.map(|byte| u32::from(byte | 0x20));
    first | second << 8 | third << 16
}

/// The folded three bytes at a position; at the end of the text, fewer.
fn gram_at(text: &[u8], position: usize) -> u32 {
    let mut bytes = [0; GRAM];
    for (byte, there) in bytes.iter_mut().zip(text.get(position..).unwrap_or_default()) {
        *byte = *there;
    }
    folded(&bytes)
}

/// The rarest three bytes at an even or an odd offset of a literal, if it has any there.
fn rarest(literal: &[u8], odd: usize) -> Option<(isize, u32)> {
    let weight = |gram: &[u8; GRAM]| {
        let common = std::str::from_utf8(gram).is_ok_and(|gram| COMMON.contains(&gram.to_ascii_lowercase()));
        gram.iter().map(|byte| commonness(*byte)).sum::<u32>() + if common { 20 } else { 0 }
    };
    let grams = literal.array_windows::<GRAM>().enumerate().skip(odd).step_by(2);
    let (offset, gram) = grams.min_by_key(|(_, gram)| weight(gram))?;
    Some((isize::try_from(offset).ok()?, folded(gram)))
}

/// Three letters that are common in code and prose: counted over published source.
const COMMON: &str = concat!(
    "abl ack act add age ain ait ali all alu ame and ang ard arg ars art ass atc ate ath ati ato atu aul ",
    "bje ble buf byt cal cfg cha che clo cod com con cra cti dat ded def del den der ead eam eat eco ect ",
    "efa ele elf eme enc end ent equ era ere eri err ers ert ess est esu eth etu eve exp ext fau fer fff ",
    "fie for fro fut get han has her his ial ice ide iel ile ill ime imp ind ine ing ins int ion ist ite ",
    "ith iti ive ize jec key lem len let lic lin llo loc lon low lse lue map mat men mes met min mpl mut ",
    "nam nce nde new nne non not nse nst nte nti nto num nwr obj ode oin oll ome omp one onf ons ont ope ",
    "opt ord ore orm oun out par pat per ple poi pol pos pre pro pti pub put que ran rap rat rde rea rec ",
    "ref ren req res ret rin rit rma rom ror rro rse sec sel ser set sin siz som sse sta str sul syn tar ",
    "tat tch ted tem ter tes tha the thi tho tim tio tor tra tre tri tru try tur typ ule ult ume und unw ",
    "ure urn use usi ust utu val vec ver whe wit wra ync ype yte ",
);

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

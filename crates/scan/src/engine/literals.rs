//! Finds every literal hint of every detector in one pass.
//!
//! A text of some hundred thousand words holds few hints, so the pass must be quick where there are none: at every
//! second place, four neighbouring bytes are hashed into a small bit set, with no dependency from one place to the
//! next. Only where the bit is set are the hints themselves compared. Each hint is in the set twice, for an even and
//! for an odd place, with the rarest four bytes that there are at such places, so that `password` doesn't stop the
//! pass at each `word`. Hints of three and four bytes are in it with every byte that may stand beside them, which is
//! bearable for some dozen of them; where a short text opens a long word, it is looked for there instead.
//!
//! An automaton over as many hints reads one state after the other and is bound by the latency of memory; Teddy, the
//! vectorised search, is for some dozen literals. This is neither, needs no `unsafe`, and is built in microseconds.

/// Words in the set. With 128 KiB about one bit in a hundred is set; in a smaller one, nearer to the processor, what only
/// hashes alike costs more than the way saves.
const SET_WORDS: usize = 1 << SET_BITS;
const SET_BITS: u32 = 14;
/// Buckets of entries; more than there are hints.
const BUCKETS: usize = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 12;
/// Bytes that are hashed together.
const GRAM: usize = 4;
/// Places that are tested together, each two bytes after the one before.
const PLACES: usize = 16;

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
    /// Where each bucket's entries begin; the next one's beginning is its end.
    starts: Box<[u16; BUCKETS + 1]>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Its first eight bytes, folded, or as many as it has: nearly all that hashes alike ends here.
    opening: u64,
    /// Which bits of them count.
    mask: u64,
    /// How far the hashed bytes stand behind the start of the literal; those of a short one may begin before it.
    offset: isize,
    literal: Literal,
}

/// The bytes by which a literal is found at even or at odd places.
#[derive(Debug, Clone, Copy)]
enum Key {
    /// All of the four.
    Whole(u32),
    /// The first three, with any behind them.
    First(u32),
    /// The last three, with any before them.
    Last(u32),
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
        let mut set = Box::new([0_u64; SET_WORDS]);
        let mut keyed = Vec::new();
        for literal in literals {
            let bytes = literal.text.as_bytes();
            let mut opening = [0; 8];
            let mut mask = [0; 8];
            for ((opening, mask), byte) in opening.iter_mut().zip(&mut mask).zip(bytes) {
                (*opening, *mask) = (*byte | 0x20, 0xFF);
            }
            let (opening, mask) = (u64::from_le_bytes(opening), u64::from_le_bytes(mask));
            for (offset, key) in rarest(bytes).into_iter().flatten() {
                key.grams(|gram| {
                    let (word, bit) = hash(gram);
                    if let Some(word) = set.get_mut(word) {
                        *word |= bit;
                    }
                });
                keyed.push((key.bucket(), Entry { opening, mask, offset, literal }));
            }
        }
        keyed.sort_by_key(|(bucket, _)| *bucket);
        keyed.truncate(usize::from(u16::MAX));
        let mut starts = Box::new([0_u16; BUCKETS + 1]);
        for (bucket, _) in &keyed {
            if let Some(count) = starts.get_mut(bucket + 1) {
                *count += 1;
            }
        }
        let mut before = 0;
        for start in starts.iter_mut() {
            before += *start;
            *start = before;
        }
        Self { set, starts, entries: keyed.into_iter().map(|(_, entry)| entry).collect() }
    }

    /// Calls `found` for every literal in the text, in the order of the bytes that gave them away.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Place)) {
        let mut at = 0;
        while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<{ 2 * PLACES + 2 }>()) {
            let mut hits = 0_u32;
            for place in 0..PLACES {
                hits |= self.test(four(block.get(2 * place..).unwrap_or_default()) | FOLD) << place;
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
        let (word, bit) = hash(folded);
        // The index is below the length by construction, and the compiler knows.
        u32::from(self.set.get(word).copied().unwrap_or(0) & bit != 0)
    }

    #[inline(never)]
    fn compare(&self, text: &[u8], position: usize, found: &mut impl FnMut(Place)) {
        let rest = text.get(position..).unwrap_or_default();
        let gram = match rest.first_chunk() {
            Some(chunk) => u32::from_le_bytes(*chunk),
            None => rest.iter().rev().fold(0, |gram, byte| gram << 8 | u32::from(*byte)),
        } | FOLD;
        for bucket in [Key::First(gram).bucket(), Key::Last(gram).bucket()] {
            let Some([start, end]) = self.starts.get(bucket..).and_then(|starts| starts.first_chunk()) else {
                continue;
            };
            for entry in self.entries.get(usize::from(*start)..usize::from(*end)).unwrap_or_default() {
                let Some(start) = position.checked_add_signed(-entry.offset) else { continue };
                let rest = text.get(start..).unwrap_or_default();
                let wanted = entry.literal.text.as_bytes();
                let opening = rest.first_chunk().map_or(entry.opening, |chunk| u64::from_le_bytes(*chunk) | FOLD_EIGHT);
                if opening & entry.mask != entry.opening {
                    continue;
                }
                let Some(there) = rest.get(..wanted.len()) else { continue };
                if there == wanted || (entry.literal.any_case && there.eq_ignore_ascii_case(wanted)) {
                    found(Place { start, end: start + wanted.len(), detector: entry.literal.detector });
                }
            }
        }
    }
}

/// Makes small letters of capitals, and the same of some other bytes, which costs a comparison now and then.
const FOLD: u32 = 0x2020_2020;
const FOLD_EIGHT: u64 = 0x2020_2020_2020_2020;

/// The word of the set that four folded bytes belong to, and the bit in it.
#[inline(always)]
fn hash(folded: u32) -> (usize, u64) {
    let hash = folded.wrapping_mul(0x9E37_79B1);
    ((hash >> (32 - SET_BITS)) as usize, 1 << (hash >> (26 - SET_BITS) & 63))
}

impl Key {
    /// The bucket of the entries with this key. Whole ones are with those whose first three bytes are known.
    #[inline(always)]
    fn bucket(self) -> usize {
        let known = match self {
            Self::Whole(gram) | Self::First(gram) => gram << 8,
            Self::Last(gram) => gram & !0xFF | 1,
        };
        (known.wrapping_mul(0x85EB_CA6B) >> (32 - BUCKET_BITS)) as usize
    }

    /// Every four bytes that have it.
    fn grams(self, mut each: impl FnMut(u32)) {
        // Folding leaves half of all bytes.
        let any = (0..=255).filter(|byte| byte & 0x20 != 0);
        match self {
            Self::Whole(gram) => each(gram),
            Self::First(gram) => any.for_each(|byte| each(gram & 0x00FF_FFFF | byte << 24)),
            Self::Last(gram) => any.for_each(|byte| each(gram & !0xFF | byte)),
        }
    }
}

#[inline(always)]
fn four(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// The rarest bytes by which a literal can be found at even and at odd offsets, and where they are in it.
fn rarest(literal: &[u8]) -> [Option<(isize, Key)>; 2] {
    let known = |bytes: &[u8; GRAM]| u32::from_le_bytes(*bytes) | FOLD;
    let weight = |gram: &[u8]| {
        let common = gram.array_windows().filter(|three| is_common(three)).count();
        gram.iter().map(|byte| commonness(*byte)).sum::<u32>() + if common == gram.len() - 2 { 20 } else { 0 }
    };
    let mut best = [None; 2];
    let mut consider = |offset: isize, key: Key, gram: &[u8]| {
        // Four known bytes are always better than three.
        let cost = (!matches!(key, Key::Whole(_)), weight(gram));
        let [even, odd] = &mut best;
        let place = if offset & 1 == 0 { even } else { odd };
        if place.is_none_or(|(_, _, least)| cost < least) {
            *place = Some((offset, key, cost));
        }
    };
    for (offset, gram) in (0_isize..).zip(literal.array_windows::<GRAM>()) {
        consider(offset, Key::Whole(known(gram)), gram);
    }
    // A short one is known by three bytes too: its first, with any before them, and its last, with any behind them.
    if let (3..=GRAM, Some(opening @ [a, b, c]), Some(end @ [x, y, z])) =
        (literal.len(), literal.first_chunk(), literal.last_chunk())
    {
        consider(-1, Key::Last(known(&[0, *a, *b, *c])), opening);
        consider(isize::from(literal.len() == GRAM), Key::First(known(&[*x, *y, *z, 0])), end);
    }
    best.map(|best| best.map(|(offset, key, _)| (offset, key)))
}

#[allow(clippy::indexing_slicing, reason = "places are below the length by construction")]
fn is_common(three: &[u8; 3]) -> bool {
    /// A bit for each three letters.
    static TABLE: [u64; LETTERS.pow(3).div_ceil(64)] = {
        let (mut table, mut rest) = ([0; LETTERS.pow(3).div_ceil(64)], COMMON.as_bytes());
        while let Some((three, more)) = rest.split_first_chunk() {
            if let Some(place) = place_of(three) {
                table[place / 64] |= 1 << (place % 64);
            }
            rest = more.split_at(1).1;
        }
        table
    };
    place_of(three).is_some_and(|place| TABLE[place / 64] >> (place % 64) & 1 != 0)
}

const LETTERS: usize = 26;

/// The place of three letters among all; capitals are the same letters.
const fn place_of([first, second, third]: &[u8; 3]) -> Option<usize> {
    match (letter(*first), letter(*second), letter(*third)) {
        (Some(first), Some(second), Some(third)) => Some((first * LETTERS + second) * LETTERS + third),
        _ => None,
    }
}

const fn letter(byte: u8) -> Option<usize> {
    let byte = byte.to_ascii_lowercase();
    if byte.is_ascii_lowercase() { Some((byte - b'a') as usize) } else { None }
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

//! Base64 and hexadecimal digits: long runs of letters and digits, on one line or wrapped over many.
//!
//! Most long runs are names and paths. A run is decoded only where its letters are mixed as an encoding mixes them,
//! and what comes out is looked at only where it may be meant. A run may begin in the middle of what somebody glued to
//! it, so base64 is tried at each of its four phases.

use super::{Block, Budget, Map, is_meant};
use crate::bits::{self, BLOCK, Sixteen};

/// Shorter base64 holds no secret, only parts of words: fifteen decoded bytes.
const BASE64_MIN: usize = 20;
/// Shorter hexadecimal text is a number or a digest's beginning: twelve decoded bytes.
const HEX_MIN: usize = 24;
/// A line that is followed by another of the same text is at least this long.
const LINE_MIN: usize = 16;
/// What may stand between two lines of a text besides the line break.
const INDENT_MAX: usize = 32;

const UPPER: u8 = 1;
const LOWER: u8 = 2;
const DIGIT: u8 = 4;
/// `+` and `/` of the standard alphabet.
const STANDARD: u8 = 8;
/// `-` and `_` of the URL-safe one.
const URL_SAFE: u8 = 16;
const HEX: u8 = 32;
const ALPHABET: u8 = UPPER | LOWER | DIGIT | STANDARD | URL_SAFE;

const CLASS: [u8; 256] = classes();
/// The value of each letter in base64 and, in the upper table, as a hexadecimal digit; 255 where it has none.
const SIX: [u8; 256] = values();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        let class = match byte {
            b'A'..=b'F' => UPPER | HEX,
            b'G'..=b'Z' => UPPER,
            b'a'..=b'f' => LOWER | HEX,
            b'g'..=b'z' => LOWER,
            b'0'..=b'9' => DIGIT | HEX,
            b'+' | b'/' => STANDARD,
            b'-' | b'_' => URL_SAFE,
            _ => 0,
        };
        set(&mut table, byte, class);
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

const fn values() -> [u8; 256] {
    let mut table = [255; 256];
    let mut byte = 0_u8;
    loop {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => 255,
        };
        set(&mut table, byte, value);
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

const fn set(table: &mut [u8; 256], index: u8, value: u8) {
    if let Some((_, [first, ..])) = table.split_at_mut_checked(index as usize) {
        *first = value;
    }
}

#[inline(always)]
fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(0)
}

/// A run of letters of an alphabet, with what it is made of.
struct Run {
    start: usize,
    end: usize,
    /// The classes that occur.
    any: u8,
    /// The classes that all bytes have.
    all: u8,
}

pub(super) fn blocks(text: &[u8], budget: &mut Budget, found: &mut dyn FnMut(Block, &mut Budget)) {
    let mut from = 0;
    let mut is_spent = false;
    // The letters of the block before, and where in it runs begin: whether they are long, only the next block tells.
    let (mut before, mut begun, mut joined) = (0_u64, 0_u64, 0_u64);
    let mut look_at = |letters: u64, offset: usize| {
        let both = u128::from(letters) << 64 | u128::from(before);
        let of_two = both & both >> 1;
        let of_four = of_two & of_two >> 2;
        let of_eight = of_four & of_four >> 4;
        let of_sixteen = of_eight & of_eight >> 8;
        let long = of_sixteen & of_four >> (BASE64_MIN - 4);
        let mut begins = begun & long as u64;
        (before, begun, joined) = (letters, letters & !(letters << 1 | joined), letters >> 63);
        while begins != 0 && !is_spent {
            let start = (offset + begins.trailing_zeros() as usize).saturating_sub(BLOCK);
            begins &= begins - 1;
            let run = self::from(text, start, ALPHABET);
            if run.end <= from {
                continue;
            }
            from = run.end.max(look(text, &run, budget, found));
            if budget.room() == 0 {
                budget.exceeded = true;
                is_spent = true;
            }
        }
    };
    let mut end = 0;
    bits::blocks(text, |offset, block| {
        look_at(bits::of(block, is_lettered), offset);
        end = offset + BLOCK;
    });
    look_at(0, end);
}

/// The letters of all alphabets.
#[inline(always)]
fn is_lettered(bytes: Sixteen) -> Sixteen {
    let signs =
        bits::equal(bytes, b'+') | bits::equal(bytes, b'/') | bits::equal(bytes, b'-') | bits::equal(bytes, b'_');
    bits::digits(bytes) | bits::letters(bytes) | signs
}

/// The run of letters of these classes from a place on.
fn from(text: &[u8], start: usize, wanted: u8) -> Run {
    let (mut any, mut all, mut end) = (0, u8::MAX, start);
    for byte in text.get(start..).unwrap_or_default() {
        let class = class(*byte);
        if class & wanted == 0 {
            break;
        }
        any |= class;
        all &= class;
        end += 1;
    }
    Run { start, end, any, all }
}

/// Looks at a run; gives where the search goes on.
fn look(text: &[u8], run: &Run, budget: &mut Budget, found: &mut dyn FnMut(Block, &mut Budget)) -> usize {
    if run.all & HEX != 0 {
        // A text in base64 has letters beyond `F`.
        return if run.end - run.start >= HEX_MIN { hex(text, run, budget, found) } else { run.end };
    }
    // Digits behind a prefix such as `0x` or `sha256-`. Text always gives some that are no letters.
    let mut start = run.start;
    while run.any & DIGIT != 0 && run.end - start >= HEX_MIN {
        let part = from(text, start, HEX);
        if part.end - part.start >= HEX_MIN {
            return hex(text, &part, budget, found).max(run.end);
        }
        start = part.end + 1;
    }
    if run.any & (STANDARD | URL_SAFE) != STANDARD | URL_SAFE {
        return base64(text, run, budget, found);
    }
    // Letters of both alphabets: parts of a path, or words joined to an encoded text. Each alphabet on its own.
    let mut end = run.end;
    for wanted in [ALPHABET & !URL_SAFE, ALPHABET & !STANDARD] {
        let mut start = run.start;
        while start < run.end {
            let part = from(text, start, wanted);
            let is_last = part.end == run.end;
            let long_enough = part.end - part.start >= BASE64_MIN;
            if long_enough && part.all & HEX == 0 {
                let next = base64(text, &part, budget, found);
                if is_last {
                    end = end.max(next);
                }
            }
            start = part.end + 1;
        }
    }
    end
}

fn base64(text: &[u8], run: &Run, budget: &mut Budget, found: &mut dyn FnMut(Block, &mut Budget)) -> usize {
    // Fifteen bytes of text give letters of both cases; names in one case don't.
    if run.any & UPPER == 0 || run.any & LOWER == 0 {
        return run.end;
    }
    let room = budget.room().saturating_add(2) / 3 * 4;
    let (lines, encoded, end) = lines(text, run, room, |class| class & ALPHABET != 0);
    for phase in 0..4 {
        let Some(bytes) = decode_base64(text, &lines, encoded, phase, budget.room()) else { break };
        if !is_meant(&bytes) {
            continue;
        }
        if !budget.take(bytes.len()) {
            break;
        }
        let map = Map::Groups { lines: skip(&lines, phase), encoded: encoded - phase, unit_out: 3, unit_in: 4 };
        found(Block { bytes, map }, budget);
        // Text at one phase is noise at the others, unless two texts were joined.
        if phase == 0 && lines.len() > 1 {
            break;
        }
    }
    end
}

fn hex(text: &[u8], run: &Run, budget: &mut Budget, found: &mut dyn FnMut(Block, &mut Budget)) -> usize {
    let (lines, encoded, end) = lines(text, run, budget.room().saturating_mul(2), |class| class & HEX != 0);
    for phase in 0..2 {
        let bytes = decode_hex(text, &lines, encoded, phase, budget.room());
        if is_meant(&bytes) && budget.take(bytes.len()) {
            let map = Map::Groups { lines: skip(&lines, phase), encoded: encoded - phase, unit_out: 1, unit_in: 2 };
            found(Block { bytes, map }, budget);
        }
    }
    end
}

/// The lines of a wrapped text: for each the number of letters before it, and where it starts; the number of letters
/// in all; where the last line ends.
fn lines(text: &[u8], run: &Run, most: usize, is_letter: impl Fn(u8) -> bool) -> (Vec<(usize, usize)>, usize, usize) {
    let mut lines = vec![(0, run.start)];
    let (mut start, mut end) = (run.start, run.end);
    let mut encoded = 0;
    loop {
        let length = end - start;
        encoded += length;
        if encoded >= most || length < LINE_MIN {
            break;
        }
        let Some(next) = next_line(text, end) else { break };
        let letters = text.get(next..).unwrap_or_default().iter().take_while(|byte| is_letter(class(**byte))).count();
        // A shorter line is the last one; what is longer, or goes on with something else, begins something else.
        let after = text.get(next + letters);
        let is_whole = after.is_none_or(|byte| b"\r\n=\"'`,;<)]}".contains(byte));
        let joins = letters == length || (length.is_multiple_of(4) && is_whole);
        if letters == 0 || letters > length || !joins {
            break;
        }
        lines.push((encoded, next));
        (start, end) = (next, next + letters);
    }
    (lines, encoded, end)
}

/// Where the line after this place begins, beyond its indentation; none where the line doesn't end here.
fn next_line(text: &[u8], end: usize) -> Option<usize> {
    let rest = text.get(end..)?;
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest).strip_prefix(b"\n")?;
    let indent = rest.iter().take(INDENT_MAX).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    Some(text.len() - rest.len() + indent)
}

/// The lines without the first few letters.
fn skip(lines: &[(usize, usize)], letters: usize) -> Vec<(usize, usize)> {
    let moved = |(before, start): &(usize, usize)| match before.checked_sub(letters) {
        Some(before) => (before, *start),
        None => (0, start + letters),
    };
    lines.iter().map(moved).collect()
}

/// The letters of all lines from a phase on.
fn letters<'a>(text: &'a [u8], lines: &'a [(usize, usize)], encoded: usize) -> impl Iterator<Item = &'a [u8]> + 'a {
    let ends = lines.iter().skip(1).map(|(before, _)| *before).chain([encoded]);
    lines.iter().zip(ends).map(|((before, start), end)| text.get(*start..start + (end - before)).unwrap_or_default())
}

/// None where so few letters are left that nothing could be meant.
fn decode_base64(text: &[u8], lines: &[(usize, usize)], encoded: usize, phase: usize, most: usize) -> Option<Vec<u8>> {
    let left = encoded.checked_sub(phase).filter(|left| *left >= BASE64_MIN - 4)?;
    let mut bytes = Vec::with_capacity((left / 4 * 3 + 3).min(most));
    let (mut group, mut filled) = (0_u32, 0);
    let mut skip = phase;
    for line in letters(text, lines, encoded) {
        let line = line.get(skip.min(line.len())..).unwrap_or_default();
        skip = 0;
        let mut rest = line;
        // Whole groups, quickly, where the line begins with one.
        if filled == 0 {
            let (groups, tail) = line.as_chunks::<4>();
            for [a, b, c, d] in groups {
                let group = six(*a) << 18 | six(*b) << 12 | six(*c) << 6 | six(*d);
                let [_, first, second, third] = group.to_be_bytes();
                bytes.extend_from_slice(&[first, second, third]);
            }
            rest = tail;
        }
        for letter in rest {
            group = group << 6 | six(*letter);
            filled += 1;
            if filled == 4 {
                let [_, first, second, third] = group.to_be_bytes();
                bytes.extend_from_slice(&[first, second, third]);
                (group, filled) = (0, 0);
            }
        }
        if bytes.len() >= most {
            bytes.truncate(most);
            return Some(bytes);
        }
    }
    // One letter alone holds no byte.
    if filled >= 2 {
        let [_, first, second, _] = (group << (6 * (4 - filled))).to_be_bytes();
        bytes.push(first);
        if filled == 3 {
            bytes.push(second);
        }
    }
    Some(bytes)
}

#[inline(always)]
fn six(letter: u8) -> u32 {
    u32::from(SIX.get(usize::from(letter)).copied().unwrap_or(0) & 63)
}

fn decode_hex(text: &[u8], lines: &[(usize, usize)], encoded: usize, phase: usize, most: usize) -> Vec<u8> {
    let digits = letters(text, lines, encoded).flatten().skip(phase).map(|digit| match digit {
        b'0'..=b'9' => digit - b'0',
        letter => letter.to_ascii_lowercase().wrapping_sub(b'a' - 10),
    });
    let mut bytes = Vec::new();
    let mut high = None;
    for digit in digits {
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => bytes.push(high | digit),
        }
        if bytes.len() >= most {
            break;
        }
    }
    bytes
}

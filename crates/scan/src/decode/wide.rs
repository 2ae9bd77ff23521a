//! UTF-16 text, as Windows programs and PowerShell's `-EncodedCommand` write it: every other byte is zero.

use super::{Block, Budget, Map, is_printable};

/// Fewer letters hold no secret, and two zero bytes between letters happen in any binary.
const LETTERS_MIN: usize = 8;

/// Whether the bytes begin as two-byte text.
pub(super) fn is_wide(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(&[0xff, 0xfe]).or_else(|| bytes.strip_prefix(&[0xfe, 0xff])).unwrap_or(bytes);
    length(bytes, false) >= LETTERS_MIN || length(bytes, true) >= LETTERS_MIN
}

pub(super) fn blocks(text: &[u8], budget: &mut Budget, found: &mut dyn FnMut(Block, &mut Budget)) {
    let mut from = 0;
    while let Some(zero) = memchr::memchr(0, text.get(from..).unwrap_or_default()) {
        let zero = from + zero;
        // Little-endian begins with the letter before the zero, big-endian with the zero itself.
        let candidates = [(zero.checked_sub(1).filter(|start| *start >= from), false), (Some(zero), true)];
        // Beside a plain letter both read well, and each loses a letter of the other.
        let mut end = None;
        for (start, big) in candidates {
            let Some(start) = start else { continue };
            let letters = length(text.get(start..).unwrap_or_default(), big);
            if letters < LETTERS_MIN {
                continue;
            }
            let letters = letters.min(budget.room());
            if letters == 0 || !budget.take(letters) {
                budget.exceeded = true;
                return;
            }
            let next = start + 2 * letters;
            let units = text.get(start..next).unwrap_or_default();
            let bytes = units.iter().skip(usize::from(big)).step_by(2).copied().collect();
            let map = Map::Groups { lines: vec![(0, start)], encoded: 2 * letters, unit_out: 1, unit_in: 2 };
            found(Block { bytes, map }, budget);
            end = end.max(Some(next));
        }
        from = end.unwrap_or_else(|| {
            // A run of zeros is no text; what comes after it may be.
            let rest = text.get(zero..).unwrap_or_default();
            zero + rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len()).max(1)
        });
    }
}

/// The number of two-byte letters at the start, all of them ASCII.
fn length(bytes: &[u8], big: bool) -> usize {
    let is_letter = |pair: &&[u8; 2]| match pair {
        [letter, 0] if !big => is_printable(*letter),
        [0, letter] if big => is_printable(*letter),
        _ => false,
    };
    bytes.as_chunks::<2>().0.iter().take_while(is_letter).count()
}

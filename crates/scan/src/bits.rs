//! Sixty-four bytes at a time: which of them are digits, signs of a word, not ASCII, as the bits of one number.
//!
//! The bytes are compared sixteen together; what is done with the bits costs a few operations for all sixty-four.

use wide::u8x16;

/// How many bytes are looked at together.
pub(crate) const BLOCK: usize = 64;

/// Sixteen bytes and whether each is meant, as all bits of it.
pub(crate) type Sixteen = u8x16;

/// The bytes that `is_member` marks; the lowest bit is the first byte.
#[inline(always)]
pub(crate) fn of(block: &[u8; BLOCK], is_member: impl Fn(Sixteen) -> Sixteen) -> u64 {
    let mut bits = 0;
    for (index, sixteen) in block.as_chunks().0.iter().enumerate() {
        bits |= u64::from(is_member(Sixteen::new(*sixteen)).to_bitmask()) << (16 * index);
    }
    bits
}

/// The bytes that equal `byte`.
#[inline(always)]
pub(crate) fn equal(bytes: Sixteen, byte: u8) -> Sixteen {
    bytes.simd_eq(Sixteen::splat(byte))
}

/// The bytes from `first` on, so many of them.
#[inline(always)]
pub(crate) fn range(bytes: Sixteen, first: u8, count: u8) -> Sixteen {
    let offset = bytes - Sixteen::splat(first);
    offset.min(Sixteen::splat(count - 1)).simd_eq(offset)
}

/// The digits.
#[inline(always)]
pub(crate) fn digits(bytes: Sixteen) -> Sixteen {
    range(bytes, b'0', 10)
}

/// The letters of ASCII.
#[inline(always)]
pub(crate) fn letters(bytes: Sixteen) -> Sixteen {
    range(bytes | Sixteen::splat(0x20), b'a', 26)
}

/// What is not ASCII.
#[inline(always)]
pub(crate) fn wide(bytes: Sixteen) -> Sixteen {
    range(bytes, 0x80, 0x80)
}

/// Calls `found` with the offset of each block of a text and its bytes; the last one is filled up with blanks.
#[inline(always)]
pub(crate) fn blocks(text: &[u8], mut found: impl FnMut(usize, &[u8; BLOCK])) {
    let (blocks, tail) = text.as_chunks::<BLOCK>();
    let mut offset = 0;
    for block in blocks {
        found(offset, block);
        offset += BLOCK;
    }
    if !tail.is_empty() {
        let mut last = [b' '; BLOCK];
        for (byte, there) in last.iter_mut().zip(tail) {
            *byte = *there;
        }
        found(offset, &last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_bit() {
        for byte in 0..=255_u8 {
            for place in 0..BLOCK {
                for around in [0, b' ', 0xFF] {
                    let mut block = [around; BLOCK];
                    block[place] = byte;
                    let bit = |bits: u64| bits >> place & 1 == 1;
                    assert_eq!(bit(of(&block, digits)), byte.is_ascii_digit());
                    assert_eq!(bit(of(&block, letters)), byte.is_ascii_alphabetic());
                    assert_eq!(bit(of(&block, wide)), !byte.is_ascii());
                    assert_eq!(bit(of(&block, |bytes| equal(bytes, b'@'))), byte == b'@');
                }
            }
        }
    }
}

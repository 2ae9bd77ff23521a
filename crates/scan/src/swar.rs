//! Eight bytes at a time in one register: which of them are digits, which equal a given byte, which are not ASCII.
//!
//! Each function gives a word in which the high bit of a byte answers for that byte, exactly.

const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
const HIGH: u64 = 0x8080_8080_8080_8080;

const fn each(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

/// The bytes that are digits.
#[inline(always)]
pub(crate) const fn digits(bytes: u64) -> u64 {
    // A digit's upper half is 3; whatever is left must not be above nine.
    let other = bytes ^ each(b'0');
    !(((other & LOW) + each(0x76)) | other) & HIGH
}

/// The bytes that equal `byte`.
#[inline(always)]
pub(crate) const fn equal(bytes: u64, byte: u8) -> u64 {
    let other = bytes ^ each(byte);
    !(((other & LOW) + LOW) | other) & HIGH
}

/// The bytes that are not ASCII.
#[inline(always)]
pub(crate) const fn wide(bytes: u64) -> u64 {
    bytes & HIGH
}

/// The place of the first byte that is marked, if any is.
#[inline(always)]
pub(crate) const fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_answers_for_itself() {
        for byte in 0..=255_u8 {
            for place in 0..8 {
                for around in [0, b'0' - 1, b'0', b'9', b'9' + 1, 0x7f, 0x80, 0xff] {
                    let mut bytes = [around; 8];
                    bytes[place] = byte;
                    let word = u64::from_le_bytes(bytes);
                    let answer = |marks: u64| marks >> (8 * place + 7) & 1 == 1;
                    assert_eq!(answer(digits(word)), byte.is_ascii_digit());
                    assert_eq!(answer(equal(word, b'@')), byte == b'@');
                    assert_eq!(answer(wide(word)), !byte.is_ascii());
                }
            }
        }
    }
}

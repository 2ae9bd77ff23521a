//! Looking at bytes without ever leaving them: what lies outside a text reads as zero, which is no part of anything.

use std::ops::Range;

/// The byte at `index`, or zero outside of the text.
pub(super) fn at(text: &[u8], index: usize) -> u8 {
    text.get(index).copied().unwrap_or(0)
}

/// The byte before `index`, or zero at the start.
pub(super) fn before(text: &[u8], index: usize) -> u8 {
    index.checked_sub(1).map_or(0, |index| at(text, index))
}

/// The bytes of a range; empty where the range leaves the text.
pub(super) fn part(text: &[u8], range: Range<usize>) -> &[u8] {
    text.get(range).unwrap_or_default()
}

/// Where a run of bytes that `is_member` ends, at most `bytes_max` on.
pub(super) fn run_end(text: &[u8], start: usize, bytes_max: usize, is_member: impl Fn(u8) -> bool) -> usize {
    let rest = part(text, start..text.len().min(start.saturating_add(bytes_max)));
    let length = rest.iter().position(|byte| !is_member(*byte)).unwrap_or(rest.len());
    #[cfg(test)]
    super::work::count(length + 1);
    start + length
}

/// Where a run of bytes that `is_member` and that ends at `end` starts, at most `bytes_max` back.
pub(super) fn run_start(text: &[u8], end: usize, bytes_max: usize, is_member: impl Fn(u8) -> bool) -> usize {
    let before = part(text, end.saturating_sub(bytes_max)..end);
    let length = before.iter().rev().position(|byte| !is_member(*byte)).unwrap_or(before.len());
    #[cfg(test)]
    super::work::count(length + 1);
    end - length
}

/// The value of a run of digits; none if it is empty, long or has other bytes.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

/// The values of the digits of a text, whatever stands between them.
pub(super) fn digits(text: &[u8]) -> impl DoubleEndedIterator<Item = u32> + Clone + '_ {
    text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'))
}

//! Groups of digits with one separator between: how people write long numbers.

use std::ops::Range;

use super::bytes::{at, before, run_end};

/// No number that anybody checks has more groups.
const GROUPS_MAX: usize = 8;
/// No number has more digits; longer runs are data.
const DIGITS_MAX: usize = 32;

/// Consecutive groups of digits. `4111 1111-1111` are three, with a space and a hyphen between.
pub(super) struct Groups {
    ranges: [(usize, usize); GROUPS_MAX],
    count: usize,
    /// Whether the run goes on beyond what is held here.
    is_cut: bool,
}

impl Groups {
    /// The groups from `start`, which is the first digit of a word of digits.
    pub(super) fn read(text: &[u8], start: usize) -> Self {
        let mut groups = Self { ranges: [(0, 0); GROUPS_MAX], count: 0, is_cut: false };
        let mut from = start;
        loop {
            let end = run_end(text, from, DIGITS_MAX + 1, |byte| byte.is_ascii_digit());
            let Some(range) = groups.ranges.get_mut(groups.count) else {
                groups.is_cut = true;
                break;
            };
            *range = (from, end);
            groups.count += 1;
            if end - from > DIGITS_MAX {
                groups.is_cut = true;
                break;
            }
            let is_separator = matches!(at(text, end), b' ' | b'-' | b'.' | b'/');
            if !is_separator || !at(text, end + 1).is_ascii_digit() {
                break;
            }
            from = end + 1;
        }
        groups
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(super) fn range(&self, index: usize) -> Range<usize> {
        self.ranges.get(index).filter(|_| index < self.count).map_or(0..0, |range| range.0..range.1)
    }

    pub(super) fn digits(&self, index: usize) -> usize {
        self.range(index).len()
    }

    /// The span of the groups from `first` on that have this shape, such as `3-2-4` or `11`.
    ///
    /// A digit gives the length of a group (letters from `a` on mean ten and more), the rest stands for itself; `_`
    /// is a space or a hyphen, the same throughout. What goes on with the same number is not of the shape.
    pub(super) fn matches(&self, text: &[u8], first: usize, shape: &[u8]) -> Option<Range<usize>> {
        let mut index = first;
        let mut free = None;
        for byte in shape {
            let digits = match byte {
                b'1'..=b'9' => usize::from(byte - b'0'),
                b'a'..=b'z' => usize::from(byte - b'a') + 10,
                separator => {
                    let found = at(text, self.range(index.checked_sub(1)?).end);
                    let fits = match separator {
                        b'_' => matches!(found, b' ' | b'-') && *free.get_or_insert(found) == found,
                        exact => found == *exact,
                    };
                    if !fits {
                        return None;
                    }
                    continue;
                }
            };
            if self.digits(index) != digits {
                return None;
            }
            index += 1;
        }
        let span = self.range(first).start..self.range(index.checked_sub(1)?).end;
        (is_start(text, span.start) && is_end(text, span.end)).then_some(span)
    }
}

/// Whether a number may start here: not after a point, a hyphen or a sign that belongs to it.
pub(super) fn is_start(text: &[u8], start: usize) -> bool {
    let previous = before(text, start);
    let before_that = start.checked_sub(2).map_or(0, |index| at(text, index));
    match previous {
        b'.' | b'-' | b'/' => !before_that.is_ascii_alphanumeric() && before_that != b'.',
        b'_' | b'$' | b'+' | b'\\' | b'%' | b'&' => false,
        byte => !byte.is_ascii_alphanumeric(),
    }
}

/// Whether a number may end here: not before a fraction, a hyphen or an exponent that belongs to it.
pub(super) fn is_end(text: &[u8], end: usize) -> bool {
    let after_that = at(text, end + 1);
    match at(text, end) {
        b'.' => !after_that.is_ascii_digit(),
        b'-' => !after_that.is_ascii_alphanumeric(),
        b'_' | b'%' => false,
        byte => !byte.is_ascii_alphanumeric(),
    }
}

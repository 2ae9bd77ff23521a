//! Finds `@` and runs of digits, eight bytes at a time, and says what kind of number a run begins.

use std::ops::Range;

use crate::swar;

/// No detector asks for longer numbers, and a table of numbers must not be counted to its end from each of them.
const DIGITS_MAX: u8 = 24;
/// Longer words are encoded data; the longest that somebody asks for is an Ethereum address, of 42 bytes.
const WORD_BYTES_MAX: usize = 44;

/// What stands at a place that some detector may want to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// The offset of an `@`.
    At(usize),
    /// A run of digits, with the number of digits from its start on, over single separators.
    Digits { run: Range<usize>, count: u8 },
    /// A word of letters and digits, with the number of its digits.
    Word { word: Range<usize>, digits: u8 },
}

/// Calls `found` for every mark, in order of their first digit.
pub(super) fn find(text: &[u8], mut found: impl FnMut(Mark)) {
    let (blocks, tail) = text.as_chunks::<8>();
    // Whether the byte before the block is a digit, as the lowest bit of a mask.
    let mut carry = 0_u64;
    let mut word_end = 0;
    let mut offset = 0;
    for block in blocks {
        let bytes = u64::from_le_bytes(*block);
        let digit = swar::digits(bytes);
        let starts = digit & !(digit << 8 | carry);
        carry = digit >> 56;
        let mut marks = starts | swar::equal(bytes, b'@');
        while marks != 0 {
            let at = offset + swar::first(marks);
            marks &= marks - 1;
            mark(text, at, &mut word_end, &mut found);
        }
        offset += 8;
    }
    let mut before = carry != 0;
    for (index, byte) in tail.iter().enumerate() {
        let digit = byte.is_ascii_digit();
        if (digit && !before) || *byte == b'@' {
            mark(text, offset + index, &mut word_end, &mut found);
        }
        before = digit;
    }
}

fn mark(text: &[u8], at: usize, word_end: &mut usize, found: &mut impl FnMut(Mark)) {
    let rest = text.get(at..).unwrap_or_default();
    if rest.first() == Some(&b'@') {
        found(Mark::At(at));
        return;
    }
    let run = at..at + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let count = count_from(text, &run);
    // A lone digit, as in `u8` or `x = 1`, is by far the most common.
    if count > 1 {
        found(Mark::Digits { run: run.clone(), count });
    }
    if at >= *word_end
        && let Some((word, digits)) = word_around(text, &run)
    {
        *word_end = word.end;
        found(Mark::Word { word, digits });
    }
}

/// How many digits there are from the start of a run on, where only separators stand between them.
fn count_from(text: &[u8], run: &Range<usize>) -> u8 {
    let mut count = u8::try_from(run.len()).unwrap_or(u8::MAX);
    let mut end = run.end;
    while count < DIGITS_MAX {
        let rest = text.get(end..).unwrap_or_default();
        let skip = match rest {
            [b' ' | b'-' | b'.' | b'/', b'0'..=b'9', ..] => 1,
            [b')' | b' ', b' ' | b'-' | b'.' | b'(', b'0'..=b'9', ..] => 2,
            [b')', b'0'..=b'9', ..] => 1,
            [b' ', b'-' | b'/', b' ', b'0'..=b'9', ..] => 3,
            _ => break,
        };
        let next = rest.get(skip..).unwrap_or_default();
        let length = next.iter().take(usize::from(DIGITS_MAX)).take_while(|byte| byte.is_ascii_digit()).count();
        count = count.saturating_add(u8::try_from(length).unwrap_or(u8::MAX));
        end += skip + length;
    }
    count
}

/// The word a run of digits stands in, where it has letters and is not too long, and its number of digits.
fn word_around(text: &[u8], run: &Range<usize>) -> Option<(Range<usize>, u8)> {
    let before = text.get(run.start.saturating_sub(WORD_BYTES_MAX + 1)..run.start)?;
    let letters = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let after = text.get(run.end..text.len().min(run.end + WORD_BYTES_MAX + 1))?;
    let (mut more, mut digits) = (0, run.len());
    for byte in after {
        if !byte.is_ascii_alphanumeric() {
            break;
        }
        more += 1;
        digits += usize::from(byte.is_ascii_digit());
    }
    let length = letters + run.len() + more;
    let has_letter = length > digits;
    if !has_letter || length > WORD_BYTES_MAX {
        return None;
    }
    // Only the first run of a word gets here, so no digit stands before it.
    Some((run.start - letters..run.end + more, u8::try_from(digits).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks as text, wherever in a block of eight they come to stand.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        for padding in 0..9 {
            let padded = format!("{}{text}", " ".repeat(padding));
            let mut found = Vec::new();
            find(padded.as_bytes(), |mark| {
                found.push(match mark {
                    Mark::At(at) => format!("@{}", at - padding),
                    Mark::Digits { run, count } => format!("{} {count}", &padded[run]),
                    Mark::Word { word, digits } => format!("{}:{digits}", &padded[word]),
                });
            });
            assert_eq!(found, expected, "padding {padding}");
        }
    }

    #[test]
    fn counts_digits_over_separators() {
        check("x = 1; y", &[]);
        check("4111 1111 1111 1111", &["4111 16", "1111 12", "1111 8", "1111 4"]);
        check("(212) 555-0123", &["212 10", "555 7", "0123 4"]);
        check("12, 34", &["12 2", "34 2"]);
        check("1.1.1.1", &["1 4", "1 3", "1 2"]);
        check("me@x.org 12", &["@2", "12 2"]);
    }

    #[test]
    fn sees_words_once() {
        check("u8", &["u8:1"]);
        check("RSSMRA85T10A562S", &["85 2", "RSSMRA85T10A562S:7", "10 2", "562 3"]);
        check(&"a1".repeat(30), &[]);
    }

    #[test]
    fn long_runs_of_digits_cost_no_more_than_their_length() {
        let mut marks = 0;
        find("1 ".repeat(1 << 20).as_bytes(), |_| marks += 1);
        assert_eq!(marks, (1 << 20) - 1);
    }
}

//! Finds `@`, runs of digits and long words, sixty-four bytes at a time, and says what kind of number a run begins.

use std::ops::Range;

use crate::bits::{self, BLOCK};

/// No detector asks for longer numbers, and a table of numbers must not be counted to its end from each of them.
const DIGITS_MAX: u8 = 24;
/// Nobody asks for shorter ones.
pub(crate) const NUMBER_DIGITS_MIN: u32 = 5;
/// Nobody asks for words of fewer bytes or fewer digits, but where a colon or a hyphen is beside them.
pub(crate) const WORD_BYTES_MIN: usize = 4;
pub(crate) const WORD_DIGITS_MIN: u8 = 2;
/// The groups of an address have at most so many signs.
const GROUP_BYTES_MAX: usize = 4;
/// Longer words are encoded data; the longest that somebody asks for is an Ethereum address, of 42 bytes.
const WORD_BYTES_MAX: usize = 44;
/// A word with `_` and `-` from which on it counts as long.
const LONG_BYTES_MIN: u32 = 15;

/// What stands at a place that some detector may want to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// The offset of an `@`.
    At(usize),
    /// A run of digits, with the number of digits from its start on, over single separators.
    Digits { run: Range<usize>, count: u8 },
    /// A word of letters and digits, with the number of its digits.
    Word { word: Range<usize>, digits: u8 },
    /// A short word of hexadecimal digits, at least one of them a letter, with a colon or a hyphen beside it.
    Group(Range<usize>),
    /// Where a long word of letters, digits, `_` and `-` begins with a letter or digit, and where in it another part
    /// does that has at least fifteen bytes, all parts behind it counted.
    Long(usize),
}

/// Calls `found` for every mark, in order of their first digit; those of long words stand among them.
pub(super) fn find(text: &[u8], mut found: impl FnMut(Mark)) {
    let mut state =
        State { text, digit_before: 0, alphanumeric_before: 0, word_before: 0, parts_before: 0, word_end: 0 };
    let mut end = 0;
    bits::blocks(text, |offset, block| {
        state.block(offset, block, &mut found);
        end = offset + BLOCK;
    });
    state.long(end, 0, 0, &mut found);
}

struct State<'a> {
    text: &'a [u8],
    /// Whether the byte before the block is a digit, as the lowest bit.
    digit_before: u64,
    /// Whether it is a letter or digit.
    alphanumeric_before: u64,
    /// Signs of words in the block before, and where in it the parts of words begin: whether they are long, only the
    /// next block tells.
    word_before: u64,
    parts_before: u64,
    word_end: usize,
}

impl State<'_> {
    #[inline(always)]
    fn block(&mut self, offset: usize, block: &[u8; BLOCK], found: &mut impl FnMut(Mark)) {
        let digits = bits::of(block, bits::digits);
        let letters = bits::of(block, bits::letters);
        let joined = bits::of(block, |bytes| bits::equal(bytes, b'_') | bits::equal(bytes, b'-'));
        let ats = bits::of(block, |bytes| bits::equal(bytes, b'@'));
        let alphanumeric = digits | letters;
        self.long(offset, alphanumeric, alphanumeric | joined, found);

        let starts = digits & !(digits << 1 | self.digit_before);
        self.digit_before = digits >> 63;
        let mut marks = starts | ats;
        if marks == 0 {
            return;
        }
        let separators =
            bits::of(block, |bytes| bits::equal(bytes, b' ') | bits::equal(bytes, b')') | bits::range(bytes, b'-', 3));
        while marks != 0 {
            let place = marks.trailing_zeros();
            marks &= marks - 1;
            let at = offset + place as usize;
            if ats >> place & 1 == 1 {
                found(Mark::At(at));
                continue;
            }
            // The word around, as long as the block shows it whole and what may follow a number, too.
            let end = place + (!(alphanumeric >> place)).trailing_zeros();
            let start = place - (!(alphanumeric << (63 - place) << 1)).leading_zeros().min(place);
            if start == 0 || end + 4 >= u64::BITS {
                mark(self.text, at, &mut self.word_end, found);
                continue;
            }
            // Most digits are few and alone, as in `x = 1`: nobody asks for them.
            let length = (!(digits >> place)).trailing_zeros();
            let after = place + length;
            let goes_on = separators >> after & 1 == 1 && digits >> (after + 1) & 0b111 != 0;
            if length >= NUMBER_DIGITS_MIN || goes_on {
                let run = at..at + length as usize;
                let count = count_from(self.text, &run);
                if u32::from(count) >= NUMBER_DIGITS_MIN {
                    found(Mark::Digits { run, count });
                }
            }
            let word = (u64::MAX >> (u64::BITS - (end - start))) << start;
            let is_first = digits & word & ((1 << place) - 1) == 0;
            if letters & word != 0 && is_first {
                let word = offset + start as usize..offset + end as usize;
                let digits = (digits >> start << start << (u64::BITS - end)).count_ones();
                mark_word(self.text, word, u8::try_from(digits).unwrap_or(u8::MAX), found);
            }
        }
    }

    /// Marks what opens long words in the block before, now that this one is known.
    #[inline(always)]
    fn long(&mut self, offset: usize, alphanumeric: u64, word: u64, found: &mut impl FnMut(Mark)) {
        let both = u128::from(word) << 64 | u128::from(self.word_before);
        let of_two = both & both >> 1;
        let of_four = of_two & of_two >> 2;
        let of_eight = of_four & of_four >> 4;
        let long = of_eight & of_eight >> (LONG_BYTES_MIN - 8);
        let mut opens = self.parts_before & long as u64;
        while opens != 0 {
            found(Mark::Long((offset + opens.trailing_zeros() as usize).saturating_sub(BLOCK)));
            opens &= opens - 1;
        }
        self.word_before = word;
        self.parts_before = alphanumeric & !(alphanumeric << 1 | self.alphanumeric_before);
        self.alphanumeric_before = alphanumeric >> 63;
    }
}

fn mark(text: &[u8], at: usize, word_end: &mut usize, found: &mut impl FnMut(Mark)) {
    let rest = text.get(at..).unwrap_or_default();
    let run = at..at + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let count = count_from(text, &run);
    if u32::from(count) >= NUMBER_DIGITS_MIN {
        found(Mark::Digits { run: run.clone(), count });
    }
    if at >= *word_end
        && let Some((word, digits)) = word_around(text, &run)
    {
        *word_end = word.end;
        mark_word(text, word, digits, found);
    }
}

/// Marks a word that has letters and digits, if it is one that is asked for.
#[inline(always)]
fn mark_word(text: &[u8], word: Range<usize>, digits: u8, found: &mut impl FnMut(Mark)) {
    if word.len() <= GROUP_BYTES_MAX && is_group(text, &word) {
        found(Mark::Group(word.clone()));
    }
    if (WORD_BYTES_MIN..=WORD_BYTES_MAX).contains(&word.len()) && digits >= WORD_DIGITS_MIN {
        found(Mark::Word { word, digits });
    }
}

fn is_group(text: &[u8], word: &Range<usize>) -> bool {
    let is_sign = |byte: Option<&u8>| matches!(byte, Some(b':' | b'-'));
    (is_sign(text.get(word.end)) || is_sign(word.start.checked_sub(1).and_then(|before| text.get(before))))
        && text.get(word.clone()).is_some_and(|word| word.iter().all(u8::is_ascii_hexdigit))
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
        for padding in 0..70 {
            let padded = format!("{}{text}", " ".repeat(padding));
            let mut found = Vec::new();
            find(padded.as_bytes(), |mark| {
                found.push(match mark {
                    Mark::At(at) => format!("@{}", at - padding),
                    Mark::Digits { run, count } => format!("{} {count}", &padded[run]),
                    Mark::Word { word, digits } => format!("{}:{digits}", &padded[word]),
                    Mark::Group(word) => format!("[{}]", &padded[word]),
                    Mark::Long(at) => format!("^{}", at - padding),
                });
            });
            // Long words are marked a block later.
            found.sort_by_key(|mark| mark.starts_with('^'));
            assert_eq!(found, expected, "padding {padding}");
        }
    }

    #[test]
    fn counts_digits_over_separators() {
        check("x = 1; y", &[]);
        check("123 1, 34", &[]);
        check("12345", &["12345 5"]);
        check("4111 1111 1111 1111", &["4111 16", "1111 12", "1111 8"]);
        check("(212) 555-0123", &["212 10", "555 7"]);
        check("10.12.1.1", &["10 6"]);
        check("1 - 2345", &["1 5"]);
        check("me@x.org 12", &["@2"]);
    }

    #[test]
    fn sees_words_once() {
        check("u8 x12", &[]);
        check("x123", &["x123:3"]);
        check("RSSMRA85T10A562S", &["RSSMRA85T10A562S:7", "^0"]);
        check(&"a1".repeat(30), &["^0"]);
        check("a1:ff:00-1b u8::MAX 1f", &["[a1]", "[1b]"]);
    }

    #[test]
    fn sees_long_words_and_their_parts() {
        check("a_word of-fourteen", &[]);
        check("of_fifteen_bytes", &["^0"]);
        check("two--of_fifteen_bytes", &["^0", "^5"]);
        check(&"x".repeat(200), &["^0"]);
        check(&format!("{}_{}", "x".repeat(200), "y".repeat(15)), &["^0", "^201"]);
    }

    #[test]
    fn long_runs_of_digits_cost_no_more_than_their_length() {
        let mut marks = 0;
        find("1 ".repeat(1 << 20).as_bytes(), |_| marks += 1);
        assert_eq!(marks, (1 << 20) - 4);
    }
}

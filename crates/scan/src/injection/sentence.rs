//! Sentences: where they begin and end, and the features of each.
//!
//! Mail arrives with its layout flattened: lines joined without a space, two blanks where a line ended, a headline run into
//! the next sentence. So a sentence ends at a full stop even when the blank after it is missing, at a blank line, at a
//! bar or bullet, and before a capitalised word that opens a request. Lines that are plainly source code or data are
//! passed over; the prose in comments and strings is read.

use crate::bits::{self, BLOCK};

use super::{
    lexicon::Class,
    words::{self, Kind, Word},
};

/// Words after which a sentence is cut: longer runs are tables, lists of names or deliberate padding.
const WORDS_MAX: u32 = 48;

/// Table positions for features; also the size of each weight table.
pub const FEATURES: u32 = 1 << 17;

/// One sentence as the scorer sees it when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Offset of the first byte of its first word.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
    /// Number of words.
    pub words: u32,
    /// Whether it has so many signs that it is code or a table rather than a sentence.
    pub code: bool,
}

/// Who receives features and sentences: the scorer, or the trainer.
pub trait Reader {
    /// A feature of the sentence that is being read.
    fn feature(&mut self, index: u32);
    /// The sentence that is being read ended.
    fn sentence(&mut self, sentence: Sentence);
}

/// What kind of feature; part of its hash.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Tag {
    Word = 1,
    Pair,
    ClassPair,
    ClassTriple,
    WordClass,
    ClassWord,
    OpeningClass,
    PlacedClass,
    PlacedWord,
    Ending,
    Length,
    Shape,
    SkipClass,
}

fn index(tag: Tag, first: u32, second: u32) -> u32 {
    let mixed = (first ^ (tag as u32).wrapping_mul(0x85EB_CA6B)).wrapping_mul(0xCC9E_2D51).rotate_left(13) ^ second;
    let mixed = mixed.wrapping_mul(0x9E37_79B1);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x2C1B_3C6D) >> 15
}

/// Read every sentence of `text`.
pub fn read(text: &[u8], reader: &mut impl Reader) {
    let mut state =
        State { reader, first: None, last: None, before: None, count: 0, start: 0, end: 0, seen: 0, signs: 0 };
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
        if is_prose(text.get(start..end).unwrap_or_default()) {
            state.line(text, start, end);
        } else {
            state.finish();
        }
        start = end + 1;
    }
    state.finish();
}

/// Whether a line has words that stand beside each other, and isn't a statement of a program: many signs for its words,
/// no quotation mark and no sign of a comment. Scripts without blanks count by their bytes.
///
/// Nearly all of source code ends here, so this is what decides how fast code is read. What it counts are three bytes
/// that follow each other, and the middle one of them.
fn is_prose(line: &[u8]) -> bool {
    let is_blank = |bytes| bits::equal(bytes, b' ');
    let between = count(line, |block| {
        let letters = bits::of(block, bits::letters);
        letters & bits::of(block, is_blank) >> 1 & letters >> 2
    });
    let has_words = between >= 2 || (between == 1 && line.len() < 48);
    if !has_words {
        return !line.is_ascii() && is_wide(line);
    }
    let quotes = || {
        count(line, |block| {
            let quote = |bytes| {
                let quotes = bits::equal(bytes, b'"') | bits::equal(bytes, b'\'') | bits::equal(bytes, b'`');
                quotes | bits::equal(bytes, b'/') | bits::equal(bytes, b'#')
            };
            bits::of(block, quote) >> 1
        })
    };
    let signs = count(line, |block| {
        let sign = |bytes| {
            let opening = bits::equal(bytes, b'(') | bits::equal(bytes, b'_') | bits::equal(bytes, b'{');
            opening | bits::equal(bytes, b'=') | bits::equal(bytes, b';')
        };
        bits::of(block, sign) >> 1
    });
    let is_statement = signs * 2 > between && quotes() == 0;
    !is_statement || is_wide(line)
}

/// Whether three of its bytes begin letters beyond Latin.
fn is_wide(line: &[u8]) -> bool {
    count(line, |block| bits::of(block, |bytes| bits::range(bytes, 0xC3, 0x3D))) >= 3
}

/// How many of the places from which three bytes can be read have the bit that is given for them.
#[inline(always)]
fn count(line: &[u8], bits: impl Fn(&[u8; BLOCK]) -> u64) -> u32 {
    let (mut sum, mut from) = (0, 0);
    while let Some(rest) = line.get(from..).filter(|rest| rest.len() > 2) {
        let mut padded = [0; BLOCK];
        let block = rest.first_chunk().unwrap_or_else(|| {
            for (byte, there) in padded.iter_mut().zip(rest) {
                *byte = *there;
            }
            &padded
        });
        let places = rest.len().min(BLOCK) - 2;
        sum += (bits(block) & u64::MAX >> (BLOCK - places)).count_ones();
        from += places;
    }
    sum
}

struct State<'a, R> {
    reader: &'a mut R,
    first: Option<Class>,
    last: Option<Word>,
    before: Option<Word>,
    count: u32,
    start: usize,
    end: usize,
    /// Which kinds of word the sentence has, as bits.
    seen: u32,
    /// Signs that sentences seldom have and code always.
    signs: u32,
}

impl<R: Reader> State<'_, R> {
    fn line(&mut self, text: &[u8], start: usize, end: usize) {
        let text = text.get(..end).unwrap_or(text);
        let mut position = start;
        // A line that opens with a capital or a list mark is a new sentence; one that goes on in lower case is wrapped.
        let opening = text
            .get(start..)
            .unwrap_or_default()
            .iter()
            .find(|byte| !matches!(byte, b' ' | b'\t' | b'>' | b'/' | b'#'));
        if !opening.is_some_and(u8::is_ascii_lowercase) {
            self.finish();
        }
        while let Some(&byte) = text.get(position) {
            let next = text.get(position + 1).copied().unwrap_or(b' ');
            match words::kind(byte) {
                Kind::Letter | Kind::Digit => {
                    let word = words::read(text, position);
                    position = word.end;
                    self.word(text, word);
                }
                Kind::Wide => position = self.wide(text, position, byte),
                Kind::Other => {
                    position += 1;
                    match byte {
                        b'.' | b'!' | b'?' => {
                            let ends = matches!(next, b' ' | b'"' | b'\'' | b')' | b'\t') || next.is_ascii_uppercase();
                            if ends || byte != b'.' {
                                if byte != b'.' {
                                    self.mark(byte, position);
                                }
                                self.end = self.end.max(position);
                                self.finish();
                            }
                        }
                        b'|' | b'\t' => self.finish(),
                        b' ' if next == b' ' => {
                            let rest = text.get(position..).unwrap_or_default();
                            position += rest.iter().take_while(|byte| **byte == b' ').count();
                            if text.get(position).is_some_and(u8::is_ascii_uppercase) {
                                self.finish();
                            }
                        }
                        b':' | b'"' | b'$' | b'`' => self.mark(byte, position),
                        b'<' | b'{' => {
                            self.mark(byte, position);
                            self.signs += 1;
                        }
                        b'_' | b'(' | b'=' | b';' | b'[' | b'*' | b'&' | b'\\' | b'#' | b'+' | b'~' => {
                            // `===` is one sign
                            self.signs += u32::from(next != byte);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// A byte outside ASCII: a letter, an ideograph, a bullet, a sentence's end, or a sign that says nothing.
    fn wide(&mut self, text: &[u8], position: usize, lead: u8) -> usize {
        let sign = text.get(position..position + 3).unwrap_or_default();
        match (lead, sign) {
            (_, [0xE2, 0x80, 0xA2] | [0xE3, 0x80, 0x82] | [0xEF, 0xBC, 0x9F | 0x81]) => {
                self.finish();
                position + 3
            }
            (0xE2 | 0xEF, _) => position + 3,
            (0xC2, _) => position + 2,
            (0xF0.., _) => {
                self.mark(0xF0, position);
                position + 4
            }
            (0x80..0xC0, _) => position + 1,
            _ => {
                let word = words::read(text, position);
                self.word(text, word);
                word.end
            }
        }
    }

    fn mark(&mut self, byte: u8, end: usize) {
        if self.count > 0 {
            let mark =
                Word { hash: u32::from(byte), class: Class::Mark, ending: 0, capital: false, start: end - 1, end };
            self.feed(mark);
        }
    }

    fn word(&mut self, text: &[u8], word: Word) {
        if word.capital && self.count > 0 && word.class.opens() && self.opens_here(text, word) {
            self.finish();
        }
        if self.count == 0 {
            self.start = word.start;
        }
        self.count += 1;
        self.end = word.end;
        self.feed(word);
        if self.count >= WORDS_MAX {
            self.finish();
        }
    }

    /// Whether a capitalised request opens here in the middle of a run of words, and it is no title in capitals.
    fn opens_here(&self, text: &[u8], word: Word) -> bool {
        let quoted = self.last.is_some_and(|last| last.class == Class::Mark && last.hash != u32::from(b':'));
        let goes_on = text.get(word.end) == Some(&b' ')
            && text.get(word.end + 1).is_some_and(|byte| byte.is_ascii_lowercase() || *byte == b'"' || *byte == b'\'');
        !quoted && goes_on
    }

    fn feed(&mut self, word: Word) {
        let class = word.class as u32;
        let place = self.count.saturating_sub(1);
        self.reader.feature(index(Tag::Word, word.hash, 0));
        let (last_hash, last_class) = self.last.map_or((0, 255), |last| (last.hash, last.class as u32));
        let before_class = self.before.map_or(255, |before| before.class as u32);
        self.reader.feature(index(Tag::Pair, last_hash, word.hash));
        self.reader.feature(index(Tag::ClassPair, last_class, class));
        self.reader.feature(index(Tag::ClassTriple, before_class << 8 | last_class, class));
        self.reader.feature(index(Tag::WordClass, last_hash, class));
        self.reader.feature(index(Tag::ClassWord, last_class, word.hash));
        match self.first {
            None => self.first = Some(word.class),
            Some(first) => self.reader.feature(index(Tag::OpeningClass, first as u32, class)),
        }
        self.reader.feature(index(Tag::SkipClass, before_class, class));
        if place < 3 {
            self.reader.feature(index(Tag::PlacedClass, place, class));
            self.reader.feature(index(Tag::PlacedWord, place, word.hash));
        }
        if word.ending != 0 {
            self.reader.feature(index(Tag::Ending, word.ending, u32::from(word.capital && place > 0)));
        }
        self.seen |= match word.class {
            Class::I => 1,
            Class::We => 2,
            Class::You => 4,
            Class::Your => 8,
            Class::MailNoun | Class::MeetNoun => 16,
            Class::Mark if word.hash == u32::from(b'?') => 32,
            Class::Number | Class::Link | Class::Address => 64,
            _ => 0,
        };
        self.before = self.last;
        self.last = Some(word);
    }

    fn finish(&mut self) {
        if self.count > 0 {
            let bucket = match self.count {
                0..=2 => self.count,
                3..=4 => 3,
                5..=8 => 4,
                9..=15 => 5,
                16..=30 => 6,
                _ => 7,
            };
            let first = self.first.map_or(255, |first| first as u32);
            self.reader.feature(index(Tag::Length, bucket, 0));
            self.reader.feature(index(Tag::Shape, self.seen, 0));
            self.reader.feature(index(Tag::Shape, self.seen, first + 1));
            self.reader.feature(index(Tag::Length, bucket, first + 1));
            self.reader.sentence(Sentence {
                start: self.start,
                end: self.end,
                words: self.count,
                code: self.signs * 3 > self.count,
            });
        }
        self.signs = 0;
        self.count = 0;
        self.first = None;
        self.last = None;
        self.before = None;
        self.seen = 0;
    }
}

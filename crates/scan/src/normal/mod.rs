//! Normalising: the same text in plain letters, where somebody wrote some of them otherwise.
//!
//! Escapes of JSON, programs, URLs and HTML are undone; full-width, mathematical and look-alike letters become the
//! plain ones; invisible letters go. Most texts have nothing of this and are never copied.

mod entities;
mod escapes;
pub(crate) mod letters;

use std::ops::Range;

use crate::bits;
use crate::decode::{Map, Piece};

/// How much around a rewritten place is searched again: a name before a value, a token around a letter.
const AROUND_BYTES: usize = 256;

/// Some single letters stand for whole phrases; a text of them must not grow without bound.
const GROWTH_BYTES_MAX: usize = 64 << 10;

/// A text that was rewritten here and there.
#[derive(Debug)]
pub(crate) struct Normal {
    pub bytes: Vec<u8>,
    pub map: Map,
    /// Where something may now be found that was not there before: in order, apart from each other.
    pub windows: Vec<Range<usize>>,
}

/// What one place is rewritten to.
struct Rewrite {
    /// How many bytes are rewritten.
    length: usize,
    text: Text,
    /// Whether this may hide something. The line breaks of a JSON string don't.
    is_telling: bool,
}

/// A few bytes without allocation: nearly all rewrites give one letter.
struct Text {
    bytes: [u8; 40],
    length: usize,
}

impl Text {
    fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 40];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, length: text.len() })
    }

    fn letter(letter: char) -> Self {
        let mut bytes = [0; 40];
        let mut letters = [0; 4];
        let letters = letter.encode_utf8(&mut letters).as_bytes();
        for (byte, letter) in bytes.iter_mut().zip(letters) {
            *byte = *letter;
        }
        Self { bytes, length: letters.len() }
    }

    fn byte(byte: u8) -> Self {
        let mut bytes = [0; 40];
        if let Some(first) = bytes.first_mut() {
            *first = byte;
        }
        Self { bytes, length: 1 }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The text in plain letters; none where it is so already.
pub(crate) fn normalise(text: &[u8]) -> Option<Normal> {
    let context = Context::of(text);
    let is_quoted = context.is_quoted;
    let mut rewriter = Rewriter { text, bytes: Vec::new(), pieces: Vec::new(), windows: Vec::new(), copied: 0 };
    let mut done = 0;
    suspects(text, is_quoted, |at| {
        if at < done {
            return;
        }
        if let Some(rewrite) = rewrite(text, at, &context)
            && rewriter.bytes.len() < text.len().saturating_add(GROWTH_BYTES_MAX)
        {
            done = at + rewrite.length;
            rewriter.rewrite(at, &rewrite);
        } else {
            done = at + 1;
        }
    });
    rewriter.finish()
}

/// What is known of the text as a whole.
struct Context {
    /// JSON, so that short escapes are no backslashes of somebody's path.
    is_json: bool,
    /// A mail or page in quoted-printable.
    is_quoted: bool,
}

impl Context {
    fn of(text: &[u8]) -> Self {
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_json = first.is_some_and(|byte| b"{[\"".contains(byte));
        let is_quoted = memchr::memmem::find_iter(text, b"uoted-")
            .any(|at| text.get(at + 6..at + 15).is_some_and(|rest| rest.eq_ignore_ascii_case(b"printable")));
        Self { is_json, is_quoted }
    }
}

/// Calls `found` for each byte that may begin something to rewrite.
fn suspects(text: &[u8], is_quoted: bool, mut found: impl FnMut(usize)) {
    // Without quoted-printable text, the equals sign counts as one of the others.
    let equals = if is_quoted { b'=' } else { b'%' };
    bits::blocks(text, |offset, block| {
        let mut marks = bits::of(block, |bytes| {
            let escapes = bits::equal(bytes, b'\\') | bits::equal(bytes, b'%') | bits::equal(bytes, b'&');
            escapes | bits::equal(bytes, equals) | bits::wide(bytes)
        });
        while marks != 0 {
            found(offset + marks.trailing_zeros() as usize);
            marks &= marks - 1;
        }
    });
}

fn rewrite(text: &[u8], at: usize, context: &Context) -> Option<Rewrite> {
    let rest = text.get(at..)?;
    match rest.first()? {
        b'\\' => escapes::backslash(text, at, context.is_json),
        b'%' => escapes::percent(rest),
        b'=' if context.is_quoted => escapes::quoted_printable(rest),
        b'&' => entities::entity(rest),
        byte if !byte.is_ascii() => letters::letter(text, at),
        _ => None,
    }
}

struct Rewriter<'a> {
    text: &'a [u8],
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    windows: Vec<Range<usize>>,
    copied: usize,
}

impl Rewriter<'_> {
    fn rewrite(&mut self, at: usize, rewrite: &Rewrite) {
        self.copy_to(at);
        let end = at + rewrite.length;
        let out = self.bytes.len();
        if rewrite.text.length > 0 {
            self.push_piece(out, at, rewrite.text.length, rewrite.length);
            self.bytes.extend_from_slice(rewrite.text.as_bytes());
        }
        self.copied = end;
        if rewrite.is_telling {
            let window = out.saturating_sub(AROUND_BYTES)..out + AROUND_BYTES;
            match self.windows.last_mut() {
                Some(last) if window.start <= last.end => last.end = window.end,
                _ => self.windows.push(window),
            }
        }
    }

    fn copy_to(&mut self, at: usize) {
        let kept = self.text.get(self.copied..at).unwrap_or_default();
        if !kept.is_empty() {
            if self.bytes.is_empty() {
                self.bytes.reserve(self.text.len());
            }
            self.push_piece(self.bytes.len(), self.copied, 1, 1);
            self.bytes.extend_from_slice(kept);
        }
    }

    /// Units of one kind that follow each other are one piece.
    fn push_piece(&mut self, out: usize, start: usize, unit_out: usize, unit_in: usize) {
        let small = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let wide = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let piece = Piece { out: wide(out), start: wide(start), unit_out: small(unit_out), unit_in: small(unit_in) };
        let continues = self.pieces.last().is_some_and(|last| {
            let out = (piece.out - last.out) / u32::from(last.unit_out.max(1));
            let units_match = last.unit_out == piece.unit_out && last.unit_in == piece.unit_in;
            units_match && last.start + out * u32::from(last.unit_in) == piece.start
        });
        if !continues {
            self.pieces.push(piece);
        }
    }

    fn finish(mut self) -> Option<Normal> {
        if self.copied == 0 {
            return None;
        }
        self.copy_to(self.text.len());
        let end = self.bytes.len();
        for window in &mut self.windows {
            window.end = window.end.min(end);
        }
        Some(Normal { bytes: self.bytes, map: Map::Pieces(self.pieces), windows: self.windows })
    }
}

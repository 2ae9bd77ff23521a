//! Blocks of text that hold another text: base64, hexadecimal digits, two-byte letters, compressed data.
//!
//! Each kind has a file that finds its blocks and undoes them. What comes out is looked at like any other text, and
//! the map says which bytes it came from. Everything is bounded: [`Budget`] counts the bytes that come out.

mod compressed;
mod map;
mod runs;
mod wide;

pub(crate) use map::{Map, Piece};

/// How deep texts may be nested: base64 in JSON in base64 in gzip is four. Deeper ones are no longer meant to be read.
pub(crate) const DEPTH_MAX: u8 = 5;

/// Decoded bytes for each byte that is scanned, and on top of that: what a scan costs stays in proportion to what
/// is scanned, and a small file may hold a large text.
const DECODED_PER_BYTE: usize = 4;
const DECODED_BASE: usize = 1 << 20;
/// The most bytes one block may give, and all that are looked at, one within the other, at one time: a stream's
/// memory is bounded.
const BLOCK_BYTES_MAX: usize = 512 << 10;
const LIVE_BYTES_MAX: usize = 2 << 20;

/// What may still be decoded for one text.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    /// Decoded bytes that are being looked at.
    live: usize,
    /// Whether something was left undecoded for want of budget.
    pub exceeded: bool,
}

impl Budget {
    pub(crate) fn for_text(bytes: usize) -> Self {
        Self { left: bytes.saturating_mul(DECODED_PER_BYTE).saturating_add(DECODED_BASE), live: 0, exceeded: false }
    }

    /// How many bytes the next block may give.
    pub(crate) fn room(&self) -> usize {
        self.left.min(BLOCK_BYTES_MAX).min(LIVE_BYTES_MAX.saturating_sub(self.live))
    }

    /// So many decoded bytes are being looked at from now on.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.live += bytes;
    }

    /// And no longer.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.live = self.live.saturating_sub(bytes);
    }

    /// Takes so many bytes; false, and nothing more is decoded, where there aren't as many.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let enough = bytes <= self.left;
        self.left = self.left.saturating_sub(bytes);
        self.exceeded |= !enough;
        enough
    }
}

/// A text that stood encoded in another.
#[derive(Debug)]
pub(crate) struct Block {
    pub bytes: Vec<u8>,
    pub map: Map,
}

/// Calls `found` for every block written in letters and digits that decodes to something worth a look.
pub(crate) fn lettered_blocks(text: &[u8], budget: &mut Budget, found: &mut dyn FnMut(Block, &mut Budget)) {
    runs::blocks(text, budget, found);
}

/// As [`lettered_blocks`], for blocks of bytes. They are looked for in the text as it came: in them, nothing is a letter.
pub(crate) fn binary_blocks(text: &[u8], budget: &mut Budget, found: &mut dyn FnMut(Block, &mut Budget)) {
    wide::blocks(text, budget, found);
    compressed::blocks(text, budget, found);
}

/// Whether decoded bytes may be meant: text, two-byte text or compressed data. Nearly everything that only happens to
/// be spelled with the letters of an encoding gives noise.
fn is_meant(bytes: &[u8]) -> bool {
    /// As many printable bytes in a row are rare in noise: once in some megabytes.
    const PRINTABLE_ROW: usize = 14;
    let row = PRINTABLE_ROW.min(bytes.len() / 4 * 3).max(6);
    compressed::is_magic(bytes) || has_row(bytes, row, is_printable) || wide::is_wide(bytes) || is_other_script(bytes)
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')
}

fn has_row(bytes: &[u8], length: usize, is_member: impl Fn(u8) -> bool) -> bool {
    let mut at = length.saturating_sub(1);
    // From the end of where a row would be, backwards: most rows are ruled out by a look at their last bytes.
    while at < bytes.len() {
        let from = at + 1 - length;
        let row = bytes.get(from..=at).unwrap_or_default();
        match row.iter().rposition(|byte| !is_member(*byte)) {
            None => return true,
            Some(bad) => at = from + bad + length,
        }
    }
    false
}

/// UTF-8 beyond ASCII, without control characters.
fn is_other_script(bytes: &[u8]) -> bool {
    const BYTES_MIN: usize = 18;
    const LOOKED_AT: usize = 256;
    let start = bytes.get(..bytes.len().min(LOOKED_AT)).unwrap_or_default();
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) => start.get(..error.valid_up_to()).and_then(|start| std::str::from_utf8(start).ok()).unwrap_or(""),
    };
    valid.len() >= BYTES_MIN.max(start.len().saturating_sub(3))
        && valid.chars().all(|letter| !letter.is_control() || letter.is_ascii_whitespace())
}

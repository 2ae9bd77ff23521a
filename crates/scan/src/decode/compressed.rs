//! gzip and zlib data, anywhere in a text.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Block, Budget, Map};

/// A gzip member with its one method, and zlib streams as the common programs begin them.
const GZIP: &[u8] = &[0x1f, 0x8b, 0x08];
const ZLIB: &[&[u8]] = &[&[0x78, 0x9c], &[0x78, 0xda], &[0x78, 0x01], &[0x78, 0x5e]];
/// Attempts in one text: beginnings that lead to nothing cost some microseconds each.
const ATTEMPTS_MAX: usize = 256;
/// The state of a decompressor is some ten KiB; output is taken in steps of this size.
const STEP_BYTES: usize = 16 << 10;
/// Shorter output holds nothing.
const OUTPUT_BYTES_MIN: usize = 8;

/// Whether the bytes begin as compressed data.
pub(super) fn is_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(GZIP) || ZLIB.iter().any(|start| bytes.starts_with(start))
}

pub(super) fn blocks(text: &[u8], budget: &mut Budget, found: &mut dyn FnMut(Block, &mut Budget)) {
    // Every beginning but the letters of zlib at the very start has a byte beyond ASCII.
    if text.is_ascii() && !is_magic(text) {
        return;
    }
    let mut attempts = 0;
    let mut from = 0;
    while let Some(start) = next(text, from) {
        attempts += 1;
        if attempts > ATTEMPTS_MAX {
            budget.exceeded = true;
            return;
        }
        let rest = text.get(start..).unwrap_or_default();
        from = start + 2;
        let Some((bytes, used)) = inflate(rest, budget) else { continue };
        from = start + used.max(2);
        found(Block { bytes, map: Map::Whole(start..start + used) }, budget);
    }
}

/// Where the next compressed data may begin.
fn next(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    // The beginnings of zlib that are also plain letters count only where the text itself begins.
    if from == 0 && is_magic(rest) {
        return Some(0);
    }
    let finders = [GZIP, &[0x78, 0x9c], &[0x78, 0xda]];
    finders.iter().filter_map(|start| memchr::memmem::find(rest, start)).min().map(|place| from + place)
}

/// The data and how many compressed bytes it took; what comes beyond the budget is left.
fn inflate(bytes: &[u8], budget: &mut Budget) -> Option<(Vec<u8>, usize)> {
    let (header, zlib) = if bytes.starts_with(GZIP) { (gzip_header(bytes)?, false) } else { (0, true) };
    let data = bytes.get(header..)?;
    let room = budget.room();
    let mut decoder = Decompress::new(zlib);
    let mut output = Vec::new();
    loop {
        if output.len() >= room {
            budget.exceeded = true;
            break;
        }
        output.reserve_exact(STEP_BYTES.min(room - output.len()).max(1));
        let (consumed, produced) = (decoder.total_in(), decoder.total_out());
        let rest = data.get(usize::try_from(consumed).ok()?..)?;
        // An error after some output: what came out is worth a look all the same.
        let status = decoder.decompress_vec(rest, &mut output, FlushDecompress::None);
        let is_stuck = decoder.total_in() == consumed && decoder.total_out() == produced;
        if !matches!(status, Ok(Status::Ok | Status::BufError)) || is_stuck {
            break;
        }
    }
    if output.len() < OUTPUT_BYTES_MIN || !budget.take(output.len()) {
        return None;
    }
    let trailer = if zlib { 0 } else { 8 };
    let used = header + usize::try_from(decoder.total_in()).ok()? + trailer;
    Some((output, used.min(bytes.len())))
}

/// The length of a gzip header (RFC 1952, section 2.3).
fn gzip_header(bytes: &[u8]) -> Option<usize> {
    const FIXED: usize = 10;
    let flags = *bytes.get(3)?;
    let mut length = FIXED;
    if flags & 4 != 0 {
        let extra = bytes.get(length..length + 2)?;
        length += 2 + usize::from(u16::from_le_bytes(*extra.first_chunk()?));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            length += memchr::memchr(0, bytes.get(length..)?)? + 1;
        }
    }
    Some(if flags & 2 != 0 { length + 2 } else { length })
}

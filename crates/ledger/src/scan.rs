//! Reads whole segments on all cores: lines are parsed and hashed in parallel, in chunks, and handed on in order.
//! Memory is bounded by the chunks in flight, whatever the ledger's size.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bartizan_crypto::{Hash, merkle};
use jiff::Timestamp;

use crate::entry::{LineError, entry_hash, parse_line};
use crate::lines::{Line, Lines};

/// Bytes of a segment that one worker takes at a time.
const CHUNK_BYTES: u64 = 2 * 1024 * 1024;
/// Chunks that may wait for their turn, per worker.
const CHUNKS_WAITING: usize = 2;
/// Most workers: beyond this the one that folds their results is the slowest.
const WORKERS_MAX: usize = 8;

/// A segment as far as it was written when it was looked at.
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) file: File,
    pub(crate) length: u64,
}

/// One entry as a worker sees it: everything but its place in the chain.
pub(crate) struct Parsed {
    pub(crate) seq: u64,
    pub(crate) prev: Hash,
    pub(crate) hash: Hash,
    pub(crate) leaf: Hash,
    pub(crate) at: Timestamp,
    /// Length of its line, newline included.
    pub(crate) bytes: u64,
}

/// What follows the last good entry of a chunk when it isn't the next chunk.
pub(crate) enum Broken {
    /// A line that is no entry; whether it is the last thing in its segment.
    Line { error: LineError, last: bool },
    /// The segment's last bytes, which no newline ends.
    Unended { bytes: u64 },
    /// The system can't read on.
    Io(io::Error),
}

/// A chunk's entries.
pub(crate) struct Chunk {
    /// Which of the given segments it belongs to.
    pub(crate) segment: usize,
    pub(crate) entries: Vec<Parsed>,
    pub(crate) broken: Option<Broken>,
}

/// Hands every chunk to `fold`, in order, until it answers `false`.
pub(crate) fn chunks(segments: &[Segment], mut fold: impl FnMut(Chunk) -> bool) {
    let ranges: Vec<(usize, u64)> = segments
        .iter()
        .enumerate()
        .flat_map(|(index, segment)| (0..segment.length).step_by(CHUNK_BYTES as usize).map(move |start| (index, start)))
        .collect();
    let workers = thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX).min(ranges.len());
    if workers < 2 {
        for (index, start) in ranges {
            let Some(segment) = segments.get(index) else { return };
            if !fold(read(segment, index, start)) {
                return;
            }
        }
        return;
    }
    thread::scope(|scope| {
        let ranges = &ranges;
        let results: Vec<Receiver<Chunk>> = (0..workers)
            .map(|worker| {
                let (sender, receiver) = sync_channel(CHUNKS_WAITING);
                scope.spawn(move || work(segments, ranges.iter().skip(worker).step_by(workers), &sender));
                receiver
            })
            .collect();
        // Dropping the receivers ends the workers: their next chunk finds nobody.
        for receiver in results.iter().cycle() {
            if !receiver.recv().is_ok_and(&mut fold) {
                return;
            }
        }
    });
}

fn work<'a>(segments: &[Segment], ranges: impl Iterator<Item = &'a (usize, u64)>, results: &SyncSender<Chunk>) {
    for (index, start) in ranges {
        let Some(segment) = segments.get(*index) else { return };
        if results.send(read(segment, *index, *start)).is_err() {
            return;
        }
    }
}

/// Reads the lines that begin in the chunk; the last of them may end beyond it.
fn read(segment: &Segment, index: usize, start: u64) -> Chunk {
    let end = (start + CHUNK_BYTES).min(segment.length);
    let mut chunk = Chunk { segment: index, entries: Vec::new(), broken: None };
    let mut lines = Lines::new(&segment.file, start.saturating_sub(1), segment.length);
    if start > 0 {
        // The rest of a line that began before belongs to whoever reads its beginning.
        match lines.next() {
            Ok(Line::Whole(_)) => {}
            Ok(_) => return chunk,
            Err(error) => {
                chunk.broken = Some(Broken::Io(error));
                return chunk;
            }
        }
    }
    while lines.offset() < end {
        let left = segment.length - lines.offset();
        let parsed = match lines.next() {
            Ok(Line::Whole(line)) => {
                let bytes = line.len() as u64 + 1;
                parse_line(line)
                    .map(|entry| {
                        let hash = entry_hash(line);
                        let leaf = merkle::leaf_hash(&hash);
                        Parsed { seq: entry.seq, prev: entry.prev, hash, leaf, at: entry.at, bytes }
                    })
                    .map_err(|error| Broken::Line { error, last: bytes == left })
            }
            Ok(Line::TooLong) => Err(Broken::Line { error: LineError::TooLong, last: false }),
            Ok(Line::Unended(bytes)) => Err(Broken::Unended { bytes }),
            Ok(Line::End) => break,
            Err(error) => Err(Broken::Io(error)),
        };
        match parsed {
            Ok(entry) => chunk.entries.push(entry),
            Err(broken) => {
                chunk.broken = Some(broken);
                break;
            }
        }
    }
    chunk
}

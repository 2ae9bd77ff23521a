//! The durable checkpoints: signed notes one after the other, each followed by a blank line. Old ones tell
//! how far a ledger was right before it was changed; a half-written last one is cut off at the next append.

use std::fs::File;
use std::io::{self, BufRead};
use std::os::unix::fs::FileExt as _;

use bartizan_crypto::note::NOTE_BYTES_MAX;
use bartizan_crypto::{Checkpoint, PublicKey};

use crate::layout;

/// Appends a checkpoint; with `sync` it is on disk when this returns.
pub(crate) fn append(file: &File, note: &str, sync: bool) -> io::Result<()> {
    let end = whole_notes_end(file)?;
    let bytes = format!("{note}\n");
    let after = end + bytes.len() as u64;
    let write = || {
        file.write_all_at(bytes.as_bytes(), end)?;
        if file.metadata()?.len() > after {
            file.set_len(after)?;
        }
        if sync { file.sync_data() } else { Ok(()) }
    };
    write().inspect_err(|_| {
        // Half a note is ignored by readers and cut by the next append; this only keeps the file tidy.
        let _ = file.set_len(end);
    })
}

/// Where the last whole note ends: after the last blank line that follows a signature line.
fn whole_notes_end(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let base = length.saturating_sub(NOTE_BYTES_MAX as u64);
    let mut tail = vec![0; (length - base) as usize];
    file.read_exact_at(&mut tail, base)?;
    let mut end = tail.len();
    while end > 0 {
        let Some(blank) = memchr::memmem::rfind(tail.get(..end).unwrap_or_default(), b"\n\n") else { return Ok(base) };
        let line = memchr::memrchr(b'\n', tail.get(..blank).unwrap_or_default()).map_or(0, |newline| newline + 1);
        if tail.get(line..blank).is_some_and(|line| line.starts_with("\u{2014} ".as_bytes())) {
            return Ok(base + blank as u64 + 2);
        }
        end = blank + 1;
    }
    Ok(base)
}

/// What a reader meets in the file.
pub(crate) enum Found {
    /// A good checkpoint.
    Good(Checkpoint),
    /// A whole note that isn't one of ours.
    Bad(String),
}

/// Reads checkpoints one by one; memory stays at one note.
pub(crate) struct Reader<R> {
    input: R,
    origin: String,
    key: PublicKey,
    /// First line of the note that is being read, from 1.
    line: u64,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(input: R, key: &PublicKey) -> Self {
        Self { input, origin: layout::origin(key), key: *key, line: 1 }
    }

    /// The next one; `None` at the end, where half a note may stand.
    pub(crate) fn next(&mut self) -> io::Result<Option<Found>> {
        let mut note = Vec::new();
        let (mut blanks, mut lines) = (0, 0);
        while blanks < 2 {
            let before = note.len();
            let read = io::Read::take(&mut self.input, NOTE_BYTES_MAX as u64).read_until(b'\n', &mut note)?;
            if read == 0 {
                return Ok(None);
            }
            lines += 1;
            blanks += usize::from(note.get(before..) == Some(b"\n"));
            if note.len() > NOTE_BYTES_MAX {
                return Ok(Some(Found::Bad(format!("line {} of the checkpoints is no note", self.line))));
            }
        }
        note.pop();
        let first = self.line;
        self.line += lines;
        let text = std::str::from_utf8(&note).map_err(|_| "it is no text".to_owned());
        let opened =
            text.and_then(|text| Checkpoint::open(text, &self.origin, &self.key).map_err(|error| error.to_string()));
        Ok(Some(match opened {
            Ok(checkpoint) => Found::Good(checkpoint),
            Err(reason) => Found::Bad(format!("the checkpoint at line {first} of the checkpoints: {reason}")),
        }))
    }
}

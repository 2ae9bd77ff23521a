//! Following the ledger as it grows.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::committed::Committed;
use crate::index::{Cursor, Entry, Index, IndexError, read_entry};
use crate::layout::Layout;
use crate::lines::{Line, Lines};
use crate::verify::BadEntry;

/// Entries read ahead at once.
const ENTRIES_AHEAD_MAX: usize = 256;

/// Gives entries in order, those there are and those that come.
pub struct Follow {
    layout: Layout,
    cursor: Cursor,
    /// First entry that is given.
    from: u64,
    ahead: std::collections::VecDeque<Entry>,
    watch: OwnedFd,
}

impl Follow {
    /// Starts with the newest `entries` entries.
    ///
    /// # Errors
    /// The ledger can't be read or watched.
    pub fn start(index: &mut Index, entries: u64) -> Result<Self, IndexError> {
        let layout = index.layout().clone();
        let io = |error: rustix::io::Errno| IndexError::Read { path: layout.directory.clone(), source: error.into() };
        // Watched before the end is looked up, so that nothing falls in between.
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(io)?;
        let changes = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
        inotify::add_watch(&watch, &layout.directory, changes).map_err(io)?;
        let (cursor, from) = index.cursor_back(entries)?;
        Ok(Self { layout, cursor, from, ahead: std::collections::VecDeque::new(), watch })
    }

    /// The next entry; `None` when none came in time. Without a `wait` it never blocks.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn next(&mut self, wait: Option<Duration>) -> Result<Option<Entry>, IndexError> {
        let deadline = wait.map(|wait| std::time::Instant::now() + wait);
        loop {
            if let Some(entry) = self.ahead.pop_front() {
                return Ok(Some(entry));
            }
            self.read_on()?;
            if !self.ahead.is_empty() {
                continue;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(std::time::Instant::now()));
            match left {
                Some(left) if !left.is_zero() => self.sleep(left).map_err(|source| self.failed(source))?,
                _ => return Ok(None),
            }
        }
    }

    fn failed(&self, source: io::Error) -> IndexError {
        IndexError::Read { path: self.layout.directory.clone(), source }
    }

    fn sleep(&self, wait: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.watch, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // What changed is found by looking; the notices only wake.
        let mut buffer = [0_u8; 4096];
        while rustix::io::read(&self.watch, &mut buffer).is_ok_and(|read| read > 0) {}
        Ok(())
    }

    fn read_on(&mut self) -> Result<(), IndexError> {
        let committed = Committed::look(&self.layout).map_err(|source| self.failed(source))?;
        loop {
            let found = committed.limit(&self.layout, self.cursor.segment).map_err(|source| self.failed(source))?;
            let Some((file, limit)) = found else { return Ok(()) };
            self.read_segment(&file, limit)?;
            let last = committed.segments.last().is_none_or(|newest| *newest <= self.cursor.segment);
            if last || self.ahead.len() >= ENTRIES_AHEAD_MAX {
                return Ok(());
            }
            self.cursor = Cursor { segment: self.cursor.segment + 1, start: 0, offset: 0, ..self.cursor };
        }
    }

    fn read_segment(&mut self, file: &File, limit: u64) -> Result<(), IndexError> {
        let mut lines = Lines::new(file, self.cursor.offset, limit);
        while self.ahead.len() < ENTRIES_AHEAD_MAX {
            let line = lines.next().map_err(|source| self.failed(source))?;
            let entry = match line {
                Line::Whole(line) => read_entry(line),
                Line::TooLong => Err("the line is longer than an entry can be".to_owned()),
                Line::End | Line::Unended(_) => return Ok(()),
            };
            let entry = entry.map_err(|reason| IndexError::Entry {
                bad: BadEntry {
                    seq: self.cursor.next_seq,
                    segment: format!("{:08}.jsonl", self.cursor.segment),
                    line: 0,
                    reason,
                },
            })?;
            self.cursor.next_seq = entry.seq + 1;
            self.cursor.offset = lines.offset();
            if entry.seq >= self.from {
                self.ahead.push_back(entry);
            }
        }
        Ok(())
    }
}

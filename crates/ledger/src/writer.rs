//! The writer: everything that happens under the ledger's lock. It knows where the ledger ends, notices when another
//! process moved that end, and adds batches: write, `fdatasync`, sign, in this order.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bartizan_crypto::{Checkpoint, PublicKey, SigningKey};
use bartizan_gate::Position;
use bartizan_model::{Record, canonical};
use jiff::Timestamp;
use rustix::fs::FlockOperation;

use crate::checkpoints;
use crate::end::End;
use crate::entry::{compose_line, entry_hash, parse_line};
use crate::error::OpenError;
use crate::head::{self, Head};
use crate::input::Input;
use crate::layout::{self, Layout};
use crate::lines::{Line, Lines};
use crate::verify::{self, BadEntry, Tolerance};
use crate::witness::Witness;

/// Entries between checkpoints: a history written anew without the key is narrowed down to so many, for 220 bytes each.
const CHECKPOINT_ENTRIES: u64 = 256;
/// Entries between checkpoints that are waited for until they are on disk; in between the system writes them in its time.
const CHECKPOINT_SYNC_ENTRIES: u64 = 2048;
/// A process that is further behind than this trusts the signed head rather than reading on from where it was.
const BEHIND_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// About what a line has beside its record.
const FRAME_BYTES: usize = 192;

/// A record on its way into the ledger, canonical already.
pub(crate) struct Pending {
    pub(crate) at: Timestamp,
    pub(crate) record: Vec<u8>,
}

/// Why a batch was not kept.
#[derive(Debug)]
pub(crate) struct CommitError {
    pub(crate) reason: String,
}

/// Where a writer finds its files.
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) witness: Option<PathBuf>,
    pub(crate) segment_bytes_max: u64,
}

pub(crate) struct Writer {
    layout: Layout,
    origin: String,
    key: Arc<SigningKey>,
    public: PublicKey,
    segment_bytes_max: u64,
    end: End,
    /// The end that was last signed, and its note; behind `end` only while recovery has something to say.
    signed: (End, String),
    /// The present segment; absent before the first entry.
    file: Option<File>,
    lock: Arc<File>,
    head: File,
    checkpoints: File,
    witness: Option<Witness>,
    /// Size at the last checkpoint.
    checkpointed: u64,
    /// Size at the last one that this process waited for.
    synced: u64,
    /// Why nothing can be kept any more until the ledger is opened again.
    poisoned: Option<String>,
    /// What recovery has to say, in the next batch.
    notes: Vec<Record>,
}

/// Held while the files may be touched; the kernel lets go of it when the process dies.
struct Locked<'a>(&'a File);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let _ = rustix::fs::flock(self.0, FlockOperation::Unlock);
    }
}

/// Takes the lock only if nobody else holds it at this moment.
fn lock_at_once(file: &File) -> Option<Locked<'_>> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).ok().map(|()| Locked(file))
}

fn lock(file: &File) -> io::Result<Locked<'_>> {
    loop {
        match rustix::fs::flock(file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(Locked(file)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Writer {
    pub(crate) fn open(place: &Place, key: Arc<SigningKey>) -> Result<Self, OpenError> {
        let layout = Layout::new(&place.directory);
        layout.prepare()?;
        let public = key.public();
        let origin = layout::origin(&public);
        let lock_file = Arc::new(layout::open_private(&layout.lock(), true)?);
        let _locked = lock(&lock_file).map_err(|source| OpenError::io("lock", &layout.lock(), source))?;
        let mut writer = Self {
            head: layout::open_private(&layout.head(), true)?,
            checkpoints: layout::open_private(&layout.checkpoints(), true)?,
            witness: place.witness.as_deref().map(|path| Witness::open(path, &public)).transpose()?,
            signed: Self::sign(End::empty(&origin), &origin, &key),
            end: End::empty(&origin),
            layout,
            origin,
            key,
            public,
            segment_bytes_max: place.segment_bytes_max,
            file: None,
            lock: Arc::clone(&lock_file),
            checkpointed: 0,
            synced: 0,
            poisoned: None,
            notes: Vec::new(),
        };
        writer.find_end(place)?;
        writer.check_witness()?;
        if writer.notes.is_empty() {
            writer.publish();
        } else {
            let batch = writer.write(&[]);
            batch.map_err(|error| OpenError::Untrusted { problem: error.reason })?;
        }
        Ok(writer)
    }

    /// Time of the last entry.
    pub(crate) fn last_at(&self) -> Option<Timestamp> {
        self.end.at
    }

    /// Adds a batch; when this returns well it is on disk and signed.
    pub(crate) fn commit(&mut self, batch: &[Pending]) -> Result<Vec<Position>, CommitError> {
        let lock_file = Arc::clone(&self.lock);
        let _locked = lock(&lock_file).map_err(|error| CommitError { reason: error.to_string() })?;
        self.commit_locked(batch)
    }

    /// As [`Self::commit`], unless another process is at the ledger: `None`, and nothing has happened.
    pub(crate) fn commit_at_once(&mut self, batch: &[Pending]) -> Option<Result<Vec<Position>, CommitError>> {
        let lock_file = Arc::clone(&self.lock);
        let _locked = lock_at_once(&lock_file)?;
        Some(self.commit_locked(batch))
    }

    fn commit_locked(&mut self, batch: &[Pending]) -> Result<Vec<Position>, CommitError> {
        if let Some(reason) = &self.poisoned {
            return Err(CommitError { reason: reason.clone() });
        }
        if let Err(error) = self.refresh() {
            let reason = error.to_string();
            // A disk error may pass; a ledger that isn't what was written won't.
            if !matches!(error, OpenError::Io { .. }) {
                self.poisoned = Some(reason.clone());
            }
            return Err(CommitError { reason });
        }
        self.write(batch)
    }

    /// Makes a durable checkpoint of what there is, if there is something new.
    pub(crate) fn close(&mut self) {
        if self.poisoned.is_some() {
            return;
        }
        let lock_file = Arc::clone(&self.lock);
        let Ok(_locked) = lock(&lock_file) else { return };
        if self.refresh().is_err() || (!self.notes.is_empty() && self.write(&[]).is_err()) {
            return;
        }
        if self.checkpointed < self.signed.0.size() {
            let _ = self.checkpoint(true);
        } else if self.synced < self.checkpointed {
            let _ = self.checkpoints.sync_data();
        }
    }

    // ---- finding the end ----

    fn find_end(&mut self, place: &Place) -> Result<(), OpenError> {
        let segments =
            self.layout.segments().map_err(|source| OpenError::io("read", &self.layout.directory, source))?;
        if let Some((number, _)) = (1..).zip(segments).find(|(expected, number)| expected != number) {
            return Err(OpenError::Untrusted { problem: format!("segment `{number:08}.jsonl` is missing") });
        }
        let head = self.read_head()?;
        let fitting = head.as_ref().filter(|head| self.fits(head).unwrap_or(false));
        if let Some(head) = fitting {
            self.adopt(head);
        } else if head.as_ref().is_none_or(|head| head.checkpoint.size > 0) {
            // No head to go by, or one the entries contradict: read everything, and let that name what is wrong.
            let input = Input::of_directory(&self.layout, &self.public, place.witness.as_deref());
            let input = input.map_err(|source| OpenError::io("read", &self.layout.directory, source))?;
            let (report, end) = verify::check(input, &self.public, Tolerance::Crash);
            if let Some(bad) = report.first_bad {
                return Err(OpenError::Tampered { directory: self.layout.directory.clone(), bad });
            }
            if let Some(problem) = report.problems.into_iter().next() {
                return Err(OpenError::Untrusted { problem });
            }
            self.end = end;
            self.checkpointed = 0;
        }
        self.open_segment()?;
        self.catch_up()
    }

    fn read_head(&self) -> Result<Option<Head>, OpenError> {
        head::read(&self.head, &self.public).map_err(|source| OpenError::io("read", &self.layout.head(), source))
    }

    /// Whether the entry the head names as the last stands where it says.
    fn fits(&self, head: &Head) -> io::Result<bool> {
        let end = &head.end;
        if end.size() == 0 {
            return Ok(self.layout.segments()?.is_empty());
        }
        let file = File::open(self.layout.segment(end.segment))?;
        if end.offset > file.metadata()?.len() {
            return Ok(false);
        }
        let mut lines = Lines::new(&file, end.start, end.offset);
        let fits = matches!(lines.next()?, Line::Whole(line) if entry_hash(line) == end.last);
        Ok(fits && lines.offset() == end.offset)
    }

    fn adopt(&mut self, head: &Head) {
        self.end = head.end.clone();
        self.checkpointed = head.checkpointed;
    }

    /// Opens the segment the end stands in, if there is one.
    fn open_segment(&mut self) -> Result<(), OpenError> {
        let path = self.layout.segment(self.end.segment);
        self.file = match layout::open_private(&path, false) {
            Ok(file) => Some(file),
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && self.end.offset == 0 => {
                None
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Notices what other processes did since the lock was last held.
    fn refresh(&mut self) -> Result<(), OpenError> {
        let path = self.layout.segment(self.end.segment);
        let Some(file) = &self.file else {
            self.open_segment()?;
            return if self.file.is_some() { self.catch_up() } else { Ok(()) };
        };
        let metadata = file.metadata().map_err(|source| OpenError::io("read", &path, source))?;
        if metadata.nlink() == 0 {
            return Err(self.tampered("its segment was removed while the ledger was open"));
        }
        let length = metadata.len();
        let moved_on = self.layout.segment(self.end.segment + 1).exists();
        if length == self.end.offset && !moved_on {
            return Ok(());
        }
        if moved_on || length.saturating_sub(self.end.offset) > BEHIND_BYTES_MAX {
            let head = self.read_head()?.filter(|head| head.checkpoint.size > self.end.size());
            if let Some(head) = head.filter(|head| self.fits(head).unwrap_or(false)) {
                self.adopt(&head);
                self.open_segment()?;
            }
        }
        self.catch_up()
    }

    /// Reads on from the known end. Cuts off a torn last line, which nobody was ever told is kept.
    fn catch_up(&mut self) -> Result<(), OpenError> {
        let head = self.read_head()?;
        // Without a head, what was read before was held against every other checkpoint there is.
        let mut signed = head.as_ref().map_or(self.end.size(), |head| head.checkpoint.size);
        let mut torn_bytes = 0;
        loop {
            let path = self.layout.segment(self.end.segment);
            let io = |source| OpenError::io("read", &path, source);
            let next_exists = self.layout.segment(self.end.segment + 1).exists();
            if let Some(file) = self.file.as_ref() {
                let length = file.metadata().map_err(io)?.len();
                if length < self.end.offset {
                    return Err(self.tampered("the end of its segment was cut off"));
                }
                torn_bytes = self.read_segment(length, next_exists, head.as_ref(), &mut signed)?;
            }
            if !next_exists {
                break;
            }
            self.end.next_segment();
            self.open_segment()?;
        }
        let size = self.end.size();
        if let Some(head) = head.as_ref().filter(|head| head.checkpoint.size > size) {
            let reason = format!("it is missing: the head knows {} entries, there are {size}", head.checkpoint.size);
            return Err(self.tampered(&reason));
        }
        if torn_bytes > 0 {
            let path = self.layout.segment(self.end.segment);
            let io = |source| OpenError::io("cut the torn last line of", &path, source);
            if let Some(file) = &self.file {
                file.set_len(self.end.offset).map_err(io)?;
                file.sync_data().map_err(io)?;
            }
        }
        let unsigned = size.saturating_sub(signed);
        if torn_bytes > 0 || unsigned > 0 {
            self.notes.push(recovered(torn_bytes, unsigned));
        }
        self.signed = match head {
            Some(head) if unsigned > 0 => (head.end, head.note),
            None if unsigned > 0 => Self::sign(End::empty(&self.origin), &self.origin, &self.key),
            _ => Self::sign(self.end.clone(), &self.origin, &self.key),
        };
        Ok(())
    }

    /// Accepts the entries from the known end to the end of the segment; gives the bytes of a torn last line.
    /// Raises `signed` to what a dead writer had signed before it wrote.
    fn read_segment(
        &mut self,
        length: u64,
        next_exists: bool,
        head: Option<&Head>,
        signed: &mut u64,
    ) -> Result<u64, OpenError> {
        let path = self.layout.segment(self.end.segment);
        let io = |source| OpenError::io("read", &path, source);
        let Some(file) = &self.file else { return Ok(0) };
        let file = file.try_clone().map_err(io)?;
        let mut lines = Lines::new(&file, self.end.offset, length);
        loop {
            let left = length - lines.offset();
            match lines.next().map_err(io)? {
                Line::End => return Ok(0),
                Line::Unended(bytes) if !next_exists => return Ok(bytes),
                Line::Unended(_) => return Err(self.tampered("the line is cut off")),
                Line::TooLong => return Err(self.tampered("the line is longer than an entry can be")),
                Line::Whole(line) => match parse_line(line) {
                    Err(_) if !next_exists && line.len() as u64 + 1 == left => return Ok(left),
                    Err(error) => return Err(self.tampered(&error.to_string())),
                    Ok(entry) if entry.seq != self.end.size() => {
                        return Err(self.tampered(&format!("entry {} stands in its place", entry.seq)));
                    }
                    Ok(entry) if entry.prev != self.end.last => {
                        return Err(self.tampered("it was chained to another entry than the one before it"));
                    }
                    Ok(entry) => {
                        self.end.accept(entry_hash(line), entry.at, line.len() as u64 + 1);
                        let Some(head) = head else { continue };
                        let size = self.end.size();
                        if head.checkpoint.size == size && head.checkpoint.root != self.end.root() {
                            return Err(self.tampered("the head was signed over other entries"));
                        }
                        let intended = head.intended.as_ref().filter(|intended| intended.size == size);
                        if intended.is_some_and(|intended| intended.root == self.end.root()) {
                            *signed = size;
                        }
                    }
                },
            }
        }
    }

    fn tampered(&self, reason: &str) -> OpenError {
        let segment = format!("{:08}.jsonl", self.end.segment);
        let line = self.file.as_ref().and_then(|file| line_number(file, self.end.offset).ok()).unwrap_or(1);
        let bad = BadEntry { seq: self.end.size(), segment, line, reason: reason.to_owned() };
        OpenError::Tampered { directory: self.layout.directory.clone(), bad }
    }

    fn check_witness(&self) -> Result<(), OpenError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        let known = witness.read(&self.public).map_err(|reason| OpenError::Untrusted {
            problem: format!("its witness can't be used: {reason}; remove the witness to trust the ledger as it is"),
        })?;
        let size = self.end.size();
        match known {
            Some(Checkpoint { size: known, .. }) if known > size => Err(self.tampered(&format!(
                "it is missing: the witness knows {known} entries, there are {size}; an old copy may have been put back"
            ))),
            Some(known) if known.size == size && known.root != self.end.root() => {
                Err(self.tampered("the witness was signed over other entries"))
            }
            _ => Ok(()),
        }
    }

    // ---- adding to it ----

    fn write(&mut self, batch: &[Pending]) -> Result<Vec<Position>, CommitError> {
        if self.end.offset >= self.segment_bytes_max {
            self.rotate()?;
        }
        let room = batch.iter().map(|pending| pending.record.len() + FRAME_BYTES).sum();
        let (mut end, mut bytes) = (self.end.clone(), Vec::with_capacity(room));
        let mut positions = Vec::with_capacity(batch.len());
        let mut add = |at: Timestamp, record: &[u8]| {
            // Callers took the time before they queued; in the ledger it never runs backwards.
            let at = end.at.map_or(at, |last| last.max(at));
            let (seq, start) = (end.size(), bytes.len());
            let hash = compose_line(&mut bytes, at, &end.last, record, seq);
            end.accept(hash, at, (bytes.len() - start) as u64);
            Position { seq, hash: hash.into() }
        };
        for note in &self.notes {
            let record = canonical::bytes(note).map_err(|error| CommitError { reason: error.to_string() })?;
            add(Timestamp::now(), &record);
        }
        for pending in batch {
            positions.push(add(pending.at, &pending.record));
        }
        if bytes.is_empty() {
            return Ok(positions);
        }
        let path = self.layout.segment(self.end.segment);
        if self.file.is_none() {
            self.file = Some(self.create_segment(&path)?);
        }
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let (end, note) = Self::sign(end, &self.origin, &self.key);
        let _ = head::write(&self.head, &self.signed.0, &self.signed.1, Some(&note), self.checkpointed);
        let written = file.write_all_at(&bytes, self.end.offset);
        let synced = written.is_ok().then(|| file.sync_data());
        let failure = match (written, synced) {
            (Ok(()), Some(Ok(()))) => None,
            (Err(error), _) => Some((format!("failed to write `{}`: {error}", path.display()), false)),
            // What the disk holds after a failed sync nobody knows: no entry counts on it, and nothing follows it.
            (_, Some(Err(error))) => Some((format!("failed to sync `{}`: {error}", path.display()), true)),
            _ => None,
        };
        if let Some((reason, lasting)) = failure {
            let rolled_back = file.set_len(self.end.offset);
            let _ = head::write(&self.head, &self.signed.0, &self.signed.1, None, self.checkpointed);
            let reason =
                format!("{reason}; nothing was recorded; check the disk's free space and health, then try again");
            if lasting || rolled_back.is_err() {
                self.poisoned = Some(format!("{reason} after restarting"));
            }
            return Err(CommitError { reason });
        }
        self.end = end.clone();
        self.signed = (end, note);
        self.notes.clear();
        if self.end.size() - self.checkpointed.min(self.end.size()) >= CHECKPOINT_ENTRIES {
            // The entries are safe either way; a checkpoint that can't be kept now is made with the next batch.
            let sync = self.end.size() - self.synced.min(self.end.size()) >= CHECKPOINT_SYNC_ENTRIES;
            let _ = self.checkpoint(sync);
        } else if let Some(witness) = &self.witness {
            // The head told of this batch beforehand, so it need not be written again before the next one.
            let _ = witness.write(&self.signed.1);
        } else {
            self.publish();
        }
        Ok(positions)
    }

    /// The end together with its signed checkpoint.
    fn sign(end: End, origin: &str, key: &SigningKey) -> (End, String) {
        let note = end.checkpoint(origin).sign(key);
        (end, note)
    }

    /// Puts what was signed last into the head and the witness. Nothing waits for these: a head that is older than the
    /// entries is mended at the next opening, and the next commit writes both again.
    fn publish(&self) {
        let (end, note) = &self.signed;
        let _ = head::write(&self.head, end, note, None, self.checkpointed);
        if let Some(witness) = &self.witness {
            let _ = witness.write(note);
        }
    }

    /// Keeps what was signed last among the checkpoints; with `sync` until it is on disk.
    fn checkpoint(&mut self, sync: bool) -> io::Result<()> {
        let before = std::mem::replace(&mut self.checkpointed, self.signed.0.size());
        self.publish();
        checkpoints::append(&self.checkpoints, &self.signed.1, sync).inspect_err(|_| self.checkpointed = before)?;
        if sync {
            self.synced = self.checkpointed;
            self.head.sync_data()?;
            self.witness.as_ref().map_or(Ok(()), Witness::sync)?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), CommitError> {
        let fail = |what: &str, error: io::Error| CommitError {
            reason: format!("failed to {what}: {error}; nothing was recorded; free space on the disk, then try again"),
        };
        self.checkpoint(true).map_err(|error| fail("write a checkpoint", error))?;
        let file = self.create_segment(&self.layout.segment(self.end.segment + 1))?;
        self.end.next_segment();
        self.file = Some(file);
        Ok(())
    }

    fn create_segment(&self, path: &Path) -> Result<File, CommitError> {
        let create = || {
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
            layout::sync_directory(&self.layout.directory)?;
            Ok(file)
        };
        create().map_err(|error: io::Error| CommitError {
            reason: format!(
                "failed to create segment `{}`: {error}; nothing was recorded; free space on the disk, then try again",
                path.display()
            ),
        })
    }
}

fn line_number(file: &File, offset: u64) -> io::Result<u64> {
    let mut lines = Lines::new(file, 0, offset);
    let mut number = 1;
    while matches!(lines.next()?, Line::Whole(_)) {
        number += 1;
    }
    Ok(number)
}

fn recovered(torn_bytes: u64, unsigned: u64) -> Record {
    let message = match (torn_bytes, unsigned) {
        (_, 0) => {
            format!("a torn last line of {torn_bytes} bytes was removed; its writer was never told that it was kept")
        }
        (0, _) => format!("{unsigned} entries were found that no checkpoint covered; they are covered from here on"),
        _ => format!(
            "a torn last line of {torn_bytes} bytes was removed, and {unsigned} entries before it are covered by a checkpoint only from here on"
        ),
    };
    let figure = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let figures = [("removed_bytes".to_owned(), figure(torn_bytes)), ("unsigned_entries".to_owned(), figure(unsigned))];
    Record::Noted { run: None, topic: "ledger.recovered".to_owned(), message, figures: figures.into() }
}

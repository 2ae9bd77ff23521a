//! Verification: every line against the chain, the chain against every signed checkpoint, and the whole against
//! the witness. It needs no private key, changes nothing, and names the first entry that can't be trusted.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bartizan_crypto::{Checkpoint, Frontier, Hash, PublicKey, merkle};
use jiff::Timestamp;

use crate::commitments::Commitments;
use crate::committed::share;
use crate::end::End;
use crate::input::Input;
use crate::layout::{self, Layout};
use crate::scan::{self, Broken, Parsed, Segment};

/// What else to hold the ledger against.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Directory of the witness.
    pub witness: Option<PathBuf>,
    /// A checkpoint note of this ledger kept elsewhere.
    pub checkpoint: Option<String>,
}

/// Why verification could not be carried out; a bad ledger is no error but a [`Report`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is nothing to verify.
    #[error("there is no ledger at `{}`; name the `ledger` directory or an exported file", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file system refuses.
    #[error("failed to read `{}`; check its permissions", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The first entry that can't be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// Its sequence number: where it stands or should stand.
    pub seq: u64,
    /// File it stands in.
    pub segment: String,
    /// Line in that file, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for BadEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "entry {} (`{}`, line {}): {}", self.seq, self.segment, self.line, self.reason)
    }
}

/// What the witness says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WitnessState {
    /// It was not asked for.
    NotAsked,
    /// There is none for this ledger.
    Missing,
    /// It knows so many entries, and they are these.
    Agrees {
        /// How many.
        size: u64,
    },
    /// It contradicts the ledger, or can't be read.
    Contradicts {
        /// How.
        reason: String,
    },
}

/// What verification found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// Entries that hold, from the first.
    pub entries: u64,
    /// Segments read.
    pub segments: usize,
    /// Bytes of the entries that hold.
    pub bytes: u64,
    /// The first bad entry.
    pub first_bad: Option<BadEntry>,
    /// What is wrong beside the entries: a forged checkpoint, a missing head.
    pub problems: Vec<String>,
    /// Good checkpoints that were compared: durable ones, the head's, the witness's and the given one.
    pub checkpoints: u64,
    /// Entries the newest good checkpoint covers.
    pub signed: u64,
    /// What the witness says.
    pub witness: WitnessState,
    /// Root of the tree over the entries that hold.
    pub root: Hash,
    /// Time of the last entry that holds.
    pub last_at: Option<Timestamp>,
}

impl Report {
    /// Whether everything holds.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.first_bad.is_none() && self.problems.is_empty()
    }
}

/// Verifies a ledger directory, a copy of one, or an exported file, against the public key.
///
/// # Errors
/// It can't be read. What is wrong with a ledger that can be read is in the report.
pub fn verify(path: &Path, key: &PublicKey, options: &VerifyOptions) -> Result<Report, VerifyError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| VerifyError::Io { path, source }
    };
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => VerifyError::Missing { path: path.to_owned() },
        _ => VerifyError::Io { path: path.to_owned(), source },
    })?;
    let mut input = if metadata.is_dir() {
        let layout = Layout::new(path);
        // Under the lock nobody is half-way through a commit; the copy of an idle ledger may lack the file.
        let _lock = share(&layout).map_err(io(path))?;
        Input::of_directory(&layout, key, options.witness.as_deref()).map_err(io(path))?
    } else {
        Input::of_export(path, key).map_err(io(path))?
    };
    if let Some(text) = &options.checkpoint {
        input.add_note("the given checkpoint", text, key);
    }
    Ok(check(input, key, Tolerance::None).0)
}

/// What a writer may meet after a crash, and a verifier may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tolerance {
    /// Nothing.
    None,
    /// A torn last line, entries no checkpoint covers yet, and a lost head.
    Crash,
}

/// Holds the entries against the chain and all commitments; gives the end of what holds, too.
pub(crate) fn check(mut input: Input, key: &PublicKey, tolerance: Tolerance) -> (Report, End) {
    let segments = std::mem::take(&mut input.segments);
    input.extra.sort_by_key(|(_, checkpoint)| std::cmp::Reverse(checkpoint.size));
    let mut fold = Fold {
        end: End::empty(&layout::origin(key)),
        names: input.names,
        line: 0,
        segment: 0,
        bytes: 0,
        bad: None,
        doubt: None,
        tolerance,
        intended: input.head.as_ref().and_then(|head| head.intended.clone()),
        head_last: input.head.as_ref().map(|head| (head.checkpoint.size, head.end.last)),
        commitments: Commitments {
            reader: input.checkpoints,
            ahead: None,
            extra: input.extra,
            problems: input.problems,
            good: 0,
            signed: 0,
            last_size: 0,
        },
    };
    fold.commitments.fill();
    fold.commit();
    scan::chunks(&segments, |chunk| fold.chunk(chunk, &segments));
    fold.finish(input.missing);
    let mut problems = fold.commitments.problems;
    if tolerance == Tolerance::None {
        problems.extend(input.crash_problems);
    }
    let witness = match (input.witness, &fold.bad) {
        (WitnessState::Agrees { size }, Some(bad)) if size > bad.seq => {
            WitnessState::Contradicts { reason: format!("it knows {size} entries, the first bad one is {}", bad.seq) }
        }
        (state, _) => state,
    };
    let report = Report {
        entries: fold.bad.as_ref().map_or(fold.end.size(), |bad| bad.seq.min(fold.end.size())),
        segments: segments.len(),
        bytes: fold.bytes,
        first_bad: fold.bad,
        problems,
        checkpoints: fold.commitments.good,
        signed: fold.commitments.signed,
        witness,
        root: fold.end.root(),
        last_at: fold.end.at,
    };
    (report, fold.end)
}

/// A contradiction whose culprit later entries decide.
enum Doubt {
    /// The chain holds, but the tree of `size` entries isn't the signed one. If the next entry (or the head) was
    /// chained to another last entry, that one alone was changed; otherwise the change is further back.
    Root { before: Frontier, root: Hash, source: &'static str },
    /// The entry at `seq` was not chained to the one before it. One of the two was changed: if the tree is right with the
    /// earlier as it stands and all later ones as their successors attest them, it is the later.
    Link { seq: u64, tree: Frontier, blamed: Place, blamed_next: Place },
}

/// Where an entry stands.
#[derive(Clone)]
struct Place {
    segment: usize,
    line: u64,
}

struct Fold {
    end: End,
    names: Vec<String>,
    /// Lines read of the present segment.
    line: u64,
    segment: usize,
    bytes: u64,
    bad: Option<BadEntry>,
    doubt: Option<Doubt>,
    tolerance: Tolerance,
    /// What a writer that died had signed before it wrote; it may never have come to be.
    intended: Option<Checkpoint>,
    head_last: Option<(u64, Hash)>,
    commitments: Commitments,
}

impl Fold {
    fn chunk(&mut self, chunk: scan::Chunk, segments: &[Segment]) -> bool {
        if chunk.segment != self.segment {
            self.segment = chunk.segment;
            self.line = 0;
        }
        while segments.get(self.segment).is_some_and(|segment| segment.number > self.end.segment) {
            self.end.next_segment();
        }
        for entry in &chunk.entries {
            if !self.entry(entry) {
                return false;
            }
        }
        let Some(broken) = chunk.broken else { return true };
        let last_segment = self.segment + 1 == segments.len();
        let reason = match broken {
            Broken::Unended { .. } | Broken::Line { last: true, .. }
                if last_segment && self.tolerance == Tolerance::Crash =>
            {
                return false;
            }
            Broken::Unended { bytes } if last_segment => {
                format!("the last line is torn after {bytes} bytes; the next program that opens the ledger removes it")
            }
            Broken::Unended { .. } => "the line is cut off".to_owned(),
            Broken::Line { error, .. } => error.to_string(),
            Broken::Io(error) => format!("it can't be read: {error}"),
        };
        self.settle(None);
        let place = self.next_place();
        self.blame(self.end.size(), &place, reason);
        false
    }

    fn next_place(&self) -> Place {
        Place { segment: self.segment, line: self.line + 1 }
    }

    fn here(&self) -> Place {
        Place { segment: self.segment, line: self.line.max(1) }
    }

    fn blame(&mut self, seq: u64, place: &Place, reason: String) {
        if self.bad.is_none() {
            let segment = self.names.get(place.segment).cloned().unwrap_or_default();
            self.bad = Some(BadEntry { seq, segment, line: place.line, reason });
        }
    }

    /// Takes the next entry; `false` ends the reading.
    fn entry(&mut self, entry: &Parsed) -> bool {
        if let Some(doubt) = self.doubt.take() {
            return self.resolve(doubt, entry);
        }
        let seq = self.end.size();
        let place = self.next_place();
        if entry.seq != seq {
            self.blame(seq, &place, format!("entry {} stands in its place", entry.seq));
            return false;
        }
        if entry.prev != self.end.last {
            if seq == 0 {
                self.blame(0, &place, "the ledger was begun with another key".to_owned());
                return false;
            }
            let tree = self.tree();
            self.doubt = Some(Doubt::Link { seq, tree, blamed: self.here(), blamed_next: place });
            return true;
        }
        if self.end.at.is_some_and(|at| entry.at < at) {
            self.blame(seq, &place, "its time is before that of the entry before it".to_owned());
            return false;
        }
        self.end.accept_leaf(entry.hash, entry.leaf, entry.at, entry.bytes);
        self.line += 1;
        self.bytes += entry.bytes;
        self.commit();
        true
    }

    fn tree(&self) -> Frontier {
        let mut tree = self.end.before_last().clone();
        if self.end.size() > 0 {
            tree.push(merkle::leaf_hash(&self.end.last));
        }
        tree
    }

    /// Compares with the commitments of the present size.
    fn commit(&mut self) {
        let size = self.end.size();
        if self.intended.as_ref().is_some_and(|intended| intended.size == size && intended.root == self.end.root()) {
            self.commitments.good += 1;
            self.commitments.signed = size;
        }
        if self.commitments.next_size() != Some(size) {
            return;
        }
        let found = self.end.root();
        while let Some((source, root)) = self.commitments.take(size) {
            if root != found {
                self.doubt = Some(Doubt::Root { before: self.end.before_last().clone(), root, source });
                return;
            }
            self.commitments.good += 1;
            self.commitments.signed = size;
        }
    }

    fn resolve(&mut self, doubt: Doubt, entry: &Parsed) -> bool {
        match doubt {
            Doubt::Root { .. } => {
                // What should stand last: what the next was chained to, or the next itself when one was slipped in before it.
                let next = match entry.seq.cmp(&self.end.size()) {
                    std::cmp::Ordering::Equal => Some(entry.prev),
                    _ => Some(entry.hash),
                };
                self.doubt = Some(doubt);
                self.settle(next);
                false
            }
            Doubt::Link { seq, mut tree, blamed, blamed_next } => {
                // The entry says what the one before it was.
                let attested = self.commitments.next_size().is_some_and(|size| tree.size() < size);
                let doubt_size = tree.size();
                if attested && entry.seq == doubt_size + 1 {
                    tree.push(merkle::leaf_hash(&entry.prev));
                    self.doubt = Some(Doubt::Link { seq, tree, blamed, blamed_next });
                    return !self.settle_link();
                }
                self.doubt = Some(Doubt::Link { seq, tree, blamed, blamed_next });
                self.settle(None);
                false
            }
        }
    }

    /// Decides a link's doubt once its tree has the size of a commitment.
    fn settle_link(&mut self) -> bool {
        let Some(Doubt::Link { seq, tree, .. }) = &self.doubt else { return false };
        let (seq, size, root) = (*seq, tree.size(), tree.root());
        if self.commitments.next_size() != Some(size) {
            return false;
        }
        let Some(Doubt::Link { blamed, blamed_next, .. }) = self.doubt.take() else { return false };
        match self.commitments.take(size) {
            Some((_, signed)) if signed == root => {
                self.blame(seq, &blamed_next, "it was changed: it is not the entry that was signed".to_owned());
            }
            _ => self.blame_earlier(seq, &blamed),
        }
        true
    }

    fn blame_earlier(&mut self, seq: u64, place: &Place) {
        let reason = format!("it was changed: entry {seq} was chained to another one");
        self.blame(seq.saturating_sub(1), place, reason);
    }

    /// Decides a doubt with what is known when nothing more can be read: what the last entry's hash should be.
    fn settle(&mut self, told_last: Option<Hash>) {
        let size = self.end.size();
        let attested_by_head = |size| self.head_last.filter(|(known, _)| *known == size).map(|(_, last)| last);
        match self.doubt.take() {
            None => {}
            Some(Doubt::Root { mut before, root, source }) => {
                let last = told_last.or_else(|| attested_by_head(size));
                before.push(merkle::leaf_hash(&last.unwrap_or_default()));
                if last.is_some() && before.root() == root {
                    let place = self.here();
                    self.blame(
                        size.saturating_sub(1),
                        &place,
                        "it was changed: it is not the entry that was signed".to_owned(),
                    );
                } else {
                    let from = self.commitments.signed;
                    let reason = format!(
                        "{source} over {size} entries was signed over others: entries from here on were written anew without the key"
                    );
                    let place = self.place_of(from);
                    self.blame(from, &place, reason);
                }
            }
            Some(Doubt::Link { seq, mut tree, blamed, blamed_next }) => {
                if let Some(last) = attested_by_head(tree.size() + 1) {
                    tree.push(merkle::leaf_hash(&last));
                    self.doubt = Some(Doubt::Link { seq, tree, blamed: blamed.clone(), blamed_next });
                    if self.settle_link() {
                        return;
                    }
                }
                self.doubt = None;
                self.blame_earlier(seq, &blamed);
            }
        }
    }

    /// Where an earlier entry stands, as far as the present segment tells.
    fn place_of(&self, seq: u64) -> Place {
        let back = self.end.size().saturating_sub(seq + 1);
        Place { segment: self.segment, line: self.line.saturating_sub(back).max(1) }
    }

    fn finish(&mut self, missing: Option<u32>) {
        self.settle(None);
        if self.bad.is_some() {
            return;
        }
        let (size, place) = (self.end.size(), self.next_place());
        if let Some(number) = missing {
            return self.blame(size, &place, format!("segment `{number:08}.jsonl` is missing"));
        }
        if let Some(known) = self.commitments.next_size() {
            let source = self.commitments.extra.last().filter(|(_, checkpoint)| checkpoint.size == known);
            let source = source.map_or("a checkpoint", |(source, _)| *source);
            return self.blame(
                size,
                &place,
                format!("it is missing: {source} knows {known} entries, there are {size}"),
            );
        }
        let signed = self.commitments.signed;
        if size > signed && self.tolerance == Tolerance::None {
            let place = self.place_of(signed);
            let reason = "no signed checkpoint covers it: its writer was killed before it could sign, or it was added by somebody without the key";
            self.blame(signed, &place, reason.to_owned());
        }
    }
}

//! Where a ledger ends: everything that is needed to append the next entry and to sign what there is.

use bartizan_crypto::{Checkpoint, Frontier, Hash, merkle};
use jiff::Timestamp;

use crate::layout;

/// The end of a ledger after its last entry.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// The tree without its last leaf: with `last` it gives the root, which authenticates both.
    before_last: Frontier,
    frontier: Frontier,
    /// Hash of the last entry, or what the first one will name as its predecessor.
    pub(crate) last: Hash,
    /// Time of the last entry.
    pub(crate) at: Option<Timestamp>,
    /// Segment that holds it.
    pub(crate) segment: u32,
    /// First byte of its line.
    pub(crate) start: u64,
    /// First byte after its line.
    pub(crate) offset: u64,
}

impl End {
    /// The end of a ledger without entries.
    pub(crate) fn empty(origin: &str) -> Self {
        let frontier = Frontier::default();
        let last = layout::first_prev(origin);
        Self { before_last: frontier.clone(), frontier, last, at: None, segment: 1, start: 0, offset: 0 }
    }

    /// The end whose last entry is authenticated by the tree before it.
    pub(crate) fn from_parts(before_last: Frontier, last: Hash, at: Timestamp, place: (u32, u64, u64)) -> Self {
        let mut frontier = before_last.clone();
        frontier.push(merkle::leaf_hash(&last));
        let (segment, start, offset) = place;
        Self { before_last, frontier, last, at: Some(at), segment, start, offset }
    }

    /// Number of entries, which is the next one's sequence number.
    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn before_last(&self) -> &Frontier {
        &self.before_last
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    pub(crate) fn checkpoint(&self, origin: &str) -> Checkpoint {
        Checkpoint { origin: origin.to_owned(), size: self.size(), root: self.root() }
    }

    /// Moves past one more entry whose line, newline included, has so many bytes.
    pub(crate) fn accept(&mut self, hash: Hash, at: Timestamp, line_bytes: u64) {
        self.accept_leaf(hash, merkle::leaf_hash(&hash), at, line_bytes);
    }

    /// As [`End::accept`], with the leaf hash computed elsewhere.
    pub(crate) fn accept_leaf(&mut self, hash: Hash, leaf: Hash, at: Timestamp, line_bytes: u64) {
        self.before_last.clone_from(&self.frontier);
        self.frontier.push(leaf);
        self.last = hash;
        self.at = Some(at);
        self.start = self.offset;
        self.offset += line_bytes;
    }

    /// Moves to the start of the next segment.
    pub(crate) fn next_segment(&mut self) {
        self.segment += 1;
        self.start = 0;
        self.offset = 0;
    }
}

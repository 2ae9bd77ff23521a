//! What readers beside the writer may look at: entries whose commit is over.

use std::fs::File;
use std::io;

use rustix::fs::FlockOperation;

use crate::layout::Layout;

/// The segments there are, and how long the last of them is.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) segments: Vec<u32>,
    pub(crate) last_bytes: u64,
}

impl Committed {
    /// Looks under the ledger's lock, so that no half-written batch is taken for entries.
    pub(crate) fn look(layout: &Layout) -> io::Result<Self> {
        let _lock = share(layout)?;
        let segments = layout.segments()?;
        let last_bytes = match segments.last() {
            Some(number) => std::fs::metadata(layout.segment(*number))?.len(),
            None => 0,
        };
        Ok(Self { segments, last_bytes })
    }

    /// How far this segment may be read, if it is there.
    pub(crate) fn limit(&self, layout: &Layout, segment: u32) -> io::Result<Option<(File, u64)>> {
        if !self.segments.contains(&segment) {
            return Ok(None);
        }
        let file = File::open(layout.segment(segment))?;
        let last = self.segments.last() == Some(&segment);
        let bytes = if last { self.last_bytes } else { file.metadata()?.len() };
        Ok(Some((file, bytes)))
    }
}

/// Holds the ledger's lock together with other readers until the file is dropped; a copy may lack it.
pub(crate) fn share(layout: &Layout) -> io::Result<Option<File>> {
    match File::open(layout.lock()) {
        Ok(lock) => {
            rustix::fs::flock(&lock, FlockOperation::LockShared)?;
            Ok(Some(lock))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

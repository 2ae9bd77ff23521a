//! What was signed about a ledger, in the order in which its entries come to it.

use std::fs::File;
use std::io::BufReader;

use bartizan_crypto::{Checkpoint, Hash};

use crate::checkpoints::{Found, Reader};

/// Signed commitments in ascending size, wherever they come from.
pub(crate) struct Commitments {
    pub(crate) reader: Option<Reader<BufReader<File>>>,
    /// The next durable checkpoint.
    pub(crate) ahead: Option<Checkpoint>,
    /// The others, largest first.
    pub(crate) extra: Vec<(&'static str, Checkpoint)>,
    pub(crate) problems: Vec<String>,
    pub(crate) good: u64,
    /// Largest size that was found right.
    pub(crate) signed: u64,
    pub(crate) last_size: u64,
}

/// Most problems listed: a ruined checkpoint file need not fill the memory.
const PROBLEMS_MAX: usize = 100;

impl Commitments {
    pub(crate) fn fill(&mut self) {
        while self.ahead.is_none() {
            let Some(reader) = &mut self.reader else { return };
            let problem = match reader.next() {
                Ok(Some(Found::Good(checkpoint))) if checkpoint.size >= self.last_size => {
                    self.last_size = checkpoint.size;
                    self.ahead = Some(checkpoint);
                    return;
                }
                Ok(Some(Found::Good(_))) => "the checkpoints are out of order".to_owned(),
                Ok(Some(Found::Bad(problem))) => problem,
                Ok(None) => {
                    self.reader = None;
                    return;
                }
                Err(error) => {
                    self.reader = None;
                    format!("the checkpoints can't be read: {error}")
                }
            };
            if self.problems.len() < PROBLEMS_MAX {
                self.problems.push(problem);
            }
        }
    }

    pub(crate) fn next_size(&self) -> Option<u64> {
        let durable = self.ahead.as_ref().map(|checkpoint| checkpoint.size);
        let extra = self.extra.last().map(|(_, checkpoint)| checkpoint.size);
        durable.into_iter().chain(extra).min()
    }

    /// Takes the next commitment if it is of this size.
    pub(crate) fn take(&mut self, size: u64) -> Option<(&'static str, Hash)> {
        if self.ahead.as_ref().is_some_and(|checkpoint| checkpoint.size == size) {
            let root = self.ahead.take().map(|checkpoint| checkpoint.root)?;
            self.fill();
            return Some(("a checkpoint", root));
        }
        self.extra
            .pop_if(|(_, checkpoint)| checkpoint.size == size)
            .map(|(source, checkpoint)| (source, checkpoint.root))
    }
}

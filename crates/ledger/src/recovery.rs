//! Closing what the dead left open.

use std::collections::HashSet;

use bartizan_gate::{AppendError, Position};
use bartizan_model::{Outcome, OutcomeStatus, Record, RunId};
use jiff::Timestamp;
use rustix::fs::FlockOperation;

use crate::error::OpenError;
use crate::index::{Index, IndexError};
use crate::layout;
use crate::ledger::FileLedger;

/// Why open entries could not be closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Another process's recovery can't be waited for.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The index can't say which they are.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The ledger can't keep it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Closes as `unknown` every action that a run opened and left open, unless `is_alive` says that the run still is. A run
/// must count as alive from before its first entry until after its last: what it leaves open is read once more after it
/// was found dead. Of several processes that do so at once, one closes each. Actions outside of runs are left to whoever
/// opened them.
/// Blocks; never call it from an asynchronous task.
///
/// # Errors
/// The index or the ledger fails; what was closed stays closed.
pub fn close_unknown(
    ledger: &FileLedger,
    index: &mut Index,
    is_alive: &dyn Fn(&RunId) -> bool,
    at: Timestamp,
) -> Result<Vec<Position>, RecoverError> {
    let open = index.open_actions()?.into_iter().filter_map(|action| action.run);
    let dead: HashSet<RunId> = open.filter(|run| !is_alive(run)).collect();
    if dead.is_empty() {
        return Ok(Vec::new());
    }
    let path = ledger.options().directory.join("recovery");
    let lock = layout::open_private(&path, true)?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|error| OpenError::Io {
        what: "lock",
        path,
        source: error.into(),
    })?;
    let mut closed = Vec::new();
    for action in index.open_actions()? {
        if !action.run.as_ref().is_some_and(|run| dead.contains(run)) {
            continue;
        }
        let record = Record::Closed {
            action_id: action.action_id,
            run: action.run,
            opened: action.seq,
            outcome: Outcome::new(OutcomeStatus::Unknown)
                .with_detail("its recorder ended before it could say what came of it"),
            receipt: None,
        };
        closed.push(ledger.append_blocking(at, &record)?);
    }
    Ok(closed)
}

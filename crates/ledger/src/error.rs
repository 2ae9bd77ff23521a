//! Why a ledger can't be opened or verified.

use std::io;
use std::path::{Path, PathBuf};

use crate::verify::BadEntry;

/// Why a ledger can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Something else stands in its place.
    #[error("`{}` is not a {expected}; move it away and try again", path.display())]
    Kind {
        /// Where.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// Somebody else owns it.
    #[error("`{}` belongs to user {owner}, not to you ({user}); run as its owner, or `chown -R {user} {}`", path.display(), path.display())]
    Owner {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs.
        user: u32,
    },
    /// Others may read or write it.
    #[error("`{}` has mode {mode:03o}, so others can get at it; `chmod {remedy} {}`, then `bartizan log verify`", path.display(), path.display())]
    Mode {
        /// Where.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        remedy: &'static str,
    },
    /// Its content is not what was written.
    #[error("the ledger can't be trusted: {bad}; keep a copy for investigation, then restore `{}` from a backup, or move it and its witness away to begin a new ledger", directory.display())]
    Tampered {
        /// Where it is.
        directory: PathBuf,
        /// The first bad entry.
        bad: BadEntry,
    },
    /// Something beside the entries is not what was written.
    #[error("the ledger can't be trusted: {problem}; see `bartizan log verify`")]
    Untrusted {
        /// What.
        problem: String,
    },
    /// The file system refuses.
    #[error("failed to {what} `{}`: {source}; check the disk's free space and that it is not mounted read-only", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}

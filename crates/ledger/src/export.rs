//! Export: all entries in one file, with a checkpoint and the public key beside it, so that they verify anywhere.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bartizan_crypto::PublicKey;

use crate::committed::share;
use crate::head;
use crate::layout::Layout;

/// Why a ledger can't be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Nothing signed says what the ledger is.
    #[error("ledger `{}` has no good head to export by; run `bartizan log verify`", path.display())]
    NoHead {
        /// Where it is.
        path: PathBuf,
    },
    /// Files are never overwritten.
    #[error("failed to write `{}`; exports never overwrite, so choose another name, and check the free space", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The ledger can't be read.
    #[error("failed to read ledger `{}`; check its permissions and `bartizan log verify`", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Where the checkpoint of an exported file is.
pub(crate) fn checkpoint_path(path: &Path) -> PathBuf {
    beside(path, ".checkpoint")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes the entries as JSON lines; gives the checkpoint note that covers exactly them.
///
/// # Errors
/// The ledger can't be read, or the output refuses.
pub fn export_to(ledger: &Path, key: &PublicKey, output: &mut dyn Write) -> Result<String, ExportError> {
    let layout = Layout::new(ledger);
    let read = |source| ExportError::Read { path: ledger.to_owned(), source };
    let head = {
        let _lock = share(&layout).map_err(read)?;
        let file = File::open(layout.head()).map_err(read)?;
        head::read(&file, key).map_err(read)?
    };
    // Entries up to the head never change again, so they are read without the lock.
    let head = head.ok_or_else(|| ExportError::NoHead { path: ledger.to_owned() })?;
    for number in layout.segments().map_err(read)?.into_iter().filter(|number| *number <= head.end.segment) {
        let file = File::open(layout.segment(number)).map_err(read)?;
        let limit = if number == head.end.segment { head.end.offset } else { u64::MAX };
        io::copy(&mut file.take(limit), output).map_err(read)?;
    }
    Ok(head.note)
}

/// Exports to `path`, with `path.checkpoint` and `path.pub` beside it.
///
/// # Errors
/// As [`export_to`], or one of the files exists.
pub fn export(ledger: &Path, key: &PublicKey, path: &Path) -> Result<(), ExportError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ExportError::Write { path, source }
    };
    let create = |path: &Path| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(path).map_err(failed(path))
    };
    let (note_path, key_path) = (checkpoint_path(path), beside(path, ".pub"));
    let mut file = io::BufWriter::new(create(path)?);
    let note = export_to(ledger, key, &mut file)?;
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed(path))?;
    create(&note_path)?.write_all(note.as_bytes()).map_err(failed(&note_path))?;
    let pem = key.to_pem().map_err(|error| failed(&key_path)(io::Error::other(error)))?;
    create(&key_path)?.write_all(pem.as_bytes()).map_err(failed(&key_path))
}

//! The witness: the newest checkpoint, kept outside the home, so that putting an old copy of the home back,
//! or doing away with the ledger, is seen.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bartizan_crypto::note::NOTE_BYTES_MAX;
use bartizan_crypto::{Checkpoint, PublicKey};

use crate::error::OpenError;
use crate::layout;

/// The witness's file.
pub(crate) struct Witness {
    file: File,
}

/// Where the witness of this key's ledger is in a directory of witnesses.
#[must_use]
pub fn witness_path(directory: &Path, key: &PublicKey) -> PathBuf {
    directory.join(layout::ledger_id(key))
}

impl Witness {
    pub(crate) fn open(directory: &Path, key: &PublicKey) -> Result<Self, OpenError> {
        layout::prepare_directory(directory)?;
        let path = witness_path(directory, key);
        layout::open_private(&path, true).map(|file| Self { file })
    }

    /// The checkpoint it holds: `None` while it is new, an error text when it is no good.
    pub(crate) fn read(&self, key: &PublicKey) -> Result<Option<Checkpoint>, String> {
        let mut bytes = vec![0; NOTE_BYTES_MAX];
        let read = self.file.read_at(&mut bytes, 0).map_err(|error| error.to_string())?;
        bytes.truncate(read);
        parse(&bytes, key)
    }

    /// Overwrites it in place: notes of one ledger never get shorter, so no old byte is left behind.
    pub(crate) fn write(&self, note: &str) -> io::Result<()> {
        self.file.write_all_at(note.as_bytes(), 0)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Reads a witness somebody else may be writing to.
pub(crate) fn load(path: &Path, key: &PublicKey) -> Result<Option<Checkpoint>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    file.take(NOTE_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    parse(&bytes, key)
}

fn parse(bytes: &[u8], key: &PublicKey) -> Result<Option<Checkpoint>, String> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    Checkpoint::open(text, &layout::origin(key), key).map(Some).map_err(|error| error.to_string())
}

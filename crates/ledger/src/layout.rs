//! Where a ledger's files are, and who may touch them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bartizan_crypto::{Hash, PublicKey};
use bartizan_model::Digest;

use crate::error::OpenError;

/// Name of a ledger, derived from the key that signs it: one key, one ledger.
#[must_use]
pub fn ledger_id(key: &PublicKey) -> String {
    key.key_id().chars().take(32).collect()
}

/// The origin line of the ledger's checkpoints.
#[must_use]
pub fn origin(key: &PublicKey) -> String {
    format!("bartizan.dev/ledger/{}", ledger_id(key))
}

/// What the first entry names as its predecessor: nothing but the ledger itself.
pub(crate) fn first_prev(origin: &str) -> Hash {
    *Digest::of_bytes(origin.as_bytes()).as_bytes()
}

/// The files of one ledger.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) directory: PathBuf,
}

impl Layout {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    pub(crate) fn segment(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number:08}.jsonl"))
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    pub(crate) fn head(&self) -> PathBuf {
        self.directory.join("head")
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.directory.join("checkpoints")
    }

    /// Numbers of the segments there are, ascending.
    pub(crate) fn segments(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for item in fs::read_dir(&self.directory)? {
            let name = item?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
            if let Some(number) = digits.filter(|digits| digits.len() == 8).and_then(|digits| digits.parse().ok()) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes the directory if need be and checks that it is ours alone.
    pub(crate) fn prepare(&self) -> Result<(), OpenError> {
        prepare_directory(&self.directory)
    }
}

/// Makes a private directory, parents included, or checks the one there is.
pub(crate) fn prepare_directory(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::io("create directory", path, source);
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    check_access(path, &fs::symlink_metadata(path).map_err(io)?, true)
}

/// Opens a file of the ledger for reading and writing, making it private if need be, and checks that it is ours alone.
pub(crate) fn open_private(path: &Path, create: bool) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.read(true).write(true).create(create).mode(0o600).custom_flags(flags.bits().cast_signed());
    let file = options.open(path).map_err(|source| OpenError::io("open", path, source))?;
    let metadata = file.metadata().map_err(|source| OpenError::io("read", path, source))?;
    check_access(path, &metadata, false)?;
    Ok(file)
}

fn check_access(path: &Path, metadata: &fs::Metadata, directory: bool) -> Result<(), OpenError> {
    let path = path.to_owned();
    if metadata.is_dir() != directory || (!directory && !metadata.is_file()) {
        return Err(OpenError::Kind { path, expected: if directory { "directory" } else { "regular file" } });
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(OpenError::Owner { path, owner: metadata.uid(), user });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(OpenError::Mode { path, mode, remedy: if directory { "700" } else { "600" } });
    }
    Ok(())
}

/// Makes names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

//! Files of the vault: nobody else's to read, and written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// What is being written, before it has its name. One is enough: whoever writes holds the lock.
const DRAFT: &str = ".draft";
/// The lock's file.
const LOCK: &str = ".lock";

/// Why a file of the vault can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Somebody else could read or write it.
    #[error("`{}` is open to others or not a regular file of yours; `chown` it to you and `chmod {mode:o}` it, and give its secrets new values if it may have been read", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// What its mode should be.
        mode: u32,
    },
    /// It is larger than anything written here.
    #[error("`{}` is larger than {bytes_max} bytes; restore it from a backup", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large it may be.
        bytes_max: u64,
    },
    /// The file system refuses.
    #[error("failed to {what} `{}`: {source}; check permissions and free space", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FileError {
    /// Whether the file isn't there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { what, path, source }
}

/// That a directory is ours and closed to others.
pub fn check_directory(directory: &Path) -> Result<(), FileError> {
    let metadata = fs::symlink_metadata(directory).map_err(io("look at", directory))?;
    let ours = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
    if ours && metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(FileError::Open { path: directory.to_owned(), mode: 0o700 })
}

/// Reads a file that only we can read, wiped when it is let go.
pub fn read(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let mut file = file.map_err(io("open", path))?;
    let metadata = file.metadata().map_err(io("look at", path))?;
    let ours = metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw();
    if !ours || metadata.mode() & 0o077 != 0 {
        return Err(FileError::Open { path: path.to_owned(), mode: 0o600 });
    }
    if metadata.len() > bytes_max {
        return Err(FileError::TooLarge { path: path.to_owned(), bytes_max });
    }
    // Room for all of it from the start: growing would leave copies behind.
    let room = usize::try_from(metadata.len()).unwrap_or(0).saturating_add(64);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    (&mut file).take(bytes_max).read_to_end(&mut bytes).map_err(io("read", path))?;
    Ok(bytes)
}

/// Reads a file that anybody may read, such as one of certificates.
pub fn read_public(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(io("open", path))?;
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(io("read", path))?;
    if bytes.len() as u64 > bytes_max {
        return Err(FileError::TooLarge { path: path.to_owned(), bytes_max });
    }
    Ok(bytes)
}

/// Held while something in the directory is changed.
pub struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

/// Waits for the directory's lock.
pub fn lock(directory: &Path) -> Result<Lock, FileError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(io("open", &path))?;
    file.lock().map_err(io("lock", &path))?;
    Ok(Lock(file))
}

/// Writes a file anew, whole or not at all. The lock says that nobody else does.
pub fn write(_lock: &Lock, path: &Path, contents: &[u8]) -> Result<(), FileError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let draft = directory.join(DRAFT);
    // What a process that was killed left behind.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("remove", &draft)(error)),
        _ => {}
    }
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(directory)?.sync_all()
    };
    let result = write();
    if result.is_err() {
        let _ = fs::remove_file(&draft);
    }
    result.map_err(io("write", path))
}

/// Removes a file for good.
pub fn remove(_lock: &Lock, path: &Path) -> Result<(), FileError> {
    fs::remove_file(path).map_err(io("remove", path))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io("write", directory))
}

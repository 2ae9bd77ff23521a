//! Keys on disk: made whole or not at all, by exactly one of those who try at once, and read only when
//! nobody else could have read or written them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::key::{KeyError, PublicKey, SigningKey};

/// Largest key file read; an Ed25519 key in PEM has 119 bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// Why a key file can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// There is none.
    #[error("there is no key at `{}`; run `bartizan init` to make one, or restore it from a backup", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is a key at `{}` already; move it away first if you want a new one", path.display())]
    Exists {
        /// Where it is.
        path: PathBuf,
    },
    /// A link could be pointed elsewhere by whoever owns its directory.
    #[error("key `{}` is not a regular file; replace it by the file itself", path.display())]
    NotAFile {
        /// Where it is.
        path: PathBuf,
    },
    /// Somebody else owns it.
    #[error("key `{}` belongs to user {owner}, not to you ({user}); run as its owner, or `chown {user} {}`", path.display(), path.display())]
    Owner {
        /// Where it is.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs.
        user: u32,
    },
    /// Others may read or write it.
    #[error("key `{}` has mode {mode:03o}, so others can get at it; `chmod 600 {}`, and make a new key if it may have been read", path.display(), path.display())]
    Mode {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    #[error("key `{}` can't be used; restore it from a backup", path.display())]
    Content {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// A key can't be made.
    #[error(transparent)]
    Generate(#[from] KeyError),
    /// The file system refuses.
    #[error("failed to {what} `{}`; check the directory's permissions and free space", path.display())]
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

/// Whether the key was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This call made it.
    Made,
    /// It was there already, or another process made it at the same moment.
    Found,
}

/// Makes a new private key. Of several calls at once exactly one succeeds, and no reader ever sees half a key.
///
/// # Errors
/// [`KeyFileError::Exists`] when there is one; otherwise what the file system says.
pub fn create(path: &Path) -> Result<SigningKey, KeyFileError> {
    let key = SigningKey::generate()?;
    let pem = key.to_pem()?;
    publish(path, pem.as_bytes(), 0o600)?;
    Ok(key)
}

/// Loads a private key after checking that it is a regular file of ours that nobody else can touch.
///
/// # Errors
/// As [`KeyFileError`] lists, each with its remedy.
pub fn load(path: &Path) -> Result<SigningKey, KeyFileError> {
    let pem = read(path, true)?;
    SigningKey::from_pem(&pem).map_err(|source| KeyFileError::Content { path: path.to_owned(), source })
}

/// Loads the key, making it first when there is none.
///
/// # Errors
/// As [`create`] and [`load`].
pub fn load_or_create(path: &Path) -> Result<(SigningKey, Origin), KeyFileError> {
    match load(path) {
        Ok(key) => Ok((key, Origin::Found)),
        Err(KeyFileError::Missing { .. }) => match create(path) {
            Ok(key) => Ok((key, Origin::Made)),
            Err(KeyFileError::Exists { .. }) => load(path).map(|key| (key, Origin::Found)),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Writes the public key beside the private one; an existing file must hold the same key.
///
/// # Errors
/// Another key is there, or the file system refuses.
pub fn write_public(path: &Path, key: &PublicKey) -> Result<(), KeyFileError> {
    match publish(path, key.to_pem()?.as_bytes(), 0o644) {
        Err(KeyFileError::Exists { .. }) if load_public(path)? == *key => Ok(()),
        other => other,
    }
}

/// Loads a public key. It is no secret; where it comes from is for the caller to trust.
///
/// # Errors
/// It isn't there, is too large or is no public key.
pub fn load_public(path: &Path) -> Result<PublicKey, KeyFileError> {
    let pem = read(path, false)?;
    PublicKey::from_pem(&pem).map_err(|source| KeyFileError::Content { path: path.to_owned(), source })
}

/// Writes a temporary file whole and links it to its name, which fails when the name is taken.
fn publish(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyFileError> {
    let io = |what, path: &Path| {
        let path = path.to_owned();
        move |source| KeyFileError::Io { what, path, source }
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut nonce = [0_u8; 8];
    getrandom::fill(&mut nonce).map_err(|error| KeyError::Random { reason: error.to_string() })?;
    let temporary = directory.join(format!(".key-{:016x}", u64::from_ne_bytes(nonce)));
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(mode).open(&temporary).map_err(io("create", &temporary))?;
    let linked = (|| {
        file.write_all(bytes).map_err(io("write", &temporary))?;
        file.sync_all().map_err(io("sync", &temporary))?;
        fs::hard_link(&temporary, path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
            _ => KeyFileError::Io { what: "create", path: path.to_owned(), source },
        })
    })();
    let removed = fs::remove_file(&temporary).map_err(io("remove", &temporary));
    linked?;
    removed?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io("sync", directory))
}

fn read(path: &Path, private: bool) -> Result<Zeroizing<String>, KeyFileError> {
    let io = |source| KeyFileError::Io { what: "read", path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.read(true);
    if private {
        // A link or a pipe in place of the key is refused, not followed or waited for.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing { path: path.to_owned() },
        _ if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            KeyFileError::NotAFile { path: path.to_owned() }
        }
        _ => io(source),
    })?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile { path: path.to_owned() });
    }
    if private {
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != user {
            return Err(KeyFileError::Owner { path: path.to_owned(), owner: metadata.uid(), user });
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Mode { path: path.to_owned(), mode });
        }
    }
    let mut pem = Zeroizing::new(String::with_capacity(KEY_FILE_BYTES_MAX as usize));
    file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut pem).map_err(io)?;
    Ok(pem)
}

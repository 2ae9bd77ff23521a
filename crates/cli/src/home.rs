//! Bartizan's home directory: what lies where, and that nobody else can touch it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bartizan_api::config::{CONFIG_BYTES_MAX, Config};

use crate::account::Account;

/// The directories of a home, all 0700.
const DIRECTORIES: &[&str] = &["policies", "personas", "keys", "ledger", "approvals", "open", "run"];

/// A home directory.
#[derive(Debug, Clone)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Where the home is, whether or not it exists.
    pub fn locate(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = match named {
            Some(path) if path.as_os_str().is_empty() => {
                bail!("the home directory's name is empty; unset BARTIZAN_HOME or name a directory")
            }
            Some(path) => std::path::absolute(path).with_context(|| format!("`{}` is no path", path.display()))?,
            None => Account::current()
                .home
                .context("this account has no home directory; set BARTIZAN_HOME to where Bartizan may keep its things")?
                .join(".bartizan"),
        };
        Ok(Self { path })
    }

    /// An existing home whose ownership and permissions are as they must be.
    pub fn open(named: Option<&Path>) -> anyhow::Result<Self> {
        let home = Self::locate(named)?;
        match fs::symlink_metadata(&home.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("there is no Bartizan home at `{}`; make one with `bartizan init`", home.path.display())
            }
            Err(error) => return Err(error).with_context(|| format!("failed to look at `{}`", home.path.display())),
            Ok(_) => {}
        }
        home.check()?;
        Ok(home)
    }

    /// Makes what is missing of the home; what exists stays as it is.
    pub fn create(&self) -> anyhow::Result<()> {
        make_private(&self.path)?;
        for directory in DIRECTORIES {
            make_private(&self.path.join(directory))?;
        }
        self.check()
    }

    /// That the home and its directories belong to us and are closed to others.
    pub fn check(&self) -> anyhow::Result<()> {
        check_private(&self.path)?;
        for directory in DIRECTORIES {
            check_private(&self.path.join(directory))?;
        }
        Ok(())
    }

    /// A directory of the home that not every home has, made when it is first needed.
    pub fn private_directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let directory = self.path.join(name);
        make_private(&directory)?;
        check_private(&directory)?;
        Ok(directory)
    }

    /// The home itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The settings.
    pub fn config_file(&self) -> PathBuf {
        self.path.join("config.yaml")
    }

    /// The policy `init` writes.
    pub fn default_policy(&self) -> PathBuf {
        self.path.join("policies/default.yaml")
    }

    /// The user's own personas.
    pub fn personas(&self) -> PathBuf {
        self.path.join("personas")
    }

    /// The key that signs receipts and checkpoints.
    pub fn key_file(&self) -> PathBuf {
        self.path.join("keys/ledger.pem")
    }

    /// Its public half, to hand to others.
    pub fn public_key_file(&self) -> PathBuf {
        self.path.join("keys/ledger.pub.pem")
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger")
    }

    /// The derived index.
    pub fn index(&self) -> PathBuf {
        self.path.join("state.db")
    }

    /// Standing approvals.
    pub fn approvals(&self) -> PathBuf {
        self.path.join("approvals")
    }

    /// Runs that may have open entries in the ledger, an empty file each.
    pub fn open_runs(&self) -> PathBuf {
        self.path.join("open")
    }

    /// Running boxes, a directory each.
    pub fn runs(&self) -> PathBuf {
        self.path.join("run")
    }

    /// Where the ledger's high-water mark is kept, outside the home so that an old copy of the home is noticed.
    pub fn witness_directory() -> anyhow::Result<PathBuf> {
        let base = std::env::var_os(bartizan_api::env::STATE_HOME).filter(|base| !base.is_empty()).map(PathBuf::from);
        let base = match base.filter(|base| base.is_absolute()) {
            Some(base) => base,
            None => Account::current()
                .home
                .context("this account has no home directory; set XDG_STATE_HOME")?
                .join(".local/state"),
        };
        Ok(base.join("bartizan/witness"))
    }

    /// Reads the settings.
    pub fn config(&self) -> anyhow::Result<Config> {
        let file = self.config_file();
        let bytes = match read_bounded(&file, CONFIG_BYTES_MAX as u64 + 1) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("`{}` is missing; write it with `bartizan init`", file.display())
            }
            result => result.with_context(|| format!("failed to read `{}`", file.display()))?,
        };
        Config::parse(&bytes).with_context(|| {
            format!("`{}` can't be used; correct it or move it away and run `bartizan init`", file.display())
        })
    }
}

/// Reads at most this many bytes of a regular file.
pub fn read_bounded(file: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let file =
        OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(file)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a new file, whole or not at all; an existing one is left alone. Says whether it was written.
pub fn write_new(file: &Path, contents: &[u8]) -> anyhow::Result<bool> {
    let directory = file.parent().context("a file needs a directory")?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let draft = directory.join(format!(".{name}.{}", std::process::id()));
    let write = || -> io::Result<bool> {
        let mut handle = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        handle.write_all(contents)?;
        handle.sync_all()?;
        match fs::hard_link(&draft, file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            result => result?,
        }
        fs::File::open(directory)?.sync_all()?;
        Ok(true)
    };
    let result = write();
    let _ = fs::remove_file(&draft);
    result.with_context(|| format!("failed to write `{}`", file.display()))
}

/// Writes a file anew, whole or not at all.
pub fn replace(file: &Path, contents: &[u8]) -> anyhow::Result<()> {
    let directory = file.parent().context("a file needs a directory")?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let draft = directory.join(format!(".{name}.{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut handle = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        handle.write_all(contents)?;
        handle.sync_all()?;
        fs::rename(&draft, file)?;
        fs::File::open(directory)?.sync_all()
    };
    let result = write();
    if result.is_err() {
        let _ = fs::remove_file(&draft);
    }
    result.with_context(|| format!("failed to write `{}`", file.display()))
}

fn make_private(directory: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = directory.parent().unwrap_or(directory);
            bail!("`{}` does not exist; make it or choose another home with --home", parent.display())
        }
        result => result.with_context(|| format!("failed to make `{}`", directory.display())),
    }
}

fn check_private(directory: &Path) -> anyhow::Result<()> {
    let shown = directory.display();
    let metadata = match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!("`{shown}` is missing; run `bartizan init`"),
        result => result.with_context(|| format!("failed to look at `{shown}`"))?,
    };
    if !metadata.is_dir() {
        bail!("`{shown}` is not a directory; move it away and run `bartizan init`");
    }
    let uid = rustix::process::geteuid().as_raw();
    if metadata.uid() != uid {
        bail!(
            "`{shown}` belongs to uid {}, not to you (uid {uid}); give it back with `chown -R` or choose another home with --home",
            metadata.uid()
        );
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("`{shown}` is open to others (mode {mode:04o}); close it with `chmod 700 {shown}`");
    }
    Ok(())
}

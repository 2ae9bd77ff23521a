//! What a run leaves in the home while it lives: its directory, and the mark that it may have open entries.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bartizan_model::RunId;

use crate::home::Home;
use crate::run::box_name;

/// The run's directory; gone when the run is.
pub(super) struct RunDirectory(pub(super) PathBuf);

/// What a run's directory is called until it holds its owner's claim; the owner's process follows.
const DRAFT_PREFIX: &str = ".new-";

/// The claim's file, as `bartizan_sandbox::claim` calls it.
const CLAIM: &str = "owner.json";

impl RunDirectory {
    /// Made under a name that says whose it is and given its own once the claim is in it: whoever is killed in
    /// between leaves nothing that the next run could not recognise.
    pub(super) fn make(home: &Home, run: &RunId) -> anyhow::Result<Self> {
        let path = home.runs().join(run.as_str());
        let draft = home.runs().join(format!("{DRAFT_PREFIX}{}-{run}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&draft).with_context(|| {
            format!("failed to make `{}`; check free space and permissions with `bartizan doctor`", draft.display())
        })?;
        let mut made = Self(draft);
        bartizan_sandbox::claim(&made.0, &box_name(run))
            .and_then(|()| fs::rename(&made.0, &path))
            .with_context(|| format!("failed to write into `{}`; check free space", made.0.display()))?;
        made.0 = path;
        Ok(made)
    }

    /// Removes drafts whose owners are gone, and what is left of removals that were cut short: a directory
    /// has its own name only with the claim in it, so without one it is nobody's.
    pub(super) fn clear_drafts(home: &Home) -> std::io::Result<()> {
        for entry in fs::read_dir(home.runs())?.flatten() {
            let abandoned = match draft_owner_lives(&entry.file_name()) {
                Some(lives) => !lives,
                None => !entry.path().join(CLAIM).exists(),
            };
            if abandoned {
                gone_is_fine(fs::remove_dir_all(entry.path()))?;
            }
        }
        Ok(())
    }
}

/// Says that a run may have open entries, and by the lock on it that the run lives. It outlives a killed run, whose
/// entries the next start then closes: without one nobody needs to search the ledger. The run's directory says less: it
/// goes with the box, before the last entry is written.
pub(super) struct OpenMark {
    path: PathBuf,
    /// An entry is open: only its closing takes the mark away.
    pub(super) holds: bool,
    _lock: fs::File,
}

impl OpenMark {
    /// Made before the run's first entry, under its own name only once it is locked.
    pub(super) fn make(home: &Home, run: &RunId) -> anyhow::Result<Self> {
        let path = home.open_runs().join(run.as_str());
        let draft = home.open_runs().join(format!("{DRAFT_PREFIX}{}-{run}", std::process::id()));
        let lock = fs::File::create_new(&draft)
            .and_then(|file| {
                file.lock()?;
                fs::rename(&draft, &path)?;
                Ok(file)
            })
            .with_context(|| format!("failed to make `{}`; check free space", path.display()))?;
        Ok(Self { path, holds: false, _lock: lock })
    }

    /// The marks of runs that are no more. Removes drafts whose owners are gone.
    pub(super) fn of_the_dead(home: &Home) -> std::io::Result<Vec<PathBuf>> {
        let mut dead = Vec::new();
        for entry in fs::read_dir(home.open_runs())?.flatten() {
            match draft_owner_lives(&entry.file_name()) {
                Some(true) => {}
                Some(false) => gone_is_fine(fs::remove_file(entry.path()))?,
                None if Self::is_locked(&entry.path()) => {}
                None => dead.push(entry.path()),
            }
        }
        Ok(dead)
    }

    /// Whether the run with this mark lives; what can't be looked at is left alone.
    pub(super) fn is_locked(mark: &Path) -> bool {
        match fs::File::open(mark) {
            Ok(file) => file.try_lock_shared().is_err(),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }
}

impl Drop for OpenMark {
    fn drop(&mut self) {
        if !self.holds {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether whoever made this draft still lives; `None` for what is no draft.
fn draft_owner_lives(name: &OsStr) -> Option<bool> {
    let (pid, _) = name.to_str()?.strip_prefix(DRAFT_PREFIX)?.split_once('-')?;
    Some(Path::new("/proc").join(pid).exists())
}

/// Another run that starts at the same time clears up too.
pub(super) fn gone_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    result.or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

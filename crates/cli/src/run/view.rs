//! What of the host's files a box shows: the policy's trees as they are on this disk now, with what lies in
//! them but must not be seen or written.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::bail;
use bartizan_policy::{FileLayer, PathAccess, PolicySet};

/// Files and directories looked at before giving up: a few seconds' worth.
const ENTRIES_MAX: usize = 4_000_000;

/// Mounts one box may need for single paths; beyond this the kernel and the start become slow.
const EXCEPTIONS_MAX: usize = 4096;

/// The distribution's own trees, which every account of this machine can read: nobody's secrets are in
/// them, so patterns that match anywhere (`**/.env`) aren't looked for there. What is denied by its
/// place (`/etc/shadow`) is.
const SYSTEM_TREES: &[&str] = &["/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/opt", "/sbin", "/usr"];

/// Absolute host paths, shown at the same place in the box.
#[derive(Debug, Default)]
pub struct View {
    /// Shown read-only.
    pub read: Vec<PathBuf>,
    /// Shown writable.
    pub write: Vec<PathBuf>,
    /// Within `write`, but not to be written.
    pub readonly: Vec<PathBuf>,
    /// Within any of them, but not to be seen.
    pub mask: Vec<PathBuf>,
}

/// Looks at the disk.
pub fn look(set: &PolicySet, files: &FileLayer) -> anyhow::Result<View> {
    let there =
        |paths: &[PathBuf]| paths.iter().filter(|path| fs::symlink_metadata(path).is_ok()).cloned().collect::<Vec<_>>();
    let mut view = View { read: there(&files.read), write: there(&files.write), ..View::default() };
    let mut walk = Walk { set, entries: 0, readonly: BTreeSet::new(), mask: BTreeSet::new() };
    for tree in &view.write {
        walk.tree(tree, true)?;
    }
    for tree in &view.read {
        if !SYSTEM_TREES.iter().any(|system| tree.starts_with(system)) {
            walk.tree(tree, false)?;
        }
    }
    for place in files.hide.iter().filter(|place| place.starts_with('/') && !place.contains(['*', '?', '!'])) {
        let place = Path::new(place);
        if set.classify(place) == PathAccess::Hidden && fs::symlink_metadata(place).is_ok() {
            walk.hide(place);
        }
    }
    if walk.mask.len() + walk.readonly.len() > EXCEPTIONS_MAX {
        bail!(
            "the policy singles out {} paths within its trees, the most is {EXCEPTIONS_MAX}; grant smaller trees, or deny whole directories",
            walk.mask.len() + walk.readonly.len()
        );
    }
    view.readonly = walk.readonly.into_iter().collect();
    view.mask = walk.mask.into_iter().collect();
    view.read.extend(there(&files.read_files));
    view.write.extend(there(&files.write_files));
    Ok(view)
}

struct Walk<'a> {
    set: &'a PolicySet,
    entries: usize,
    readonly: BTreeSet<PathBuf>,
    mask: BTreeSet<PathBuf>,
}

impl Walk<'_> {
    fn tree(&mut self, tree: &Path, writable: bool) -> anyhow::Result<()> {
        let mut waiting = vec![(tree.to_owned(), false)];
        while let Some((directory, shut)) = waiting.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                // What we can't list, the box, which has no more rights, can't either.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    continue;
                }
                Err(error) => bail!(
                    "failed to look through `{}`: {error}; take it out of the policy or mend it",
                    directory.display()
                ),
            };
            for entry in entries.flatten() {
                self.entries += 1;
                if self.entries > ENTRIES_MAX {
                    bail!("`{}` holds more than {ENTRIES_MAX} files; grant smaller trees", tree.display());
                }
                let path = entry.path();
                let access = self.set.classify(&path);
                if matches!(access, PathAccess::Hidden | PathAccess::Absent) {
                    self.hide(&path);
                    continue;
                }
                let held = writable && matches!(access, PathAccess::ReadOnly(_) | PathAccess::Read);
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                // A link is as writable as what it points to, which is looked at in its own place.
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                if held && !shut && !is_link {
                    self.readonly.insert(path.clone());
                }
                if is_directory {
                    waiting.push((path, shut || held));
                }
            }
        }
        Ok(())
    }

    /// Hides a path; a link hides what it points to, under whatever name that is shown.
    fn hide(&mut self, path: &Path) {
        if let Ok(target) = fs::canonicalize(path) {
            self.mask.insert(target);
        }
    }
}

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
    let mut walk =
        Walk { set, programs: &files.programs, entries: 0, readonly: BTreeSet::new(), mask: BTreeSet::new() };
    for tree in &view.write {
        walk.tree(tree, true)?;
    }
    for tree in view.read.iter().filter(|tree| !files.programs.contains(tree)) {
        walk.tree(tree, false)?;
    }
    // In trees of programs only what is denied by its place is looked for, there.
    for place in files.hide.iter().filter(|place| place.starts_with('/')) {
        walk.place(place)?;
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
    programs: &'a [PathBuf],
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
                let is_taken_as_it_is = !writable && self.programs.contains(&path);
                if is_directory && !is_taken_as_it_is {
                    waiting.push((path, shut || held));
                }
            }
        }
        Ok(())
    }

    /// Looks for what an absolute pattern denies within a tree of programs.
    fn place(&mut self, pattern: &str) -> anyhow::Result<()> {
        let fixed: PathBuf = Path::new(pattern).components().take_while(|part| !is_wild(part.as_os_str())).collect();
        // Bytes first: comparing paths by their components is slow, and there are thousands of pairs.
        let is_below = |tree: &PathBuf| {
            fixed.as_os_str().as_encoded_bytes().starts_with(tree.as_os_str().as_encoded_bytes())
                && fixed.starts_with(tree)
        };
        if !self.programs.iter().any(is_below) {
            return Ok(());
        }
        if self.set.classify(&fixed) == PathAccess::Hidden {
            self.hide(&fixed);
            return Ok(());
        }
        self.tree(&fixed, false)
    }

    /// Hides a path; a link hides what it points to, under whatever name that is shown.
    fn hide(&mut self, path: &Path) {
        if let Ok(target) = fs::canonicalize(path) {
            self.mask.insert(target);
        }
    }
}

fn is_wild(component: &std::ffi::OsStr) -> bool {
    component.as_encoded_bytes().iter().any(|byte| b"*?[{!".contains(byte))
}

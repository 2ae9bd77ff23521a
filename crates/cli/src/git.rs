//! Reads git repositories: what is staged, every version of every file, the files of one commit.
//!
//! The one place that knows git. It reads objects with `gix` and starts no program, so that a repository's own
//! settings, hooks and filters never run; a repository of another owner is opened with less trust by `gix` itself.
//! Links and submodules are left alone, and nothing is written but bundles that are pushed (`commits`).

mod commits;

pub use commits::{Commits, Wanted, is_repository};

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::Context;
use gix::ObjectId;
use gix::bstr::ByteSlice;

/// Deeper trees are made to hurt, not to hold files.
const TREE_DEPTH_MAX: usize = 256;
/// Larger files are passed over, and counted: an object is read as a whole.
const BLOB_BYTES_MAX: u64 = 256 << 20;

/// An open repository.
pub struct Repository {
    inner: gix::Repository,
}

/// A file whose staged content is not what the last commit has.
pub struct Staged {
    /// From the repository's root on.
    pub path: String,
    /// As it would be committed.
    pub content: Vec<u8>,
    /// As the last commit has it; empty for a new file.
    pub before: Vec<u8>,
}

/// What passed by without being read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Files larger than this module reads.
    pub too_large: usize,
    /// Objects that are not there or are damaged, as in a shallow or partial clone.
    pub missing: usize,
}

impl Repository {
    /// The repository that holds this directory.
    pub fn discover(directory: &Path) -> anyhow::Result<Self> {
        let inner = gix::discover(directory).with_context(|| {
            format!("no git repository at or above `{}`; run it inside of one", directory.display())
        })?;
        Ok(Self { inner })
    }

    /// What differs between the index and the last commit.
    pub fn staged(&self) -> anyhow::Result<(Vec<Staged>, Passed)> {
        let index = self.inner.index_or_empty().context("failed to read the index; run `git status` to see why")?;
        let head = self.inner.head_tree_id_or_empty().context("failed to read the last commit")?;
        let mut before = HashMap::new();
        let tree = self.inner.find_tree(head.detach()).context("failed to read the last commit's files")?;
        for entry in tree.traverse().breadthfirst.files().context("failed to read the last commit's files")? {
            before.insert(entry.filepath, entry.oid);
        }
        let (mut staged, mut passed) = (Vec::new(), Passed::default());
        for entry in index.entries() {
            let is_file = entry.mode.contains(gix::index::entry::Mode::FILE);
            let path = entry.path(&index);
            let old = before.get(path);
            // Stages above zero are the sides of a conflict, which can't be committed.
            if !is_file || entry.stage_raw() != 0 || old == Some(&entry.id) {
                continue;
            }
            let Some(content) = self.blob(entry.id, &mut passed) else { continue };
            let before = old.and_then(|id| self.blob(*id, &mut Passed::default())).unwrap_or_default();
            staged.push(Staged { path: path.to_str_lossy().into_owned(), content, before });
        }
        Ok((staged, passed))
    }

    /// Every version of every file that any branch, tag or the current commit reaches: each content once, with the
    /// oldest commit that has it, as far as the order of commits tells. `visit` gets commit, path and content.
    pub fn history(&self, mut visit: impl FnMut(&str, &str, Vec<u8>) -> anyhow::Result<()>) -> anyhow::Result<Passed> {
        let mut tips = Vec::new();
        let references = self.inner.references().context("failed to read the branches")?;
        for reference in references.all().context("failed to read the branches")?.flatten() {
            // Some point at what is no commit; those hold no files of their own.
            let tip = reference.into_fully_peeled_id().ok().map(|id| id.detach());
            tips.extend(tip.filter(|id| self.inner.find_commit(*id).is_ok()));
        }
        tips.extend(self.inner.head_id().ok().map(|id| id.detach()));
        let mut ids = Vec::new();
        let mut passed = Passed::default();
        for commit in self.inner.rev_walk(tips).all().context("failed to walk the history")? {
            match commit {
                Ok(commit) => ids.push(commit.id),
                Err(_) => passed.missing += 1,
            }
        }
        // From parents to children, as far as their order tells: the first commit with a content is named for it.
        let mut seen = HashSet::new();
        for id in ids.iter().rev() {
            let tree = self.inner.find_commit(*id).ok().and_then(|commit| commit.tree_id().ok().map(|id| id.detach()));
            let Some(tree) = tree else {
                passed.missing += 1;
                continue;
            };
            self.new_files(tree, &id.to_hex().to_string(), &mut seen, &mut passed, &mut visit)?;
        }
        Ok(passed)
    }

    /// Visits files below a tree that were not seen before; a tree that was seen is not gone into again.
    fn new_files(
        &self,
        root: ObjectId,
        commit: &str,
        seen: &mut HashSet<ObjectId>,
        passed: &mut Passed,
        visit: &mut impl FnMut(&str, &str, Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut trees = vec![(root, String::new(), 0)];
        while let Some((id, prefix, depth)) = trees.pop() {
            if depth > TREE_DEPTH_MAX || !seen.insert(id) {
                continue;
            }
            let Ok(tree) = self.inner.find_tree(id) else {
                passed.missing += 1;
                continue;
            };
            for entry in tree.iter() {
                let Ok(entry) = entry else {
                    passed.missing += 1;
                    break;
                };
                let entry = entry.inner;
                let path = format!("{prefix}{}", entry.filename.to_str_lossy());
                let id = entry.oid.to_owned();
                if entry.mode.is_tree() {
                    trees.push((id, path + "/", depth + 1));
                } else if entry.mode.is_blob()
                    && seen.insert(id)
                    && let Some(content) = self.blob(id, passed)
                {
                    visit(commit, &path, content)?;
                }
            }
        }
        Ok(())
    }

    fn blob(&self, id: ObjectId, passed: &mut Passed) -> Option<Vec<u8>> {
        match self.inner.find_header(id) {
            Ok(header) if header.size() > BLOB_BYTES_MAX => passed.too_large += 1,
            Ok(_) => match self.inner.find_object(id) {
                Ok(object) => return Some(object.detach().data),
                Err(_) => passed.missing += 1,
            },
            Err(_) => passed.missing += 1,
        }
        None
    }
}

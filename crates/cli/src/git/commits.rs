//! Files of commits, read and written without Git. Opened isolated, so that no setting of the repository or the machine
//! runs a program or points elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use gix::bstr::ByteSlice as _;
use gix::objs::tree::EntryKind;

/// Deepest tree read.
const DEPTH_MAX: usize = 32;
/// Most entries of trees looked at.
const ENTRIES_MAX: usize = 100_000;

/// Whether this is a repository: bare, or a working tree.
pub fn is_repository(path: &Path) -> bool {
    path.join(".git").exists() || (path.join("HEAD").is_file() && path.join("objects").is_dir())
}

/// An open repository.
pub struct Commits(gix::Repository);

/// Which files to read of a commit, and how much at most.
pub struct Wanted<'a> {
    /// Below this directory; empty for everything.
    pub below: &'a str,
    /// Whether a path, relative to that directory, is wanted.
    pub takes: fn(&str) -> bool,
    /// Most files.
    pub files_max: usize,
    /// Most bytes of all of them.
    pub bytes_max: usize,
}

impl Commits {
    /// Opens the repository at this path.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let repository = gix::open_opts(path, gix::open::Options::isolated())
            .map_err(|error| anyhow::anyhow!("{error}"))
            .with_context(|| format!("`{}` can't be opened as a Git repository", path.display()))?;
        Ok(Self(repository))
    }

    /// The commit a revision names: a branch, a tag, a (short) hash.
    pub fn commit(&self, revision: &str) -> anyhow::Result<gix::ObjectId> {
        let named = self.0.rev_parse_single(revision).map_err(|error| anyhow::anyhow!("{error}"));
        let id = named.with_context(|| format!("there is no commit `{revision}`; name a branch, tag or hash"))?;
        let commit = id.object().ok().and_then(|object| object.peel_to_commit().ok());
        Ok(commit.with_context(|| format!("`{revision}` names no commit"))?.id)
    }

    /// Files of a commit. Symbolic links and submodules are left out.
    pub fn files(&self, commit: gix::ObjectId, wanted: &Wanted<'_>) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let mut tree = self.tree(commit)?;
        for part in wanted.below.split('/').filter(|part| !part.is_empty() && *part != ".") {
            let entry = tree.find_entry(part).filter(|entry| entry.mode().is_tree());
            let Some(entry) = entry else { bail!("there is no directory `{}` in this commit", wanted.below) };
            let id = entry.object_id();
            tree = self.0.find_tree(id).map_err(|error| anyhow::anyhow!("{error}"))?;
        }
        let mut gathering = Gathering { repository: &self.0, wanted, files: BTreeMap::new(), bytes: 0, entries: 0 };
        gathering.tree(&tree, "", 0)?;
        Ok(gathering.files)
    }

    /// One file as a reference has it; `None` where there is no such reference or file.
    pub fn read(&self, reference: &str, path: &str, bytes_max: u64) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(commit) = self.head(reference)? else { return Ok(None) };
        let entry = self.tree(commit)?.lookup_entry_by_path(path).map_err(|error| anyhow::anyhow!("{error}"))?;
        let Some(entry) = entry.filter(|entry| entry.mode().is_blob()) else { return Ok(None) };
        let header = self.0.find_header(entry.object_id()).map_err(|error| anyhow::anyhow!("{error}"))?;
        if header.size() > bytes_max {
            bail!("`{path}` has {} bytes, the most is {bytes_max}", header.size());
        }
        let object = self.0.find_object(entry.object_id()).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(Some(object.data.clone()))
    }

    /// The names in a directory as a reference has it.
    pub fn list(&self, reference: &str, directory: &str) -> anyhow::Result<Vec<String>> {
        let Some(commit) = self.head(reference)? else { return Ok(Vec::new()) };
        let tree = self.tree(commit)?;
        let Some(entry) = tree.find_entry(directory).filter(|entry| entry.mode().is_tree()) else {
            return Ok(Vec::new());
        };
        let tree = self.0.find_tree(entry.object_id()).map_err(|error| anyhow::anyhow!("{error}"))?;
        let names = tree.iter().take(ENTRIES_MAX).filter_map(|entry| Some(entry.ok()?.filename().to_string()));
        Ok(names.collect())
    }

    /// Commits one more file on a branch, made when there is none. Refused when somebody else was faster.
    pub fn add(&self, reference: &str, path: &str, bytes: &[u8], message: &str) -> anyhow::Result<()> {
        let plain = |error: gix::Error| anyhow::anyhow!("{error}");
        let parent = self.head(reference)?;
        let base = match parent {
            Some(commit) => self.tree(commit)?.id,
            None => self.0.empty_tree().id,
        };
        let blob = self.0.write_blob(bytes).map_err(plain)?;
        let mut editor = self.0.edit_tree(base).map_err(plain)?;
        editor.upsert(path, EntryKind::Blob, blob.detach()).map_err(plain)?;
        let tree = editor.write().map_err(plain)?.detach();
        let time = jiff::Timestamp::now().as_second().to_string() + " +0000";
        let who = gix::actor::SignatureRef {
            name: b"bartizan".as_bstr(),
            email: b"bartizan@localhost".as_bstr(),
            time: &time,
        };
        let commit = self.0.commit_as(who, who, reference, message, tree, parent);
        commit.map_err(plain).with_context(|| format!("failed to commit to `{reference}`; pull and try again"))?;
        Ok(())
    }

    fn head(&self, reference: &str) -> anyhow::Result<Option<gix::ObjectId>> {
        let found = self.0.try_find_reference(reference).map_err(|error| anyhow::anyhow!("{error}"))?;
        let Some(mut found) = found else { return Ok(None) };
        Ok(Some(found.peel_to_id().map_err(|error| anyhow::anyhow!("{error}"))?.detach()))
    }

    fn tree(&self, commit: gix::ObjectId) -> anyhow::Result<gix::Tree<'_>> {
        let commit = self.0.find_commit(commit).map_err(|error| anyhow::anyhow!("{error}"))?;
        commit.tree().map_err(|error| anyhow::anyhow!("{error}"))
    }
}

struct Gathering<'a> {
    repository: &'a gix::Repository,
    wanted: &'a Wanted<'a>,
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
    entries: usize,
}

impl Gathering<'_> {
    fn tree(&mut self, tree: &gix::Tree<'_>, prefix: &str, depth: usize) -> anyhow::Result<()> {
        if depth > DEPTH_MAX {
            bail!("the directories of this commit lie too deep; at most {DEPTH_MAX}");
        }
        for entry in tree.iter() {
            let entry = entry.map_err(|error| anyhow::anyhow!("{error}"))?;
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                bail!("the commit has more than {ENTRIES_MAX} entries; name a directory of it");
            }
            let Ok(name) = entry.filename().to_str() else { continue };
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            let id = entry.object_id();
            if entry.mode().is_tree() {
                let inner = self.repository.find_tree(id).map_err(|error| anyhow::anyhow!("{error}"))?;
                self.tree(&inner, &path, depth + 1)?;
            } else if entry.mode().is_blob() && (self.wanted.takes)(&path) {
                self.blob(id, path)?;
            }
        }
        Ok(())
    }

    fn blob(&mut self, id: gix::ObjectId, path: String) -> anyhow::Result<()> {
        let header = self.repository.find_header(id).map_err(|error| anyhow::anyhow!("{error}"))?;
        self.bytes = self.bytes.saturating_add(usize::try_from(header.size()).unwrap_or(usize::MAX));
        if self.files.len() >= self.wanted.files_max || self.bytes > self.wanted.bytes_max {
            bail!(
                "these are more than {} files or {} bytes; name a directory of the commit",
                self.wanted.files_max,
                self.wanted.bytes_max
            );
        }
        let object = self.repository.find_object(id).map_err(|error| anyhow::anyhow!("{error}"))?;
        self.files.insert(path, object.data.clone());
        Ok(())
    }
}

//! The plan of one box.

use std::ffi::OsString;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Everything the helper needs to know; it reads no file and no variable to decide anything.
///
/// Paths are absolute, without `.`, `..` or repeated slashes. Sources are canonical.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JailPlan {
    /// Identifier of the run, used as the box's host name.
    pub run: String,
    pub argv: Vec<OsString>,
    /// `NAME=value`, complete: nothing is inherited.
    pub env: Vec<OsString>,
    pub cwd: OsString,
    pub identity: Identity,
    /// Host trees shown inside; parents stand before children.
    pub trees: Vec<Tree>,
    /// Symbolic links to make again where the box's own root has none.
    pub links: Vec<Link>,
    /// Private writable directories, gone with the box.
    pub scratch: Vec<OsString>,
    pub scratch_bytes: u64,
    pub scratch_inodes: u64,
    /// Paths to shut again for writing inside writable trees; absent ones are passed over.
    pub readonly: Vec<OsString>,
    /// Paths whose content must not be seen; absent ones are passed over.
    pub mask: Vec<OsString>,
    /// Files laid over what the host has.
    pub texts: Vec<Text>,
    pub limits: Vec<ResourceLimit>,
    /// Refuse to start when the kernel has no Landlock.
    pub landlock_required: bool,
    pub cgroup: Cgroup,
    /// Rows and columns when the command gets a terminal of its own.
    pub terminal: Option<(u16, u16)>,
    /// Start of a program is asked.
    pub gate_exec: bool,
    /// Patterns of names whose making is asked; see the helper's `names` module for the form.
    pub guard_names: Vec<String>,
    /// Removed by the helper when Bartizan's process is gone.
    pub cleanup: Vec<OsString>,
}

impl JailPlan {
    /// Making and moving names is held: some are guarded, or a directory above a shut path could be
    /// moved away and its name made anew.
    #[must_use]
    pub fn holds_names(&self) -> bool {
        let deep = |path: &OsString| {
            let path = Path::new(path);
            let tree = self.trees.iter().filter(|tree| tree.writable).map(|tree| Path::new(&tree.target));
            tree.filter(|tree| path.starts_with(tree))
                .any(|tree| path.strip_prefix(tree).is_ok_and(|below| below.components().count() > 1))
        };
        !self.guard_names.is_empty() || self.readonly.iter().chain(&self.mask).any(deep)
    }
}

/// Who the box's processes are, inside and for the host.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Identity {
    pub uid_inside: u32,
    pub uid_outside: u32,
    pub gid_inside: u32,
    pub gid_outside: u32,
    /// The helper is root and the box's ids are not its own: trees are presented through
    /// idmapped mounts and supplementary groups are dropped.
    pub dropped: bool,
}

/// A host file or directory shown inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tree {
    pub source: OsString,
    pub target: OsString,
    pub writable: bool,
    pub owner: TreeOwner,
}

/// How the owner of a tree's files is presented when the box's ids are not the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TreeOwner {
    /// The box is a stranger to it, as to `/etc/shadow`.
    Stranger,
    /// What the invoking user owns belongs to the box, and the other way round.
    Invoker,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Link {
    pub at: OsString,
    pub target: OsString,
}

/// A generated file, readable by everyone in the box.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Text {
    pub path: OsString,
    pub content: Vec<u8>,
    /// Only its owner reads it, as programs demand of keys, and without it the box is not started.
    pub is_private: bool,
}

impl Drop for Text {
    fn drop(&mut self) {
        if self.is_private {
            self.content.fill(0);
            std::hint::black_box(&self.content);
        }
    }
}

/// One hard `setrlimit` value; `resource` is the kernel's number.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ResourceLimit {
    pub resource: u32,
    pub value: u64,
}

/// Where the box's first process is put before it may go on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cgroup {
    /// 1 or 2, or 0 without any.
    pub version: u8,
    /// Directories, already made and limited.
    pub directories: Vec<OsString>,
}

/// The numbers under which the helper finds its descriptors.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Descriptor;

impl Descriptor {
    /// The encoded plan.
    pub const PLAN: i32 = 3;
    /// Socket between Bartizan's process and the box's first process.
    pub const INIT: i32 = 4;
    /// Socket between Bartizan's process and the janitor.
    pub const JANITOR: i32 = 5;
    /// The command's standard input; output and error follow.
    pub const STDIO: i32 = 6;
}

//! What a box is to be.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use bartizan_gate::store::SecretValue;

/// The specification of one box. Paths are absolute.
#[derive(Debug)]
pub struct BoxSpec {
    /// Identifier of the run: letters, digits and `-`.
    pub run: String,
    /// The command and its arguments, not empty.
    pub argv: Vec<OsString>,
    /// Working directory inside, which is also that outside.
    pub cwd: PathBuf,
    /// The whole environment: nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// A private, empty home directory is put here, unless one of the trees is exactly this path.
    pub home: PathBuf,
    /// Host trees to show read-only; absent ones are passed over. `/` stands for everything except
    /// `/proc`, `/sys`, `/dev`, `/run` and `/tmp`.
    pub read: Vec<PathBuf>,
    /// Host trees to show writable; all must exist.
    pub write: Vec<PathBuf>,
    /// Paths inside `write` to shut again; absent ones are passed over.
    pub readonly: Vec<PathBuf>,
    /// Paths whose content must not be seen; absent ones are passed over.
    pub mask: Vec<PathBuf>,
    /// Files laid over what the host has, readable by everyone in the box and writable by nobody.
    pub texts: Vec<(PathBuf, Vec<u8>)>,
    /// The same with a secret in them: only the program's own account reads them.
    pub secrets: Vec<(PathBuf, SecretValue)>,
    /// Names whose making is asked. A pattern is a row of name patterns separated by `/`, in which
    /// `*` stands for any part of a name and letter case is ignored. It is held against the last
    /// names of the path: `.envrc`, `.vscode/tasks.json`, `.git`. Ending in `/**` it also covers
    /// everything below: `.git/hooks/**`.
    pub guard_names: Vec<String>,
    /// Every start of a program is asked.
    pub gate_exec: bool,
    pub limits: Limits,
    pub cgroup: Demand,
    pub landlock: Demand,
    pub root_mapping: RootMapping,
    pub stdio: Stdio,
    /// The run's own directory, already there. The janitor removes it if this process dies.
    pub run_dir: PathBuf,
}

/// Bounds of one box; `None` leaves the kernel's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bytes of memory of all processes together.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Processors' worth of time.
    pub cpu: Option<f64>,
    /// Open descriptors of one process.
    pub open_files: Option<u64>,
    /// Bytes of one file.
    pub file_bytes: Option<u64>,
    /// Bytes of address space of one process.
    pub address_space: Option<u64>,
    pub wall: Option<Duration>,
    /// Bytes by which the writable trees' filesystems may fill up while the box runs.
    pub disk_bytes: Option<u64>,
    /// Bytes that must stay free on the writable trees' filesystems.
    pub disk_floor: Option<u64>,
    /// Bytes of the private directories together. They live in memory.
    pub scratch_bytes: u64,
    /// Files in the private directories together.
    pub scratch_inodes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            memory: Some(4 * GIB),
            pids: Some(512),
            cpu: None,
            open_files: Some(65_536),
            file_bytes: Some(16 * GIB),
            address_space: None,
            wall: None,
            disk_bytes: Some(16 * GIB),
            disk_floor: Some(GIB / 4),
            scratch_bytes: GIB,
            scratch_inodes: 200_000,
        }
    }
}

/// How much a layer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Refuse to start without it.
    Required,
    /// Go on without it and say so in the layers.
    Preferred,
    /// Leave it out.
    Off,
}

/// Whom root's box acts as outside. An ordinary user's box always acts as that user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootMapping {
    /// As a user id of its own that owns nothing; the trees are presented through idmapped mounts.
    Drop,
    /// As root, without any capability: weaker, for filesystems without idmapped mounts.
    Keep,
}

/// What the command reads and writes.
#[derive(Debug)]
pub enum Stdio {
    /// Input, output and error. Pipes serve best: a file or terminal given here cannot be opened
    /// again by name (`/dev/stdout`) inside.
    Descriptors([OwnedFd; 3]),
    /// A terminal of the box's own; its master side is [`crate::PreparedBox::terminal`].
    Terminal { rows: u16, columns: u16 },
}

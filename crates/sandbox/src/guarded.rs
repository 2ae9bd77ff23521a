//! Control groups for processes that are in no box but are watched: made, entered, stopped, frozen, taken down. Version 2
//! only, because that is what the kernel knows sockets by.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, MountPropagationFlags, mount_bind, mount_change, mount_remount};
use rustix::process::{Gid, Pid, PidfdFlags, Signal, Uid, pidfd_open, pidfd_send_signal};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};

/// How every group we make for a watch is called.
const PREFIX: &str = "bartizan-watch-";
/// How long the last process of a group may take to be gone.
const EMPTY_WAIT: Duration = Duration::from_secs(10);
const EMPTY_PAUSE: Duration = Duration::from_millis(2);
/// Processes of a group that are listed at once.
const PROCESSES_MAX: usize = 65_536;
/// The hidden command by which our own program enters a group and becomes another one.
pub const ENTER_COMMAND: &str = "__enter";

/// Where the version 2 tree is mounted.
///
/// # Errors
/// It is not mounted, or `/proc` can't be read.
pub fn control_tree() -> io::Result<PathBuf> {
    trees()?.into_iter().next().ok_or_else(|| {
        let how = "no cgroup version 2 is mounted; mount it with `mount -t cgroup2 none /sys/fs/cgroup/unified`";
        io::Error::new(io::ErrorKind::NotFound, how)
    })
}

fn trees() -> io::Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let of = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(point))
    };
    Ok(mounts.lines().filter_map(of).collect())
}

/// One group of the version 2 tree.
#[derive(Debug, Clone)]
pub struct Group {
    directory: PathBuf,
}

impl Group {
    /// Makes one right below the tree's root, of this process: whoever is in it and not root can get to no other group, for it takes leave to
    /// write to the group above.
    ///
    /// # Errors
    /// It takes root.
    pub fn make(name: &str) -> io::Result<Self> {
        let directory = control_tree()?.join(format!("{PREFIX}{name}-{}", std::process::id()));
        fs::create_dir(&directory)?;
        Ok(Self { directory })
    }

    /// One that is there: its directory, or its path below the tree's root.
    ///
    /// # Errors
    /// It isn't.
    pub fn open(path: &Path) -> io::Result<Self> {
        let tree = control_tree()?;
        let directory = fs::canonicalize(tree.join(path))?;
        if !directory.starts_with(&tree) || !directory.join("cgroup.procs").exists() {
            let message = format!("it is no group of the tree at `{}`", tree.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self { directory })
    }

    /// The tree's root: every process that can be seen.
    ///
    /// # Errors
    /// There is no tree.
    pub fn root() -> io::Result<Self> {
        Ok(Self { directory: control_tree()? })
    }

    /// Removes groups of watches that have ended without a word and in which no process is left.
    pub fn clear_abandoned() {
        let Ok(tree) = control_tree() else { return };
        for entry in fs::read_dir(tree).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            let owner = rest.rsplit('-').next().and_then(|pid| pid.parse::<u32>().ok());
            if owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists()) {
                // Refused by the kernel where there are processes.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The kernel's number of it.
    ///
    /// # Errors
    /// It is gone.
    pub fn id(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.directory)?.ino())
    }

    /// Whether it is the root of what can be seen, and so holds whoever asks.
    #[must_use]
    pub fn is_root(&self) -> bool {
        control_tree().is_ok_and(|tree| tree == self.directory)
    }

    /// Its processes, those of groups below too.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mut processes = Vec::new();
        let mut waiting = vec![self.directory.clone()];
        while let Some(directory) = waiting.pop() {
            let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            processes.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid != 0));
            if processes.len() >= PROCESSES_MAX {
                break;
            }
            let below = fs::read_dir(&directory).into_iter().flatten().flatten();
            waiting.extend(
                below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
            );
        }
        processes
    }

    /// Whether this process is in it or below.
    #[must_use]
    pub fn holds(&self, pid: u32) -> bool {
        let Ok(groups) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else { return false };
        let Ok(tree) = control_tree() else { return false };
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/"));
        own.is_some_and(|own| tree.join(own).starts_with(&self.directory))
    }

    /// Puts this very process into it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn enter(&self) -> io::Result<()> {
        fs::write(self.directory.join("cgroup.procs"), "0")
    }

    /// Ends one of its processes. It is made sure first that it is one.
    ///
    /// # Errors
    /// It is gone or in another group.
    pub fn end_process(&self, pid: u32) -> io::Result<()> {
        self.signal(pid, Signal::KILL)
    }

    /// Stops one of its processes without ending it.
    ///
    /// # Errors
    /// As [`Self::end_process`].
    pub fn stop_process(&self, pid: u32) -> io::Result<()> {
        self.signal(pid, Signal::STOP)
    }

    fn signal(&self, pid: u32, signal: Signal) -> io::Result<()> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let process = pidfd_open(number, PidfdFlags::empty())?;
        // After opening: the number can't have been given to another by now.
        if !self.holds(pid) || pid == std::process::id() || pid == 1 {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(pidfd_send_signal(process.as_fd(), signal)?)
    }

    /// Stops every process in it, or lets them go on.
    ///
    /// # Errors
    /// It is the root, or gone.
    pub fn freeze(&self, frozen: bool) -> io::Result<()> {
        fs::write(self.directory.join("cgroup.freeze"), if frozen { "1" } else { "0" })
    }

    /// Ends every process in it.
    ///
    /// # Errors
    /// It is the root, or gone.
    pub fn end(&self) -> io::Result<()> {
        match fs::write(self.directory.join("cgroup.kill"), "1") {
            // Before Linux 5.14: one by one, frozen so that none slips away.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::PermissionDenied =>
            {
                self.freeze(true)?;
                for pid in self.processes() {
                    let _ = self.end_process(pid);
                }
                self.freeze(false)
            }
            other => other,
        }
    }

    /// Ends what is in it and takes it down.
    ///
    /// # Errors
    /// A process does not end.
    pub fn remove(&self) -> io::Result<()> {
        let deadline = Instant::now() + EMPTY_WAIT;
        loop {
            let _ = self.end();
            match fs::remove_dir(&self.directory) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                    std::thread::sleep(EMPTY_PAUSE);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => return other,
            }
        }
    }
}

/// Starts our own program anew in a group: as [`ENTER_COMMAND`] with these arguments it goes there first and becomes
/// what it is to be then.
///
/// # Errors
/// It can't be started.
#[expect(clippy::disallowed_methods, reason = "our own program, which enters the guarded group before anything else")]
pub fn start_in(group: &Group, arguments: Vec<OsString>, stdio: Option<Stdio>) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(ENTER_COMMAND).arg(group.directory()).args(arguments);
    if let Some(stdout) = stdio {
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::inherit());
    }
    command.spawn()
}

/// Who a watched command is to be.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// Its group; there are no others, for some of them would be as good as root.
    pub gid: u32,
}

/// Enters the group, for good: without any capability, without a way to gain one, and, for root, without a cgroup tree that
/// can be written.
///
/// # Errors
/// A step of it; nothing may be executed then.
pub fn settle_in(group: &Path, identity: Option<Identity>) -> io::Result<()> {
    let step = |what: &'static str| move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    Group { directory: group.to_owned() }.enter().map_err(step("entering the group"))?;
    close_inherited()?;
    if identity.is_none_or(|identity| identity.uid == 0) {
        lock_trees().map_err(step("making the cgroup trees read-only"))?;
    }
    for number in 0..64 {
        if let Some(capability) = CapabilitySet::from_bits(1 << number) {
            // Fails for numbers the kernel doesn't know; those it has are gone after this.
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
    }
    if let Some(Identity { uid, gid }) = identity {
        rustix::thread::set_thread_groups(&[]).map_err(|error| step("leaving groups")(error.into()))?;
        let (gid, uid) = (Gid::from_raw(gid), Uid::from_raw(uid));
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|error| step("changing the group")(error.into()))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|error| step("changing the user")(error.into()))?;
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(|error| step("giving up capabilities")(error.into()))?;
    rustix::thread::set_no_new_privs(true).map_err(|error| step("forbidding new privileges")(error.into()))
}

/// Becomes the command.
#[expect(clippy::disallowed_methods, reason = "becomes the watched program, within its group")]
pub fn become_command(program: &OsString, arguments: &[OsString]) -> io::Error {
    Command::new(program).args(arguments).exec()
}

/// A socket that was made outside is known by the group it was made in, so none may come along.
fn close_inherited() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let is_socket = target.to_string_lossy().starts_with("socket:");
        if number <= 2 && is_socket && is_internet(number) {
            let message =
                format!("descriptor {number} is a network connection that was made outside; start it without");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    // Everything else closes when the command is executed.
    let result = close_on_exec();
    result.map_err(|error| io::Error::new(error.kind(), format!("closing what was inherited: {error}")))
}

fn is_internet(number: i32) -> bool {
    use rustix::net::{AddressFamily, sockopt};
    let stream = match number {
        0 => sockopt::socket_domain(io::stdin()),
        1 => sockopt::socket_domain(io::stdout()),
        _ => sockopt::socket_domain(io::stderr()),
    };
    stream.is_ok_and(|domain| domain == AddressFamily::INET || domain == AddressFamily::INET6)
}

#[allow(unsafe_code, reason = "close_range has no safe form")]
fn close_on_exec() -> io::Result<()> {
    // SAFETY: only marks descriptors; nothing that is open is closed before the program is replaced.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 4_u32) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Root owns the files by which groups are left, so they are made read-only where the command sees them.
fn lock_trees() -> io::Result<()> {
    unshare_mounts()?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)?;
    for tree in trees()? {
        mount_bind(&tree, &tree)?;
        let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount_remount(&tree, flags, c"")?;
    }
    Ok(())
}

#[allow(unsafe_code, reason = "unshare is unsafe only where descriptors are unshared")]
fn unshare_mounts() -> io::Result<()> {
    // SAFETY: mounts only, and this process has one thread, which is about to become another program.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?)
}

//! The process outside the box that starts it, watches it and clears up after it.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use bartizan_jail::channel::{self, DESCRIPTORS_MAX};
use bartizan_jail::{Descriptor, FromJanitor, JailPlan, Layer, ToJanitor, TreeOwner, decode};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, WaitOptions, geteuid, pidfd_send_signal, waitpid};

use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::set_name;

use crate::fault::{At, Fault};
use crate::init::{self, Start};
use crate::mounts;
use crate::sys::{self, Clone};

const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

pub(crate) fn run() -> Result<(), Fault> {
    // First, so that whatever fails can be told.
    let bartizan = sys::adopt(Descriptor::JANITOR).at(Layer::Helper, "janitor's socket")?;
    let (plan, init_socket, stdio) = match take_over() {
        Ok(taken) => taken,
        Err(Fault { layer, what, errno }) => {
            let _ = channel::send(&bartizan, &FromJanitor::Failed { layer, what, errno }, &[]);
            return Ok(());
        }
    };
    if plan.identity.dropped {
        stdio.iter().for_each(|open| give_pipe(open, &plan));
    }
    let outcome = start(&plan, init_socket, stdio).and_then(|running| {
        let up = FromJanitor::Up { pid: running.pid.as_raw_nonzero().get() };
        // A closed socket is noticed by `watch`.
        let _ = channel::send(&bartizan, &up, &[]);
        watch(&running, &bartizan)
    });
    if let Err(Fault { layer, what, errno }) = outcome {
        let failed = FromJanitor::Failed { layer, what, errno };
        let _ = channel::send(&bartizan, &failed, &[]);
    }
    let told = channel::send(&bartizan, &FromJanitor::Ended, &[]).is_ok();
    if !told || !taken_over(&bartizan) {
        // Bartizan's process is gone and nobody else will clear up.
        clear_cgroups(&plan.cgroup.directories);
        for path in &plan.cleanup {
            let _ = fs::remove_dir_all(path);
        }
    }
    Ok(())
}

/// Takes over what Bartizan's process hands down, and nothing else.
fn take_over() -> Result<(JailPlan, OwnedFd, Vec<OwnedFd>), Fault> {
    let kept: Vec<i32> = (Descriptor::PLAN..Descriptor::STDIO + 3).collect();
    sys::close_all_but(&kept).at(Layer::Helper, "close descriptors")?;
    // Shown by `ps`; a program started from memory is named by a number otherwise.
    let _ = set_name(c"bartizan-jail");
    release_stdio().at(Layer::Helper, "let go of standard input, output and error")?;
    let mut bytes = Vec::new();
    fs::File::from(sys::adopt(Descriptor::PLAN).at(Layer::Helper, "plan descriptor")?)
        .read_to_end(&mut bytes)
        .map_err(|_| Errno::IO)
        .at(Layer::Helper, "read the plan")?;
    let plan: JailPlan = decode(&bytes).map_err(|_| Errno::BADMSG).at(Layer::Helper, "read the plan")?;
    let init = sys::adopt(Descriptor::INIT).at(Layer::Helper, "first process's socket")?;
    let mut stdio = Vec::new();
    for number in 0..3 {
        stdio.push(sys::adopt(Descriptor::STDIO + number).at(Layer::Helper, "standard descriptor")?);
    }
    Ok((plan, init, stdio))
}

/// Programs open their pipes again by name (`/dev/stdout`); a dropped root's box may not do that with
/// root's. Where it doesn't work, only that is lost.
fn give_pipe(open: &OwnedFd, plan: &JailPlan) {
    const PIPE_MAGIC: i64 = 0x5049_5045;
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
    if rustix::fs::fstatfs(open).is_ok_and(|filesystem| filesystem.f_type as i64 == PIPE_MAGIC) {
        let uid = rustix::fs::Uid::from_raw(plan.identity.uid_outside);
        let gid = rustix::fs::Gid::from_raw(plan.identity.gid_outside);
        let _ = rustix::fs::fchown(open, Some(uid), Some(gid));
    }
}

/// Waits until Bartizan's process has read the counters and cleared up, or is gone.
fn taken_over(bartizan: &OwnedFd) -> bool {
    loop {
        match channel::receive(bartizan) {
            Ok(Some((ToJanitor::Done, _))) => return true,
            Ok(Some((ToJanitor::Kill, _))) => {}
            Ok(None) | Err(_) => return false,
        }
    }
}

/// Neither this process nor the box's first one has anything to read or say there.
fn release_stdio() -> Result<(), Errno> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)
}

struct Running {
    pid: Pid,
    pidfd: OwnedFd,
    /// Held open: its end tells the first process that the janitor is gone.
    link: OwnedFd,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = waitpid(Some(self.pid), WaitOptions::empty());
    }
}

fn start(plan: &JailPlan, socket: OwnedFd, stdio: Vec<OwnedFd>) -> Result<Running, Fault> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .at(Layer::Helper, "socket pair")?;
    let privileged = geteuid().is_root();
    let groups = open_groups(plan)?;
    let group = groups.first().filter(|_| plan.cgroup.version == 2);
    let running = match sys::clone_into(NAMESPACES as u64, group).map_err(|errno| blame(errno, group))? {
        Clone::Child => {
            drop(ours);
            let groups = if group.is_some() { Vec::new() } else { groups };
            init::run(plan, Start { socket, link: theirs, stdio, groups, privileged })
        }
        Clone::Parent { pid, pidfd } => Running { pid, pidfd, link: ours },
    };
    drop((theirs, socket, stdio, groups));

    write_maps(plan, running.pid, privileged)?;
    let trees = if plan.identity.dropped { idmapped_trees(plan, running.pid)? } else { Vec::new() };
    let mut rest = trees.as_slice();
    loop {
        let (now, later) = rest.split_at(rest.len().min(DESCRIPTORS_MAX));
        let descriptors: Vec<_> = now.iter().map(AsFd::as_fd).collect();
        let more = !later.is_empty();
        channel::send(&running.link, &more, &descriptors).at(Layer::Helper, "release the first process")?;
        if !more {
            break;
        }
        rest = later;
    }
    Ok(running)
}

/// Says which of the namespaces, asked for together, is not to be had: each is tried alone.
fn blame(errno: Errno, group: Option<&OwnedFd>) -> Fault {
    let alone = [
        (0, Layer::UserNamespace, "make a user namespace"),
        (libc::CLONE_NEWNS, Layer::MountNamespace, "make a mount namespace"),
        (libc::CLONE_NEWPID, Layer::PidNamespace, "make a pid namespace"),
        (libc::CLONE_NEWNET, Layer::NetworkNamespace, "make a network namespace"),
        (libc::CLONE_NEWIPC, Layer::IpcNamespace, "make an ipc namespace"),
        (libc::CLONE_NEWUTS, Layer::UtsNamespace, "make a uts namespace"),
    ];
    for (kind, layer, what) in alone {
        if let Err(fault) = try_namespace(kind).at(layer, what) {
            return fault;
        }
    }
    let (layer, what) = match group {
        Some(_) => (Layer::Cgroup, "start in the box's control group"),
        None => (Layer::UserNamespace, "make user, mount, pid, network, ipc and uts namespaces"),
    };
    Fault { layer, what: what.to_owned(), errno: errno.raw_os_error() }
}

fn try_namespace(kind: i32) -> Result<(), Errno> {
    match sys::clone_into((libc::CLONE_NEWUSER | kind) as u64, None)? {
        Clone::Child => sys::exit(0),
        Clone::Parent { pid, .. } => waitpid(Some(pid), WaitOptions::empty()).map(drop),
    }
}

/// A group of version 2 is entered at birth. For those of version 1 the first process gets the files
/// to enter them by itself: moving another process would have to wait for the whole machine.
fn open_groups(plan: &JailPlan) -> Result<Vec<OwnedFd>, Fault> {
    let open = |directory: &OsString| {
        let (path, flags) = match plan.cgroup.version {
            1 => (Path::new(directory).join("tasks"), OFlags::WRONLY),
            _ => (Path::new(directory).to_path_buf(), OFlags::PATH | OFlags::DIRECTORY),
        };
        rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty())
            .at(Layer::Cgroup, format_args!("open `{}`", path.display()))
    };
    plan.cgroup.directories.iter().map(open).collect()
}

fn write_maps(plan: &JailPlan, pid: Pid, privileged: bool) -> Result<(), Fault> {
    let identity = plan.identity;
    let process = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    if !privileged {
        write(&process.join("setgroups"), "deny").at(Layer::Identity, "deny setgroups")?;
    }
    write(&process.join("gid_map"), &format!("{} {} 1", identity.gid_inside, identity.gid_outside))
        .at(Layer::Identity, "map the group")?;
    write(&process.join("uid_map"), &format!("{} {} 1", identity.uid_inside, identity.uid_outside))
        .at(Layer::Identity, "map the user")
}

/// Trees are cut out here, where root may read them, and handed over as detached mounts.
fn idmapped_trees(plan: &JailPlan, pid: Pid) -> Result<Vec<OwnedFd>, Fault> {
    let path = format!("/proc/{}/ns/user", pid.as_raw_nonzero());
    let userns: OwnedFd = fs::File::open(path)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        .at(Layer::Identity, "open the box's user namespace")?
        .into();
    plan.trees
        .iter()
        .map(|tree| {
            let idmap = (tree.owner == TreeOwner::Invoker).then_some(&userns);
            mounts::cut_tree(&tree.source, tree.writable, idmap)
        })
        .collect()
}

fn write(path: &Path, text: &str) -> Result<(), Errno> {
    fs::write(path, text).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Returns when every process of the box is gone; ends it when Bartizan's process asks or is gone.
fn watch(running: &Running, bartizan: &OwnedFd) -> Result<(), Fault> {
    let mut listening = true;
    loop {
        let interest = if listening { PollFlags::IN } else { PollFlags::empty() };
        let mut polled = [PollFd::new(&running.pidfd, PollFlags::IN), PollFd::new(bartizan, interest)];
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).at(Layer::Helper, "watch the box"),
        }
        let [process, socket] = polled;
        if process.revents().contains(PollFlags::IN) {
            return Ok(());
        }
        if listening && !socket.revents().is_empty() {
            // A kill message, a malformed one and the end of the socket all mean the same.
            let _: Result<Option<(ToJanitor, _)>, _> = channel::receive(bartizan);
            let _ = pidfd_send_signal(&running.pidfd, Signal::KILL);
            listening = false;
            if waitpid(Some(running.pid), WaitOptions::empty()).is_ok() {
                return Ok(());
            }
        }
    }
}

/// The kernel refuses while the last process is still being taken down; that takes microseconds.
fn clear_cgroups(directories: &[OsString]) {
    const TRIES: u32 = 2000;
    for directory in directories {
        for _ in 0..TRIES {
            match rustix::fs::rmdir(directory.as_os_str()) {
                Err(Errno::BUSY) => std::thread::sleep(std::time::Duration::from_micros(500)),
                _ => break,
            }
        }
    }
}

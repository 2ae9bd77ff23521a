//! System calls that rustix has no safe form for. All unsafe code of the helper stands here.
#![allow(unsafe_code, reason = "raw system calls; each block states why it is sound")]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::{Errno, Result};
use rustix::process::Pid;

/// What `clone3` gave.
pub(crate) enum Clone {
    Child,
    Parent { pid: Pid, pidfd: OwnedFd },
}

/// `mount_setattr` settings for one tree.
#[derive(Default)]
pub(crate) struct MountChange<'a> {
    pub(crate) set: u64,
    pub(crate) recursive: bool,
    pub(crate) idmap: Option<&'a OwnedFd>,
}

pub(crate) const MOUNT_RDONLY: u64 = 0x1;
pub(crate) const MOUNT_NOSUID: u64 = 0x2;
pub(crate) const MOUNT_NODEV: u64 = 0x4;
pub(crate) const MOUNT_NOEXEC: u64 = 0x8;
const MOUNT_IDMAP: u64 = 0x10_0000;

fn last() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

fn check(value: libc::c_long) -> Result<libc::c_long> {
    if value < 0 { Err(last()) } else { Ok(value) }
}

/// Takes over a descriptor number that this process was started with.
pub(crate) fn adopt(number: RawFd) -> Result<OwnedFd> {
    // SAFETY: fcntl only looks the number up; ownership is taken once, by `main`, for numbers the
    // launcher handed over.
    unsafe {
        check(libc::c_long::from(libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC)))?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

/// Starts a child in the namespaces named by `flags`, sharing nothing with it, and in the control
/// group (version 2) whose directory `group` is.
pub(crate) fn clone_into(flags: u64, group: Option<&OwnedFd>) -> Result<Clone> {
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    let mut pidfd: RawFd = -1;
    // SAFETY: all-zero is a valid `clone_args`; without CLONE_VM the child has its own copy of
    // memory, and this process has one thread, so no lock is held in the copy.
    let pid = unsafe {
        let mut arguments: libc::clone_args = zeroed();
        arguments.flags = flags | libc::CLONE_PIDFD as u64;
        arguments.pidfd = &raw mut pidfd as u64;
        if let Some(group) = group {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = group.as_raw_fd() as u64;
        }
        arguments.exit_signal = libc::SIGCHLD as u64;
        check(libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()))?
    };
    if pid == 0 {
        return Ok(Clone::Child);
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    Ok(Clone::Parent { pid, pidfd })
}

/// `fork`; `None` in the child.
pub(crate) fn fork() -> Result<Option<Pid>> {
    // SAFETY: this process has one thread.
    let pid = unsafe { libc::fork() };
    if pid < 0 { Err(last()) } else { Ok(Pid::from_raw(pid)) }
}

/// Ends this process without running anything of the parent's copy.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

pub(crate) fn mount_setattr(tree: impl AsFd, change: &MountChange<'_>) -> Result<()> {
    const MS_PRIVATE: u64 = 1 << 18;
    let recursive = if change.recursive { libc::AT_RECURSIVE } else { 0 };
    let (idmap, userns) = match change.idmap {
        Some(userns) => (MOUNT_IDMAP, userns.as_raw_fd() as u64),
        None => (0, 0),
    };
    // attr_set, attr_clr, propagation, userns_fd
    let attributes: [u64; 4] = [change.set | idmap, 0, MS_PRIVATE, userns];
    // SAFETY: `attributes` is a `struct mount_attr` and outlives the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            attributes.as_ptr(),
            size_of::<[u64; 4]>(),
        )
    })
    .map(drop)
}

/// Blocks every signal and gives a descriptor that becomes readable when a child ends.
pub(crate) fn block_signals() -> Result<OwnedFd> {
    // SAFETY: the sets are initialised by the calls before they are used.
    unsafe {
        let mut all: libc::sigset_t = zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut());
        let mut child: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut child);
        libc::sigaddset(&raw mut child, libc::SIGCHLD);
        let number = libc::signalfd(-1, &raw const child, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if number < 0 { Err(last()) } else { Ok(OwnedFd::from_raw_fd(number)) }
    }
}

/// Default actions and an empty mask, for the command. The janitor was started with default actions;
/// since then only the runtime's own choice to ignore SIGPIPE would outlive the exec, and that of
/// the C library to ignore its two internal signals, which only the bare call can undo.
pub(crate) fn reset_signals() {
    const INTERNAL: [libc::c_int; 2] = [32, 33];
    const SET_BYTES: usize = 8;
    let default = [0_u64; 4];
    // SAFETY: SIG_DFL, which is zero, needs no code; the kernel's `struct sigaction` is not larger
    // than `default`; the set is initialised by the call before it is used.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        for signal in INTERNAL {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null_mut::<u64>(), SET_BYTES);
        }
        let mut none: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Installs one BPF filter; with `listener`, gives the descriptor its questions arrive on.
pub(crate) fn install_filter(program: &[u8], listener: bool) -> Result<Option<OwnedFd>> {
    const WAIT_KILLABLE: libc::c_ulong = 1 << 5;
    const NEW_LISTENER: libc::c_ulong = 1 << 3;
    let instructions: Vec<libc::sock_filter> = program
        .chunks_exact(8)
        .filter_map(|chunk| {
            let &[c0, c1, jt, jf, k0, k1, k2, k3] = chunk else { return None };
            Some(libc::sock_filter {
                code: u16::from_le_bytes([c0, c1]),
                jt,
                jf,
                k: u32::from_le_bytes([k0, k1, k2, k3]),
            })
        })
        .collect();
    let length = u16::try_from(instructions.len()).map_err(|_| Errno::INVAL)?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program during the call.
    let install = |flags: libc::c_ulong| unsafe {
        check(libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program))
    };
    if !listener {
        return install(0).map(|_| None);
    }
    // Kernels before 5.19 have no killable wait: a signal may then make a held call start again.
    let number = match install(NEW_LISTENER | WAIT_KILLABLE) {
        Err(Errno::INVAL) => install(NEW_LISTENER)?,
        other => other?,
    };
    let number = RawFd::try_from(number).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
}

pub(crate) fn set_limit(resource: u32, value: u64) -> Result<()> {
    // SAFETY: the struct outlives the calls.
    unsafe {
        let mut limit: libc::rlimit = zeroed();
        if libc::getrlimit(resource as _, &raw mut limit) != 0 {
            return Err(last());
        }
        limit.rlim_max = limit.rlim_max.min(value);
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(resource as _, &raw const limit) != 0 {
            return Err(last());
        }
    }
    Ok(())
}

/// Replaces this program; returns only the reason why it could not.
pub(crate) fn execute(program: &CStr, argv: &[CString], env: &[CString]) -> Errno {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with a null pointer and point to strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last()
}

/// Makes `terminal` the controlling terminal of this session.
pub(crate) fn control_terminal(terminal: impl AsFd) -> Result<()> {
    // SAFETY: the argument is a plain number.
    check(libc::c_long::from(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) })).map(drop)
}

/// Marks every descriptor from `first` on to be closed by the next exec.
pub(crate) fn close_on_exec_from(first: u32) -> Result<()> {
    // SAFETY: changes only flags of descriptors.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }).map(drop)
}

pub(crate) fn set_host_name(name: &str) -> Result<()> {
    // SAFETY: pointer and length describe `name`.
    check(libc::c_long::from(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })).map(drop)
}

/// Removes one capability, by number, from the bounding set; `EINVAL` past the kernel's last.
pub(crate) fn drop_bounding(number: u32) -> Result<()> {
    // SAFETY: all arguments are plain numbers.
    check(libc::c_long::from(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) }))
        .map(drop)
}

/// Closes every descriptor from 3 on that is not among `kept`.
pub(crate) fn close_all_but(kept: &[RawFd]) -> Result<()> {
    let mut kept: Vec<u32> = kept.iter().filter_map(|number| u32::try_from(*number).ok()).collect();
    kept.sort_unstable();
    let mut from = 3;
    for number in kept.into_iter().chain([u32::MAX]) {
        if number > from {
            // SAFETY: no owner of a number in the gap is used or dropped any more: callers pass all
            // that they still use.
            check(unsafe { libc::syscall(libc::SYS_close_range, from, number - 1, 0) })?;
        }
        from = from.max(number.saturating_add(1));
    }
    Ok(())
}

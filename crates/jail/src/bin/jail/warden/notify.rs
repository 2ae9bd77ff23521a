//! The kernel's side of held calls, as `seccomp_unotify(2)` describes it.
#![allow(unsafe_code, reason = "ioctls without a safe form; each block states why it is sound")]

use std::mem::zeroed;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;

const RECEIVE: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const ID_VALID: libc::c_ulong = 0x4008_2102;
const ADD_DESCRIPTOR: libc::c_ulong = 0x4018_2103;
const SET_FLAGS: libc::c_ulong = 0x4008_2104;
const CONTINUE: u32 = 1;
const ADD_AND_SEND: u32 = 1 << 1;
const SYNC_WAKE_UP: u64 = 1;

/// `struct seccomp_notif`
#[repr(C)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    architecture: u32,
    instruction: u64,
    arguments: [u64; 6],
}

/// `struct seccomp_notif_resp`
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// `struct seccomp_notif_addfd`
#[repr(C)]
struct AddDescriptor {
    id: u64,
    flags: u32,
    source: u32,
    number: u32,
    number_flags: u32,
}

/// A call that waits for us.
pub(crate) struct Held {
    pub(crate) id: u64,
    pub(crate) thread: i32,
    pub(crate) number: i32,
    pub(crate) arguments: [u64; 6],
}

pub(crate) enum Reply {
    Zero,
    Error(Errno),
    /// Let the kernel carry the call out, reading the caller's memory again.
    Continue,
}

pub(crate) struct Listener(OwnedFd);

impl Listener {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        // Kernels before 6.6 do not know it; it only makes answers quicker.
        // SAFETY: the argument is a plain number.
        unsafe { libc::ioctl(descriptor.as_raw_fd(), SET_FLAGS as _, SYNC_WAKE_UP) };
        Self(descriptor)
    }

    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    pub(crate) fn receive(&self) -> Result<Held, Errno> {
        // SAFETY: all-zero is a valid notification, which the kernel demands, and it outlives the call.
        let (code, notification) = unsafe {
            let mut notification: Notification = zeroed();
            let code = libc::ioctl(self.0.as_raw_fd(), RECEIVE as _, &raw mut notification);
            (code, notification)
        };
        if code < 0 {
            return Err(last());
        }
        let Notification { id, pid, number, arguments, .. } = notification;
        Ok(Held { id, thread: i32::try_from(pid).map_err(|_| Errno::SRCH)?, number, arguments })
    }

    pub(crate) fn is_waiting(&self, id: u64) -> bool {
        // SAFETY: the number outlives the call.
        unsafe { libc::ioctl(self.0.as_raw_fd(), ID_VALID as _, &raw const id) == 0 }
    }

    /// A caller that is gone needs no answer, so failures are of no interest.
    pub(crate) fn answer(&self, id: u64, reply: Reply) {
        let response = match reply {
            Reply::Zero => Response { id, value: 0, error: 0, flags: 0 },
            Reply::Error(errno) => Response { id, value: 0, error: -errno.raw_os_error(), flags: 0 },
            Reply::Continue => Response { id, value: 0, error: 0, flags: CONTINUE },
        };
        // SAFETY: the response outlives the call.
        unsafe { libc::ioctl(self.0.as_raw_fd(), SEND as _, &raw const response) };
    }

    /// Gives the caller a descriptor as the result of its call.
    pub(crate) fn give(&self, id: u64, file: &OwnedFd, close_on_exec: bool) {
        let number_flags = if close_on_exec { libc::O_CLOEXEC.cast_unsigned() } else { 0 };
        let source = file.as_raw_fd().cast_unsigned();
        let add = AddDescriptor { id, flags: ADD_AND_SEND, source, number: 0, number_flags };
        // SAFETY: the request outlives the call.
        let code = unsafe { libc::ioctl(self.0.as_raw_fd(), ADD_DESCRIPTOR as _, &raw const add) };
        if code < 0 {
            // The caller's table is full, or it is gone.
            self.answer(id, Reply::Error(last()));
        }
    }
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

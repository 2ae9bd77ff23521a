//! The C library's symbols and the kernel's numbers that the probe uses.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint, c_void};

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOSYS: i32 = 38;
pub(crate) const EACCES: i32 = 13;
pub(crate) const EFAULT: i32 = 14;

pub(crate) const AF_INET: c_int = 2;
pub(crate) const AF_INET6: c_int = 10;
pub(crate) const AF_PACKET: c_int = 17;
pub(crate) const AF_ALG: c_int = 38;
pub(crate) const AF_VSOCK: c_int = 40;
pub(crate) const SOCK_STREAM: c_int = 1;
pub(crate) const SOCK_DGRAM: c_int = 2;
pub(crate) const SOCK_RAW: c_int = 3;
pub(crate) const SOCK_SEQPACKET: c_int = 5;
pub(crate) const IPPROTO_ICMP: c_int = 1;
pub(crate) const IPPROTO_UDP: c_int = 17;
pub(crate) const IPPROTO_SCTP: c_int = 132;
pub(crate) const IPPROTO_RAW: c_int = 255;

unsafe extern "C" {
    pub(crate) fn syscall(number: c_long, ...) -> c_long;
    pub(crate) fn fork() -> c_int;
    pub(crate) fn pipe(descriptors: *mut c_int) -> c_int;
    pub(crate) fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    pub(crate) fn _exit(status: c_int) -> !;
    pub(crate) fn kill(pid: c_int, signal: c_int) -> c_int;
    pub(crate) fn pause() -> c_int;
    pub(crate) fn dup(descriptor: c_int) -> c_int;
    pub(crate) fn close(descriptor: c_int) -> c_int;
    pub(crate) fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    pub(crate) fn connect(socket: c_int, address: *const c_void, length: c_uint) -> c_int;
    pub(crate) fn setsockopt(s: c_int, level: c_int, name: c_int, value: *const c_void, length: c_uint) -> c_int;
    pub(crate) fn sendto(
        socket: c_int,
        bytes: *const c_void,
        count: usize,
        flags: c_int,
        address: *const c_void,
        length: c_uint,
    ) -> isize;
    pub(crate) fn recv(socket: c_int, bytes: *mut c_void, count: usize, flags: c_int) -> isize;
    pub(crate) fn geteuid() -> c_uint;
    pub(crate) fn ioctl(descriptor: c_int, request: u64, ...) -> c_int;
    pub(crate) fn mknod(path: *const c_char, mode: c_uint, device: u64) -> c_int;
}

/// Numbers of system calls: x86-64's own, or the generic ones.
#[rustfmt::skip]
macro_rules! numbers {
    ($($name:ident = $x86_64:literal, $generic:literal;)*) => {
        $(
            #[cfg(target_arch = "x86_64")]
            pub(crate) const $name: i64 = $x86_64;
            #[cfg(not(target_arch = "x86_64"))]
            pub(crate) const $name: i64 = $generic;
        )*
    };
}

/// System calls by number, so that no library stands between the attack and the kernel.
pub(crate) mod number {
    numbers! {
        ACCT = 163, 89;
        ADD_KEY = 248, 217;
        BPF = 321, 280;
        CHROOT = 161, 51;
        CLONE = 56, 220;
        CLONE3 = 435, 435;
        DELETE_MODULE = 176, 106;
        FANOTIFY_INIT = 300, 262;
        FINIT_MODULE = 313, 273;
        FSOPEN = 430, 430;
        FSPICK = 433, 433;
        INIT_MODULE = 175, 105;
        IO_URING_SETUP = 425, 425;
        KCMP = 312, 272;
        KEXEC_FILE_LOAD = 320, 294;
        KEXEC_LOAD = 246, 104;
        KEYCTL = 250, 219;
        MOUNT = 165, 40;
        MOUNT_SETATTR = 442, 442;
        MOVE_MOUNT = 429, 429;
        OPEN_BY_HANDLE_AT = 304, 265;
        OPEN_TREE = 428, 428;
        PERF_EVENT_OPEN = 298, 241;
        PIDFD_GETFD = 438, 438;
        PIDFD_OPEN = 434, 434;
        PIVOT_ROOT = 155, 41;
        PROCESS_VM_READV = 310, 270;
        PROCESS_VM_WRITEV = 311, 271;
        PTRACE = 101, 117;
        QUOTACTL = 179, 60;
        REBOOT = 169, 142;
        REQUEST_KEY = 249, 218;
        SETNS = 308, 268;
        SETTIMEOFDAY = 164, 170;
        SWAPON = 167, 224;
        SYSLOG = 103, 116;
        UMOUNT2 = 166, 39;
        UNSHARE = 272, 97;
        USERFAULTFD = 323, 282;
    }
}

/// A system call with up to six word-sized arguments.
pub(crate) fn call<const N: usize>(number: i64, arguments: [i64; N]) -> i64 {
    let word = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: the arguments are the attack; pointers among them are to live memory or deliberately invalid,
    // and the kernel checks them.
    unsafe { syscall(number, word(0), word(1), word(2), word(3), word(4), word(5)) }
}

/// A C string that lives until the process ends; the probe makes a handful.
pub(crate) fn text(text: &str) -> i64 {
    let leaked: &'static CStr = Box::leak(CString::new(text).unwrap_or_default().into_boxed_c_str());
    leaked.as_ptr() as i64
}

/// The address of a value, for the kernel to read or write.
pub(crate) fn address<T: ?Sized>(value: &mut T) -> i64 {
    std::ptr::from_mut(value).cast::<u8>() as i64
}

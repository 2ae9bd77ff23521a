//! Starts the confining helper that is carried inside this program.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;

use bartizan_jail::{Descriptor, JailPlan, encode};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::process::Pid;

static HELPER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bartizan-jail"));
/// Above every number the helper expects, so that none is overwritten before it is copied.
const LOWEST_COPY: RawFd = 64;

/// The descriptors the helper is given.
pub(crate) struct Handed<'a> {
    pub(crate) init: &'a OwnedFd,
    pub(crate) janitor: &'a OwnedFd,
    pub(crate) stdio: [&'a OwnedFd; 3],
}

/// The helper as a sealed file in memory: one installed program is enough, and nobody can change it.
pub(crate) fn image() -> io::Result<&'static OwnedFd> {
    static IMAGE: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(image) = IMAGE.get() {
        return Ok(image);
    }
    let image = sealed(c"bartizan-jail", HELPER, true)?;
    Ok(IMAGE.get_or_init(|| image))
}

/// Gets ready what every box needs whatever its specification, so that the first one needn't wait for it. Whoever makes
/// a box is told what failed.
pub fn warm_up() {
    let _ = image();
}

fn sealed(name: &CStr, content: &[u8], executable: bool) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = if executable {
        // Kernels before 6.3 do not know the flag and need none.
        match memfd_create(name, flags | MemfdFlags::EXEC) {
            Err(Errno::INVAL) => memfd_create(name, flags)?,
            other => other?,
        }
    } else {
        memfd_create(name, flags)?
    };
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file)
}

/// Starts the janitor in a session of its own, with exactly the descriptors it expects.
pub(crate) fn spawn(plan: &JailPlan, handed: &Handed<'_>) -> io::Result<Pid> {
    let mut encoded = encode(plan);
    let plan = sealed(c"bartizan-plan", &encoded, false);
    // It may hold what the box is to keep to itself.
    encoded.fill(0);
    std::hint::black_box(&encoded);
    let plan = plan?;
    let [input, output, error] = handed.stdio;
    let wanted = [
        (&plan, Descriptor::PLAN),
        (handed.init, Descriptor::INIT),
        (handed.janitor, Descriptor::JANITOR),
        (input, Descriptor::STDIO),
        (output, Descriptor::STDIO + 1),
        (error, Descriptor::STDIO + 2),
    ];
    let mut copies = Vec::new();
    for (source, number) in wanted {
        copies.push((rustix::io::fcntl_dupfd_cloexec(source, LOWEST_COPY)?, number));
    }
    let image = rustix::io::fcntl_dupfd_cloexec(image()?, LOWEST_COPY)?;
    let path = CString::new(format!("/proc/self/fd/{}", image.as_raw_fd()))?;
    posix_spawn(&path, &copies)
}

#[allow(unsafe_code, reason = "posix_spawn starts a program without copying this one's memory")]
fn posix_spawn(path: &CStr, copies: &[(OwnedFd, RawFd)]) -> io::Result<Pid> {
    let check = |code: libc::c_int| if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) };
    let argv = [c"bartizan-jail".as_ptr().cast_mut(), ptr::null_mut()];
    let env = [ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: actions and attributes are initialised before use and destroyed once; strings and
    // arrays outlive the call; the calls between cannot leave the block early.
    let spawned = unsafe {
        let mut actions: libc::posix_spawn_file_actions_t = std::mem::zeroed();
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        let mut signals: libc::sigset_t = std::mem::zeroed();
        check(libc::posix_spawn_file_actions_init(&raw mut actions))?;
        check(libc::posix_spawnattr_init(&raw mut attributes))?;
        let mut outcome = Ok(());
        for (copy, number) in copies {
            let code = libc::posix_spawn_file_actions_adddup2(&raw mut actions, copy.as_raw_fd(), *number);
            outcome = outcome.and_then(|()| check(code));
        }
        // Ctrl-C at the terminal must reach the command, not the janitor.
        let flags =
            libc::c_int::from(libc::POSIX_SPAWN_SETSID) | libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        libc::sigemptyset(&raw mut signals);
        libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const signals);
        libc::sigfillset(&raw mut signals);
        libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const signals);
        outcome =
            outcome.and_then(|()| check(libc::posix_spawnattr_setflags(&raw mut attributes, flags as libc::c_short)));
        outcome = outcome.and_then(|()| {
            check(libc::posix_spawn(
                &raw mut pid,
                path.as_ptr(),
                &raw const actions,
                &raw const attributes,
                argv.as_ptr(),
                env.as_ptr(),
            ))
        });
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        libc::posix_spawnattr_destroy(&raw mut attributes);
        outcome
    };
    spawned?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process identifier"))
}

/// The null device, for the parts of the helper's own standard descriptors nobody uses.
pub(crate) fn null() -> io::Result<OwnedFd> {
    Ok(std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?.into())
}

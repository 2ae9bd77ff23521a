//! Starts a program as if the kernel had less than it has: a system call that isn't there, or that refuses with certain
//! arguments, or a kind of namespace that may not be made. Everything the program starts lacks the same.

use std::{ffi::CStr, io, os::unix::process::CommandExt};

use crate::{Run, User};

/// What is missing.
#[derive(Clone, Copy, Debug)]
pub enum Lack {
    /// A system call fails with `errno`, always or when all of `when` hold.
    Call { number: libc::c_long, when: &'static [Argument], errno: i32 },
    /// No namespace of this kind can be made, named as in `/proc/sys/user/max_…_namespaces`. The program runs in a user
    /// namespace of its own for that, since the setting belongs to one.
    Namespaces(&'static CStr),
}

/// An argument of a system call, by its lower half.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// The argument at this place is this number.
    Is(u32, u32),
    /// The argument at this place has this bit.
    Has(u32, u32),
}

impl Run {
    /// Run without it, as the user that this is run as anyway.
    #[must_use]
    pub fn lacking(self, lack: Lack, user: User) -> Self {
        match lack {
            Lack::Call { number, when, errno } => {
                let filter = filter(number, when, errno);
                self.before_exec(move || install(&filter))
            }
            Lack::Namespaces(setting) => {
                let uid = user.id();
                // An ordinary user of the tests has the group of its own number.
                let gid = if user == User::Ordinary { uid } else { rustix::process::getegid().as_raw() };
                let maps = [format!("{uid} {uid} 1"), format!("{gid} {gid} 1")];
                self.before_exec(move || forbid(setting, &maps))
            }
        }
    }

    fn before_exec(self, change: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.with(|command| {
            #[allow(unsafe_code, reason = "what a program lacks is taken away between fork and exec")]
            // SAFETY: the closures given above make system calls only; all they use was made before the fork.
            unsafe {
                command.pre_exec(change);
            }
        })
    }
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// One `BPF_*` instruction each, for a filter that ends with "fail" and "allow".
fn filter(number: libc::c_long, when: &[Argument], errno: i32) -> Vec<libc::sock_filter> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    // Places in `struct seccomp_data`.
    const NUMBER: u32 = 0;
    const ARCH: u32 = 4;
    const ARGUMENTS: u32 = 16;
    let mut tests = vec![(ARCH, libc::BPF_JEQ, ARCHITECTURE), (NUMBER, libc::BPF_JEQ, u32::try_from(number).unwrap())];
    tests.extend(when.iter().map(|argument| match *argument {
        Argument::Is(place, value) => (ARGUMENTS + 8 * place, libc::BPF_JEQ, value),
        Argument::Has(place, bit) => (ARGUMENTS + 8 * place, libc::BPF_JSET, bit),
    }));
    let instruction = |code: u32, jf: usize, k: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt: 0,
        jf: u8::try_from(jf).unwrap(),
        k,
    };
    let mut program = Vec::new();
    for (at, (place, test, value)) in tests.iter().enumerate() {
        program.push(instruction(LOAD, 0, *place));
        // Past the remaining tests and "fail".
        let allow = 2 * (tests.len() - at - 1) + 1;
        program.push(instruction(libc::BPF_JMP | test | libc::BPF_K, allow, *value));
    }
    program.push(instruction(RETURN, 0, libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap()));
    program.push(instruction(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    program
}

fn check(outcome: libc::c_long) -> io::Result<()> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[allow(unsafe_code, reason = "no safe form of these calls can be used between fork and exec")]
fn install(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: plain numbers, and a program that the kernel copies during the call.
    unsafe {
        check(libc::c_long::from(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))?;
        check(libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program))
    }
}

#[allow(unsafe_code, reason = "no safe form of these calls can be used between fork and exec")]
fn forbid(setting: &CStr, [uid_map, gid_map]: &[String; 2]) -> io::Result<()> {
    // SAFETY: plain numbers; a process that has become an ordinary user may not write its maps before.
    unsafe {
        check(libc::c_long::from(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0)))?;
        check(libc::c_long::from(libc::unshare(libc::CLONE_NEWUSER)))?;
    }
    // Without it nobody may map a group from inside, not even root.
    write(c"/proc/self/setgroups", b"deny")?;
    write(c"/proc/self/uid_map", uid_map.as_bytes())?;
    write(c"/proc/self/gid_map", gid_map.as_bytes())?;
    write(setting, b"0")
}

fn write(path: &CStr, bytes: &[u8]) -> io::Result<()> {
    let file = rustix::fs::open(path, rustix::fs::OFlags::WRONLY, rustix::fs::Mode::empty())?;
    rustix::io::write(&file, bytes)?;
    Ok(())
}

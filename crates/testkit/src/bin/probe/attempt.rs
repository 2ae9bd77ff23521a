//! One attempt, made in a process of its own, and its report.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::FromRawFd,
};

use crate::system::{self, EACCES, ENOSYS, EPERM};

/// What an attempt came to: a description of what was gained, or the error.
pub(crate) type Outcome = io::Result<String>;

/// Make an attempt in a child, so that being killed for it is a result too, and report it.
pub(crate) fn attempt(name: &str, work: impl FnOnce() -> Outcome) {
    let mut pipe = [0; 2];
    // SAFETY: `pipe` has room for the two descriptors that are written.
    assert_eq!(unsafe { system::pipe(pipe.as_mut_ptr()) }, 0, "pipe");
    // SAFETY: the probe has one thread here, so the child may do anything.
    let child = unsafe { system::fork() };
    if child == 0 {
        // SAFETY: both descriptors were just made and belong to nobody else.
        let mut writer = unsafe {
            drop(File::from_raw_fd(pipe[0]));
            File::from_raw_fd(pipe[1])
        };
        let line = report(name, &work());
        let _ = writer.write_all(line.as_bytes());
        // SAFETY: ends the child without running the parent's cleanup.
        unsafe { system::_exit(0) };
    }
    // SAFETY: as above, in the parent.
    let mut reader = unsafe {
        drop(File::from_raw_fd(pipe[1]));
        File::from_raw_fd(pipe[0])
    };
    if child < 0 {
        return emit(&report(name, &Err(io::Error::last_os_error())));
    }
    let mut line = String::new();
    let _ = reader.read_to_string(&mut line);
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    unsafe { system::waitpid(child, &mut status, 0) };
    if line.is_empty() {
        line = report(name, &Err(io::Error::other(format!("killed by signal {}", status & 0x7f))));
    }
    emit(&line);
}

/// Report an attempt that was made in this process.
pub(crate) fn here(name: &str, outcome: Outcome) {
    emit(&report(name, &outcome));
}

/// A system call's result as an outcome: any result but an error is a gain.
pub(crate) fn gained(result: i64) -> Outcome {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(format!("returned {result}")) }
}

/// For calls that are made with arguments the kernel would refuse: any answer that isn't a refusal of the
/// call itself means it was let through.
pub(crate) fn reached(result: i64) -> Outcome {
    match gained(result) {
        Err(error) if !matches!(error.raw_os_error(), Some(EPERM | EACCES | ENOSYS)) => {
            Ok(format!("reached the kernel: {error}"))
        }
        outcome => outcome,
    }
}

fn report(name: &str, outcome: &Outcome) -> String {
    let (word, errno, detail) = match outcome {
        Ok(detail) => ("succeeded", 0, detail.clone()),
        Err(error) => ("failed", error.raw_os_error().unwrap_or(0), error.to_string()),
    };
    format!("{{\"attempt\":{},\"outcome\":\"{word}\",\"errno\":{errno},\"detail\":{}}}\n", quote(name), quote(&detail))
}

fn emit(line: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(line.as_bytes());
    let _ = out.flush();
}

fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            c if c < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

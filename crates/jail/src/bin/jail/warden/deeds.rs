//! Carries out held calls in the caller's stead.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bartizan_jail::{Names, Operation};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, fcntl_getfl, fcntl_setfl, linkat, mkdirat, mknodat, open,
    openat, renameat_with, statat, symlinkat,
};
use rustix::io::Errno;
use rustix::process::umask;

use super::Call;
use super::call::{Deed, Named};
use super::walk::{self, Last, Walk};

/// Lost races with another process before a call is given up.
const TRIES: u32 = 64;
/// Device number of `/dev/tty`, and major number of pseudo-terminals.
const TTY: (u32, u32) = (5, 0);
const TERMINALS: u64 = 136;

pub(crate) enum Outcome {
    Done,
    Failed(Errno),
    Opened {
        file: OwnedFd,
        close_on_exec: bool,
    },
    /// A named pipe is to be written that nobody reads: to be tried again.
    NoReader,
    Ask {
        operation: Operation,
        path: PathBuf,
    },
    AskExec {
        program: PathBuf,
        argv: Vec<Vec<u8>>,
        cwd: PathBuf,
        truncated: bool,
    },
}

/// Why a deed stops before it is done.
enum Stop {
    Error(Errno),
    Ask(Operation, PathBuf),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Error(errno)
    }
}

pub(crate) struct Workshop {
    names: Names,
}

impl Workshop {
    pub(crate) fn new(names: Names) -> Result<Self, Errno> {
        Ok(Self { names })
    }

    /// Carries `call` out, unless it must be asked; `approved` is the path that was allowed, and
    /// nothing else may be made.
    pub(crate) fn perform(&self, call: &Call, approved: Option<&Path>) -> Outcome {
        let done = match &call.deed {
            Deed::Exec { file, argv, truncated, flags } => return exec(call.thread, file, argv, *truncated, *flags),
            Deed::Open { file, flags, mode } => return self.open(call, file, *flags, *mode, approved),
            Deed::MakeDirectory { file, mode } => self.make(call, file, Operation::Directory, approved, |at, name| {
                mkdirat(at, name, Mode::from_raw_mode(*mode & 0o7777))
            }),
            Deed::MakeNode { file, mode, device } => self.make(call, file, Operation::Node, approved, |at, name| {
                let kind = match FileType::from_raw_mode(*mode) {
                    // A zero type means a regular file.
                    FileType::Unknown if *mode & libc::S_IFMT == 0 => FileType::RegularFile,
                    kind => kind,
                };
                mknodat(at, name, kind, Mode::from_raw_mode(*mode & 0o7777), *device)
            }),
            Deed::MakeSymlink { target, file } => {
                self.make(call, file, Operation::Symlink, approved, |at, name| symlinkat(target.as_slice(), at, name))
            }
            Deed::MakeLink { old, new, flags } => self.link(call, old, new, *flags, approved),
            Deed::Rename { old, new, flags } => self.rename(call, old, new, *flags, approved),
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(Stop::Error(errno)) => Outcome::Failed(errno),
            Err(Stop::Ask(operation, path)) => Outcome::Ask { operation, path },
        }
    }

    /// Makes something that must not exist yet.
    fn make(
        &self,
        call: &Call,
        file: &Named,
        operation: Operation,
        approved: Option<&Path>,
        make: impl FnOnce(&OwnedFd, &[u8]) -> Result<(), Errno>,
    ) -> Result<(), Stop> {
        let mut walk = Walk::new(call.thread, file)?;
        let Last::Name(name) = walk.reach_last()? else { return Err(Errno::EXIST.into()) };
        let at = walk.directory();
        if statat(at, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(Errno::EXIST.into());
        }
        if walk.trailing_slash && operation != Operation::Directory {
            return Err(Errno::NOENT.into());
        }
        self.check(at, &name, operation, operation == Operation::Symlink, approved)?;
        take_umask(call.thread)?;
        Ok(make(at, &name)?)
    }

    fn link(&self, call: &Call, old: &Named, new: &Named, flags: u32, approved: Option<&Path>) -> Result<(), Stop> {
        let known = libc::AT_SYMLINK_FOLLOW | libc::AT_EMPTY_PATH;
        if flags & !known.cast_unsigned() != 0 {
            return Err(Errno::INVAL.into());
        }
        let follow = flags & libc::AT_SYMLINK_FOLLOW.cast_unsigned() != 0;
        let empty = old.path.is_empty() && flags & libc::AT_EMPTY_PATH.cast_unsigned() != 0;
        let source =
            if empty { walk::start(call.thread, old.start)? } else { Walk::new(call.thread, old)?.into_end(follow)? };
        self.make(call, new, Operation::Link, approved, |at, name| {
            if walk::is_link(&source)? {
                // Only a name can stand for a symbolic link itself: find it again.
                let mut walk = Walk::new(call.thread, old)?;
                let Last::Name(old_name) = walk.reach_last()? else { return Err(Errno::PERM) };
                return linkat(walk.directory(), old_name.as_slice(), at, name, AtFlags::empty());
            }
            let path = format!("/proc/self/fd/{}", source.as_raw_fd());
            linkat(CWD, path, at, name, AtFlags::SYMLINK_FOLLOW)
        })
    }

    fn rename(&self, call: &Call, old: &Named, new: &Named, flags: u32, approved: Option<&Path>) -> Result<(), Stop> {
        let (mut from, mut to) = (Walk::new(call.thread, old)?, Walk::new(call.thread, new)?);
        let (from_last, to_last) = (from.reach_last()?, to.reach_last()?);
        let (Last::Name(old_name), Last::Name(new_name)) = (from_last, to_last) else {
            return Err(Errno::BUSY.into());
        };
        let flags = RenameFlags::from_bits_retain(flags);
        let moved = statat(from.directory(), old_name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)?;
        let opens_a_way = |mode| {
            let kind = FileType::from_raw_mode(mode);
            kind.is_dir() || kind.is_symlink()
        };
        // The old name first: what is moved away frees it.
        let old_path = walk::path_of(from.directory())?.join(os(&old_name));
        let new_path = walk::path_of(to.directory())?.join(os(&new_name));
        let other = statat(to.directory(), new_name.as_slice(), AtFlags::SYMLINK_NOFOLLOW).ok();
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        let back = exchange && other.is_some_and(|other| opens_a_way(other.st_mode));
        let asked =
            if self.names.guards(&new_path, opens_a_way(moved.st_mode)) || self.names.holds_something_shut(&new_path) {
                Some(new_path)
            } else if self.names.guards(&old_path, back) || self.names.holds_something_shut(&old_path) {
                Some(old_path)
            } else {
                None
            };
        settle(asked, Operation::Rename, approved)?;
        let named = |mut name: Vec<u8>, slash: bool| {
            // The kernel then demands a directory.
            name.extend(slash.then_some(b'/'));
            name
        };
        Ok(renameat_with(
            from.directory(),
            named(old_name, from.trailing_slash),
            to.directory(),
            named(new_name, to.trailing_slash),
            flags,
        )?)
    }

    fn check(
        &self,
        at: &OwnedFd,
        name: &[u8],
        operation: Operation,
        opens_a_way: bool,
        approved: Option<&Path>,
    ) -> Result<(), Stop> {
        let path = walk::path_of(at)?.join(os(name));
        let asked = self.names.guards(&path, opens_a_way).then_some(path);
        settle(asked, operation, approved)
    }

    fn open(&self, call: &Call, file: &Named, flags: u32, mode: u32, approved: Option<&Path>) -> Outcome {
        let flags = OFlags::from_bits_retain(flags);
        match self.open_or_create(call, file, flags, mode, approved) {
            Ok(Some(file)) => {
                if !flags.contains(OFlags::NONBLOCK) && !flags.contains(OFlags::PATH) {
                    let plain = fcntl_getfl(&file).map(|now| now.difference(OFlags::NONBLOCK));
                    if let Err(errno) = plain.and_then(|plain| fcntl_setfl(&file, plain)) {
                        return Outcome::Failed(errno);
                    }
                }
                Outcome::Opened { file, close_on_exec: flags.contains(OFlags::CLOEXEC) }
            }
            Ok(None) => Outcome::NoReader,
            Err(Stop::Error(errno)) => Outcome::Failed(errno),
            Err(Stop::Ask(operation, path)) => Outcome::Ask { operation, path },
        }
    }

    /// `None` when a pipe has no reader.
    fn open_or_create(
        &self,
        call: &Call,
        file: &Named,
        flags: OFlags,
        mode: u32,
        approved: Option<&Path>,
    ) -> Result<Option<OwnedFd>, Stop> {
        // Together they were never of use, and newer kernels refuse them.
        if flags.contains(OFlags::DIRECTORY) {
            return Err(Errno::INVAL.into());
        }
        let follows = !flags.contains(OFlags::NOFOLLOW);
        let own = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let existing = flags.difference(OFlags::CREATE | OFlags::EXCL) | own | OFlags::NOFOLLOW;
        let fresh = flags | own | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mut walk = Walk::new(call.thread, file)?;
        let mut last = walk.reach_last()?;
        for _ in 0..TRIES {
            let name = match last {
                Last::Name(ref name) => name.clone(),
                Last::Here if flags.contains(OFlags::EXCL) => return Err(Errno::EXIST.into()),
                Last::Here if walk::is_directory(walk.directory())? => return Err(Errno::ISDIR.into()),
                Last::Here => return reopen(walk.directory(), existing),
            };
            let at = walk.directory();
            if walk.trailing_slash {
                return Err(Errno::ISDIR.into());
            }
            if !flags.contains(OFlags::EXCL) {
                match openat(at, name.as_slice(), existing, Mode::empty()) {
                    // With O_PATH a link is opened rather than refused.
                    Ok(open) if follows && flags.contains(OFlags::PATH) && walk::is_link(&open)? => {
                        walk.follow(&name)?;
                        last = walk.reach_last()?;
                        continue;
                    }
                    Ok(open) => return Ok(Some(open)),
                    Err(Errno::LOOP) if follows => {
                        walk.follow(&name)?;
                        last = walk.reach_last()?;
                        continue;
                    }
                    Err(Errno::NXIO) => {
                        let waits = !flags.contains(OFlags::NONBLOCK);
                        return special(call.thread, at, &name, existing, waits);
                    }
                    Err(Errno::NOENT) if !flags.contains(OFlags::PATH) => {}
                    Err(errno) => return Err(errno.into()),
                }
            } else if statat(at, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                return Err(Errno::EXIST.into());
            }
            self.check(at, &name, Operation::Create, false, approved)?;
            take_umask(call.thread)?;
            match openat(at, name.as_slice(), fresh, Mode::from_raw_mode(mode & 0o7777)) {
                Ok(open) => return Ok(Some(open)),
                // Another process made it first.
                Err(Errno::EXIST) if !flags.contains(OFlags::EXCL) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Errno::AGAIN.into())
    }
}

/// Goes on if nothing is to be asked, or if it is just what was allowed.
fn settle(asked: Option<PathBuf>, operation: Operation, approved: Option<&Path>) -> Result<(), Stop> {
    match (asked, approved) {
        (None, _) => Ok(()),
        (Some(path), Some(allowed)) if path == allowed => Ok(()),
        (Some(_), Some(_)) => Err(Errno::ACCESS.into()),
        (Some(path), None) => Err(Stop::Ask(operation, path)),
    }
}

/// Opens again what a link of `/proc` led to.
fn reopen(open_already: &OwnedFd, flags: OFlags) -> Result<Option<OwnedFd>, Stop> {
    let path = format!("/proc/self/fd/{}", open_already.as_raw_fd());
    Ok(Some(open(path, flags.difference(OFlags::NOFOLLOW), Mode::empty())?))
}

/// What answers ENXIO: a pipe without a reader, or `/dev/tty`, which means the caller's terminal.
fn special(thread: i32, at: &OwnedFd, name: &[u8], flags: OFlags, waits: bool) -> Result<Option<OwnedFd>, Stop> {
    let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    if kind.is_fifo() && waits {
        return Ok(None);
    }
    if kind.is_char_device()
        && device == TTY
        && let Some(number) = terminal_of(thread)
    {
        return Ok(Some(open(format!("/dev/pts/{number}"), flags, Mode::empty())?));
    }
    Err(Errno::NXIO.into())
}

/// Number of the caller's controlling pseudo-terminal.
fn terminal_of(thread: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{thread}/stat")).ok()?;
    let device: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(4)?.parse().ok()?;
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    (major == TERMINALS).then_some(minor)
}

/// New files get the caller's mask.
fn take_umask(thread: i32) -> Result<(), Errno> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).map_err(|error| super::caller::errno(&error))?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let mask = mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).ok_or(Errno::SRCH)?;
    umask(Mode::from_raw_mode(mask));
    Ok(())
}

/// Finds out which program is meant; the caller then carries the call out itself if allowed.
fn exec(thread: i32, file: &Named, argv: &[Vec<u8>], truncated: bool, flags: u32) -> Outcome {
    let find = || -> Result<(PathBuf, PathBuf), Errno> {
        let empty = file.path.is_empty() && flags & libc::AT_EMPTY_PATH.cast_unsigned() != 0;
        let program = if empty {
            walk::start(thread, file.start)?
        } else {
            let follow = flags & libc::AT_SYMLINK_NOFOLLOW.cast_unsigned() == 0;
            Walk::new(thread, file)?.into_end(follow)?
        };
        Ok((walk::path_of(&program)?, walk::path_of(walk::start(thread, libc::AT_FDCWD)?)?))
    };
    match find() {
        Ok((program, cwd)) => Outcome::AskExec { program, argv: argv.to_vec(), cwd, truncated },
        Err(errno) => Outcome::Failed(errno),
    }
}

fn os(name: &[u8]) -> &std::ffi::OsStr {
    std::ffi::OsStr::from_bytes(name)
}

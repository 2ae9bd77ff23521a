//! Walks a caller's path one name at a time.
//!
//! No name is ever looked up together with the next: each directory is held open, so that nothing
//! renamed or replaced meanwhile changes what has been walked. The links of `/proc` that lead to a
//! process's own things are those of the caller, never the warden's.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, fstatfs, open, openat, readlinkat};
use rustix::io::Errno;

use super::call::Named;

const LINKS_MAX: u32 = 40;
const PATH_BYTES_MAX: usize = 4096;
const PROC_MAGIC: i64 = 0x9fa0;
/// The number of the directory `/proc` itself, on every kernel.
const PROC_ROOT_INODE: u64 = 1;
/// The warden's own part of `/proc`: it could open there what the caller could not.
const OWN_PROC: &str = "/proc/1";

pub(crate) struct Walk {
    thread: i32,
    at: OwnedFd,
    /// Names still to go, the next one last.
    todo: Vec<Vec<u8>>,
    links: u32,
    /// The path ended with a slash: what it names must be a directory.
    pub(crate) trailing_slash: bool,
}

/// The end of a path.
pub(crate) enum Last {
    /// A name in the directory [`Walk::directory`], which may or may not exist.
    Name(Vec<u8>),
    /// [`Walk::directory`] itself: the path ended in `.`, `..` or `/`, or in a link of `/proc`.
    Here,
}

const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl Walk {
    pub(crate) fn new(thread: i32, named: &Named) -> Result<Self, Errno> {
        if named.path.is_empty() {
            return Err(Errno::NOENT);
        }
        let at = if named.path.first() == Some(&b'/') { root()? } else { start(thread, named.start)? };
        let mut walk =
            Self { thread, at, todo: Vec::new(), links: 0, trailing_slash: named.path.last() == Some(&b'/') };
        walk.add(&named.path)?;
        Ok(walk)
    }

    /// The directory reached so far; after [`Last::Here`] what the path names.
    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.at
    }

    /// Walks up to the last name, without looking at what it is.
    pub(crate) fn reach_last(&mut self) -> Result<Last, Errno> {
        while let Some(name) = self.todo.pop() {
            let is_dots = name == b"." || name == b"..";
            if self.todo.is_empty() && !is_dots {
                self.refuse_own_proc()?;
                return Ok(Last::Name(name));
            }
            self.step(&name)?;
        }
        self.refuse_own_proc()?;
        Ok(Last::Here)
    }

    /// Follows the symbolic link `name` in the directory reached; [`Walk::reach_last`] then goes on.
    pub(crate) fn follow(&mut self, name: &[u8]) -> Result<(), Errno> {
        let link = openat(&self.at, name, HANDLE | OFlags::NOFOLLOW, Mode::empty())?;
        if !is_link(&link)? {
            // Replaced meanwhile: look again.
            self.todo.push(name.to_vec());
            return Ok(());
        }
        self.expand(&link, name)
    }

    /// Walks to the end, following a last symbolic link if `follow`, and opens a handle to it.
    pub(crate) fn into_end(mut self, follow: bool) -> Result<OwnedFd, Errno> {
        loop {
            match self.reach_last()? {
                Last::Here => return Ok(self.at),
                Last::Name(name) => {
                    let found = openat(&self.at, name.as_slice(), HANDLE | OFlags::NOFOLLOW, Mode::empty())?;
                    if !is_link(&found)? {
                        if self.trailing_slash && !is_directory(&found)? {
                            return Err(Errno::NOTDIR);
                        }
                        return Ok(found);
                    }
                    if !follow && !self.trailing_slash {
                        return Ok(found);
                    }
                    self.expand(&found, &name)?;
                }
            }
        }
    }

    fn step(&mut self, name: &[u8]) -> Result<(), Errno> {
        match name {
            b"." => is_directory(&self.at)?.then_some(()).ok_or(Errno::NOTDIR),
            b".." => {
                // At the root the kernel stays where it is.
                self.at = openat(&self.at, "..", HANDLE | OFlags::DIRECTORY, Mode::empty())?;
                Ok(())
            }
            _ => {
                let next = openat(&self.at, name, HANDLE | OFlags::NOFOLLOW, Mode::empty())?;
                if is_link(&next)? {
                    return self.expand(&next, name);
                }
                self.at = next;
                Ok(())
            }
        }
    }

    fn expand(&mut self, link: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP);
        }
        if is_proc(link)? {
            if fstat(&self.at)?.st_ino != PROC_ROOT_INODE {
                self.refuse_own_proc()?;
                // A link to an open file or directory: the kernel knows where it leads, no text does.
                self.at = openat(&self.at, name, HANDLE, Mode::empty())?;
                return Ok(());
            }
            match name {
                b"self" => return self.add(self.thread.to_string().as_bytes()),
                b"thread-self" => {
                    let thread = self.thread;
                    return self.add(format!("{thread}/task/{thread}").as_bytes());
                }
                _ => {}
            }
        }
        let target = readlinkat(link, "", Vec::new())?.into_bytes();
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        if target.first() == Some(&b'/') {
            self.at = root()?;
        }
        self.add(&target)
    }

    fn add(&mut self, path: &[u8]) -> Result<(), Errno> {
        if path.len() > PATH_BYTES_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        self.todo.extend(names.rev().map(<[u8]>::to_vec));
        Ok(())
    }

    /// The warden may open its own memory and descriptors; a caller must not have it do so.
    fn refuse_own_proc(&self) -> Result<(), Errno> {
        if is_proc(&self.at)? && path_of(&self.at)?.starts_with(OWN_PROC) {
            return Err(Errno::ACCESS);
        }
        Ok(())
    }
}

fn root() -> Result<OwnedFd, Errno> {
    open("/", HANDLE | OFlags::DIRECTORY, Mode::empty())
}

/// Opens what a relative path of `thread` starts from.
pub(crate) fn start(thread: i32, start: i32) -> Result<OwnedFd, Errno> {
    let path =
        if start == libc::AT_FDCWD { format!("/proc/{thread}/cwd") } else { format!("/proc/{thread}/fd/{start}") };
    match openat(CWD, path, HANDLE, Mode::empty()) {
        Err(Errno::NOENT) if start != libc::AT_FDCWD => Err(Errno::BADF),
        other => other,
    }
}

/// The path of an open file or directory, as this process and the whole box see it.
pub(crate) fn path_of(open: impl AsFd) -> Result<PathBuf, Errno> {
    let link = format!("/proc/self/fd/{}", open.as_fd().as_raw_fd());
    let path = readlinkat(CWD, link, Vec::new())?;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(path.into_bytes())))
}

pub(crate) fn is_link(open: impl AsFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(open)?.st_mode).is_symlink())
}

pub(crate) fn is_directory(open: impl AsFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(open)?.st_mode).is_dir())
}

fn is_proc(open: impl AsFd) -> Result<bool, Errno> {
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
    Ok(fstatfs(open)?.f_type as i64 == PROC_MAGIC)
}

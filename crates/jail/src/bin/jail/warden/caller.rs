//! Reads a held call's arguments out of the caller's memory, once.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::call::{Deed, Named};
use super::notify::Held;

const PATH_BYTES_MAX: usize = 4096;
/// What is shown of a program's arguments; with the rest it must fit one message.
const ARGUMENT_BYTES_MAX: usize = 128 * 1024;
const ARGUMENTS_MAX: usize = 4096;
const PAGE: usize = 4096;

pub(crate) fn read(held: &Held) -> Result<Deed, Errno> {
    let memory = Memory::open(held.thread)?;
    let [a, b, c, d, e, _] = held.arguments;
    let here = libc::AT_FDCWD;
    let named = |start: u64, path: u64| -> Result<Named, Errno> {
        Ok(Named { start: low(start).cast_signed(), path: memory.path(path)? })
    };
    let at_cwd = |path: u64| named(u64::from(here.cast_unsigned()), path);
    match libc::c_long::from(held.number) {
        libc::SYS_execve => {
            let (argv, truncated) = memory.arguments(b)?;
            Ok(Deed::Exec { file: at_cwd(a)?, argv, truncated, flags: 0 })
        }
        libc::SYS_execveat => {
            let (argv, truncated) = memory.arguments(c)?;
            Ok(Deed::Exec { file: named(a, b)?, argv, truncated, flags: low(e) })
        }
        libc::SYS_openat => Ok(Deed::Open { file: named(a, b)?, flags: low(c), mode: low(d) }),
        libc::SYS_mkdirat => Ok(Deed::MakeDirectory { file: named(a, b)?, mode: low(c) }),
        libc::SYS_mknodat => Ok(Deed::MakeNode { file: named(a, b)?, mode: low(c), device: d }),
        libc::SYS_symlinkat => Ok(Deed::MakeSymlink { target: memory.path(a)?, file: named(b, c)? }),
        libc::SYS_linkat => Ok(Deed::MakeLink { old: named(a, b)?, new: named(c, d)?, flags: low(e) }),
        libc::SYS_renameat => Ok(Deed::Rename { old: named(a, b)?, new: named(c, d)?, flags: 0 }),
        libc::SYS_renameat2 => Ok(Deed::Rename { old: named(a, b)?, new: named(c, d)?, flags: low(e) }),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => Ok(Deed::Open { file: at_cwd(a)?, flags: low(b), mode: low(c) }),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_creat => {
            let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
            Ok(Deed::Open { file: at_cwd(a)?, flags: flags.cast_unsigned(), mode: low(b) })
        }
        #[cfg(target_arch = "x86_64")]
        libc::SYS_mkdir => Ok(Deed::MakeDirectory { file: at_cwd(a)?, mode: low(b) }),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_mknod => Ok(Deed::MakeNode { file: at_cwd(a)?, mode: low(b), device: c }),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_symlink => Ok(Deed::MakeSymlink { target: memory.path(a)?, file: at_cwd(b)? }),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_link => Ok(Deed::MakeLink { old: at_cwd(a)?, new: at_cwd(b)?, flags: 0 }),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename => Ok(Deed::Rename { old: at_cwd(a)?, new: at_cwd(b)?, flags: 0 }),
        // The filter holds no other call.
        _ => Err(Errno::NOSYS),
    }
}

/// The kernel takes these arguments as 32-bit numbers, whatever stands above.
#[allow(clippy::cast_possible_truncation, reason = "the kernel truncates in the same way")]
fn low(argument: u64) -> u32 {
    argument as u32
}

struct Memory(File);

impl Memory {
    fn open(thread: i32) -> Result<Self, Errno> {
        // A caller that made itself non-dumpable is shut to us, too: its call is refused.
        File::open(format!("/proc/{thread}/mem")).map(Self).map_err(|error| errno(&error))
    }

    fn path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        self.string(address, PATH_BYTES_MAX)?.ok_or(Errno::NAMETOOLONG)
    }

    /// A string that ends within `most` bytes, its end included.
    fn string(&self, mut address: u64, most: usize) -> Result<Option<Vec<u8>>, Errno> {
        let mut string = Vec::new();
        while string.len() < most {
            // Up to the end of a page: the next one may not exist.
            let in_page = PAGE - (address as usize % PAGE);
            let mut part = vec![0; in_page.min(most - string.len())];
            let read = self.0.read_at(&mut part, address).map_err(|_| Errno::FAULT)?;
            let part = part.get(..read).unwrap_or_default();
            if part.is_empty() {
                return Err(Errno::FAULT);
            }
            if let Some(end) = part.iter().position(|byte| *byte == 0) {
                string.extend(part.iter().take(end));
                return Ok(Some(string));
            }
            string.extend(part);
            address = address.wrapping_add(part.len() as u64);
        }
        Ok(None)
    }

    fn arguments(&self, mut address: u64) -> Result<(Vec<Vec<u8>>, bool), Errno> {
        let mut arguments = Vec::new();
        let mut left = ARGUMENT_BYTES_MAX;
        // The kernel takes a null array as an empty one.
        while address != 0 {
            let mut pointer = [0; size_of::<usize>()];
            self.0.read_exact_at(&mut pointer, address).map_err(|_| Errno::FAULT)?;
            let pointer = usize::from_ne_bytes(pointer) as u64;
            if pointer == 0 {
                break;
            }
            if arguments.len() == ARGUMENTS_MAX {
                return Ok((arguments, true));
            }
            match self.string(pointer, left)? {
                Some(argument) => {
                    left = left.saturating_sub(argument.len() + 1);
                    arguments.push(argument);
                }
                None => return Ok((arguments, true)),
            }
            address = address.wrapping_add(size_of::<usize>() as u64);
        }
        Ok((arguments, false))
    }
}

pub(crate) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

//! Memory for what must not be found anywhere else: locked so that it is never swapped out, left out of core files and of
//! children, and wiped when it is let go.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize as _;

/// Why there is no such memory.
#[derive(Debug, thiserror::Error)]
#[error("there is no memory to keep a secret in; close other programs")]
pub struct LockedError(#[source] rustix::io::Errno);

/// Some bytes in pages of their own. Locking them is tried and not insisted on: an account may have used up what it may
/// lock, and a secret in memory that could be swapped out is still better kept than in an ordinary buffer.
pub struct Locked {
    start: NonNull<u8>,
    length: usize,
    is_locked: bool,
}

#[expect(unsafe_code, reason = "the pages belong to this value alone and are only read once it is shared")]
// SAFETY: as a `Box<[u8]>`: the pages are owned, written only through `&mut self`.
unsafe impl Send for Locked {}
#[expect(unsafe_code, reason = "the pages belong to this value alone and are only read once it is shared")]
// SAFETY: as above; `&self` only reads.
unsafe impl Sync for Locked {}

impl Locked {
    /// A copy of these bytes. Wiping where they came from is up to the caller.
    ///
    /// # Errors
    /// There is no memory.
    pub fn copy(bytes: &[u8]) -> Result<Self, LockedError> {
        let mut locked = Self::zeroed(bytes.len())?;
        locked.bytes_mut().copy_from_slice(bytes);
        Ok(locked)
    }

    #[expect(unsafe_code, reason = "mapping, locking and advising pages have no safe form")]
    fn zeroed(length: usize) -> Result<Self, LockedError> {
        let mapped = length.max(1);
        // SAFETY: a fresh private mapping at a place of the kernel's choice touches no other memory.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), mapped, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }
                .map_err(LockedError)?;
        for advice in [Advice::LinuxDontDump, Advice::LinuxWipeOnFork] {
            // SAFETY: exactly the mapping made above; neither advice changes what it holds here. A kernel without it
            // leaves less protection, not less memory.
            let _ = unsafe { madvise(start, mapped, advice) };
        }
        // SAFETY: exactly the mapping made above.
        let is_locked = unsafe { mlock(start, mapped) }.is_ok();
        let start = NonNull::new(start.cast::<u8>()).ok_or(LockedError(rustix::io::Errno::NOMEM))?;
        Ok(Self { start, length, is_locked })
    }

    /// The bytes.
    #[must_use]
    #[expect(unsafe_code, reason = "the pages are seen as a slice")]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable, at least this long, initialised by the kernel, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    #[expect(unsafe_code, reason = "the pages are seen as a slice")]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and nobody else has it while it is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }

    /// Whether the kernel promised never to swap it out.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }
}

impl Drop for Locked {
    #[expect(unsafe_code, reason = "the pages are given back")]
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
        // SAFETY: exactly the mapping made in `zeroed`, which nothing refers to any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast::<c_void>(), self.length.max(1)) };
    }
}

impl std::fmt::Debug for Locked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Locked(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_bytes_and_shows_none() {
        let locked = Locked::copy(b"a value of some length").unwrap();
        assert_eq!(locked.bytes(), b"a value of some length");
        assert_eq!(format!("{locked:?}"), "Locked(..)");
        assert_eq!(Locked::copy(b"").unwrap().bytes(), b"");
    }

    /// What the kernel says about the pages: locked, left out of dumps, wiped in children.
    #[test]
    fn pages_are_locked_and_left_out_of_dumps() {
        let locked = Locked::copy(&[7; 5000]).unwrap();
        let address = locked.bytes().as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        // Neighbours with the same flags are one mapping to the kernel.
        let holds = |line: &str| {
            let (start, rest) = line.split_once('-')?;
            let end = rest.split(' ').next()?;
            let number = |text: &str| usize::from_str_radix(text, 16).ok();
            Some((number(start)?..number(end)?).contains(&address))
        };
        let mut lines = maps.lines().skip_while(|line| holds(line) != Some(true));
        let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
        assert!(flags.contains(" dd") && flags.contains(" wf"), "{flags}");
        assert_eq!(flags.contains(" lo"), locked.is_locked(), "{flags}");
    }
}

//! The `bpf(2)` calls that are needed, and the ring in which events come. All unsafe code of the watch stands here.
#![allow(
    unsafe_code,
    reason = "bpf(2) takes a structure that holds addresses, and the ring is memory shared with the kernel"
)]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::io::unix::AsyncFd;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The commands of `bpf(2)`.
#[derive(Clone, Copy)]
enum Command {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    MapNextKey = 4,
    ProgramLoad = 5,
    Attach = 8,
    Detach = 9,
    ProgramById = 13,
    MapById = 14,
    Information = 15,
    Query = 16,
}

/// `union bpf_attr`, as far as any command here reads it.
const ATTRIBUTE_BYTES: usize = 128;
/// What the verifier says when it refuses.
const LOG_BYTES: usize = 64 * 1024;
/// More programs on one group than anybody attaches.
const PROGRAMS_MAX: usize = 64;

/// The attribute of one call, field by field at the offsets of `linux/bpf.h`.
#[repr(C, align(8))]
struct Attribute([u8; ATTRIBUTE_BYTES]);

impl Attribute {
    fn new() -> Self {
        Self([0; ATTRIBUTE_BYTES])
    }

    fn put(mut self, offset: usize, bytes: &[u8]) -> Self {
        if let Some(place) = self.0.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self
    }

    fn number(self, offset: usize, value: u32) -> Self {
        self.put(offset, &value.to_ne_bytes())
    }

    fn fd(self, offset: usize, fd: BorrowedFd<'_>) -> Self {
        self.put(offset, &fd.as_raw_fd().to_ne_bytes())
    }

    fn address<T: ?Sized>(self, offset: usize, memory: *const T) -> Self {
        let address = memory.cast::<c_void>().addr() as u64;
        self.put(offset, &address.to_ne_bytes())
    }

    fn read(&self, offset: usize) -> u32 {
        let bytes = self.0.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_ne_bytes)
    }

    /// Every address in the attribute must be of memory that lives and has the length the command assumes.
    fn call(&mut self, command: Command) -> io::Result<i32> {
        // SAFETY: the attribute is `ATTRIBUTE_BYTES` long and zero where a command has no field; the callers below put
        // in addresses of slices that they hold until after the call, with the lengths the maps were made with.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, &raw mut self.0, ATTRIBUTE_BYTES) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(result).unwrap_or_default()) }
    }

    fn call_fd(&mut self, command: Command) -> io::Result<OwnedFd> {
        let fd = self.call(command)?;
        // SAFETY: these commands give a new descriptor that nobody else knows of.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

fn name(text: &str) -> [u8; 16] {
    let mut name = [0; 16];
    for (place, byte) in name.iter_mut().take(15).zip(text.bytes()) {
        *place = byte;
    }
    name
}

/// What a map is.
#[derive(Clone, Copy)]
pub(super) struct MapShape {
    pub(super) name: &'static str,
    pub(super) kind: u32,
    pub(super) key_bytes: u32,
    pub(super) value_bytes: u32,
    pub(super) entries_max: u32,
    pub(super) flags: u32,
}

/// One map of the kernel.
pub(super) struct Map {
    pub(super) fd: OwnedFd,
    shape: MapShape,
}

impl Map {
    pub(super) fn create(shape: MapShape) -> io::Result<Self> {
        let mut attribute = Attribute::new()
            .number(0, shape.kind)
            .number(4, shape.key_bytes)
            .number(8, shape.value_bytes)
            .number(12, shape.entries_max)
            .number(16, shape.flags)
            .put(28, &name(shape.name));
        Ok(Self { fd: attribute.call_fd(Command::MapCreate)?, shape })
    }

    /// The map of this number, if it has this shape.
    pub(super) fn open(id: u32, shape: MapShape) -> io::Result<Option<Self>> {
        let fd = Attribute::new().number(0, id).call_fd(Command::MapById)?;
        let mut information = [0_u8; 80];
        inform(&fd, &mut information)?;
        let field = |offset: usize| information.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok());
        let number = |offset| field(offset).map_or(0, u32::from_ne_bytes);
        let same = information.get(24..40) == Some(name(shape.name).as_slice())
            && [(0, shape.kind), (8, shape.key_bytes), (12, shape.value_bytes), (16, shape.entries_max)]
                .iter()
                .all(|(offset, value)| number(*offset) == *value);
        Ok(same.then_some(Self { fd, shape }))
    }

    fn check(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let fits = key.len() == self.shape.key_bytes as usize && value.len() == self.shape.value_bytes as usize;
        if fits { Ok(()) } else { Err(io::Error::from(io::ErrorKind::InvalidInput)) }
    }

    pub(super) fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.check(key, value)?;
        let attribute = Attribute::new().number(0, self.fd.as_raw_fd().cast_unsigned());
        let mut attribute = attribute.address(8, key.as_ptr()).address(16, value.as_ptr());
        attribute.call(Command::MapUpdate).map(drop)
    }

    pub(super) fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        self.check(key, value)?;
        let attribute = Attribute::new().number(0, self.fd.as_raw_fd().cast_unsigned());
        let mut attribute = attribute.address(8, key.as_ptr()).address(16, value.as_mut_ptr());
        found(attribute.call(Command::MapLookup))
    }

    pub(super) fn remove(&self, key: &[u8]) -> io::Result<bool> {
        let attribute = Attribute::new().number(0, self.fd.as_raw_fd().cast_unsigned());
        if key.len() != self.shape.key_bytes as usize {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        found(attribute.address(8, key.as_ptr()).call(Command::MapDelete))
    }

    /// The key after this one, or the first, into `next`.
    pub(super) fn next_key(&self, after: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
        let wanted = self.shape.key_bytes as usize;
        if next.len() != wanted || after.is_some_and(|after| after.len() != wanted) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let attribute = Attribute::new().number(0, self.fd.as_raw_fd().cast_unsigned());
        let attribute = match after {
            Some(after) => attribute.address(8, after.as_ptr()),
            None => attribute,
        };
        found(attribute.address(16, next.as_mut_ptr()).call(Command::MapNextKey))
    }
}

fn found(result: io::Result<i32>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn inform(fd: &OwnedFd, information: &mut [u8]) -> io::Result<()> {
    let length = u32::try_from(information.len()).unwrap_or_default();
    let attribute = Attribute::new().number(0, fd.as_raw_fd().cast_unsigned()).number(4, length);
    attribute.address(8, information.as_mut_ptr()).call(Command::Information).map(drop)
}

/// Where a program is attached, and of what type it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hook {
    pub(super) name: &'static str,
    pub(super) program: u32,
    pub(super) attach: u32,
}

/// Loads a program; the error holds what the verifier says.
pub(super) fn load(hook: Hook, code: &[u8]) -> io::Result<OwnedFd> {
    let count = u32::try_from(code.len() / 8).unwrap_or_default();
    let license = c"Apache-2.0";
    let attribute = |log: &mut [u8]| {
        let attribute = Attribute::new()
            .number(0, hook.program)
            .number(4, count)
            .address(8, code.as_ptr())
            .address(16, license.as_ptr())
            .put(48, &name(hook.name))
            .number(68, hook.attach);
        let length = u32::try_from(log.len()).unwrap_or_default();
        if length == 0 { attribute } else { attribute.number(24, 1).number(28, length).address(32, log.as_mut_ptr()) }
    };
    attribute(&mut []).call_fd(Command::ProgramLoad).or_else(|error| {
        if error.raw_os_error() == Some(libc::EPERM) {
            return Err(error);
        }
        let mut log = vec![0_u8; LOG_BYTES];
        attribute(&mut log).call_fd(Command::ProgramLoad).map_err(|error| {
            let said = String::from_utf8_lossy(&log);
            let last: Vec<&str> = said.trim_end_matches('\0').trim_end().lines().rev().take(3).collect();
            io::Error::new(error.kind(), format!("{error}: {}", last.join(" | ")))
        })
    })
}

const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;

/// Attaches a program, in place of another where there is one.
pub(super) fn attach(group: BorrowedFd<'_>, hook: Hook, program: &OwnedFd, old: Option<&OwnedFd>) -> io::Result<()> {
    let flags = ALLOW_MULTI | if old.is_some() { REPLACE } else { 0 };
    let attribute = Attribute::new()
        .fd(0, group)
        .number(4, program.as_raw_fd().cast_unsigned())
        .number(8, hook.attach)
        .number(12, flags);
    let mut attribute = match old {
        Some(old) => attribute.number(16, old.as_raw_fd().cast_unsigned()),
        None => attribute,
    };
    attribute.call(Command::Attach).map(drop)
}

pub(super) fn detach(group: BorrowedFd<'_>, hook: Hook, program: &OwnedFd) -> io::Result<()> {
    let attribute = Attribute::new().fd(0, group).number(4, program.as_raw_fd().cast_unsigned());
    attribute.number(8, hook.attach).call(Command::Detach).map(drop)
}

/// The program of this hook's name on this group, and the numbers of its maps.
pub(super) fn attached(group: BorrowedFd<'_>, hook: Hook) -> io::Result<Option<(OwnedFd, Vec<u32>)>> {
    let mut ids = [0_u32; PROGRAMS_MAX];
    let room = u32::try_from(PROGRAMS_MAX).unwrap_or_default();
    let attribute = Attribute::new().fd(0, group).number(4, hook.attach);
    let mut attribute = attribute.address(16, ids.as_mut_ptr()).number(24, room);
    attribute.call(Command::Query)?;
    let count = attribute.read(24) as usize;
    for id in ids.iter().take(count) {
        let program = Attribute::new().number(0, *id).call_fd(Command::ProgramById)?;
        let mut maps = [0_u32; 16];
        let mut information = [0_u8; 80];
        let address = (maps.as_mut_ptr().addr() as u64).to_ne_bytes();
        for (offset, bytes) in [(52, 16_u32.to_ne_bytes().as_slice()), (56, address.as_slice())] {
            if let Some(place) = information.get_mut(offset..offset + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
        inform(&program, &mut information)?;
        if information.get(64..80) == Some(name(hook.name).as_slice()) {
            return Ok(Some((program, maps.into_iter().filter(|id| *id != 0).collect())));
        }
    }
    Ok(None)
}

/// Waits for a ring to have something in it.
pub(super) fn readable(ring: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by what is made of it and stays the same for as long as that lives.
    unsafe { AsyncFd::register(ring) }.map_err(io::Error::from)
}

/// The reader's side of a ring of events.
pub(super) struct Ring {
    consumer: NonNull<c_void>,
    producer: NonNull<c_void>,
    bytes: usize,
}

// SAFETY: the two mappings belong to this value alone; what the kernel changes in them is read by atomics.
unsafe impl Send for Ring {}

const PAGE_BYTES: usize = 4096;
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER_BYTES: u64 = 8;

impl Ring {
    /// Over a ring of so many bytes, a power of two and whole pages.
    pub(super) fn open(ring: &Map) -> io::Result<Self> {
        let bytes = ring.shape.entries_max as usize;
        if rustix::param::page_size() != PAGE_BYTES {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the machine's pages are not 4 KiB"));
        }
        // SAFETY: fresh mappings of the ring's own pages, of the sizes its documentation gives: one page for the reader's
        // position, one for the writer's, and the data twice behind it.
        let consumer = unsafe {
            mmap(std::ptr::null_mut(), PAGE_BYTES, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &ring.fd, 0)
        }?;
        // SAFETY: as above.
        let producer = unsafe {
            let length = PAGE_BYTES + 2 * bytes;
            mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &ring.fd, PAGE_BYTES as u64)
        };
        let consumer = NonNull::new(consumer).ok_or(io::ErrorKind::OutOfMemory)?;
        match producer.map(NonNull::new) {
            Ok(Some(producer)) => Ok(Self { consumer, producer, bytes }),
            other => {
                // SAFETY: mapped above and used by nobody.
                let _ = unsafe { munmap(consumer.as_ptr(), PAGE_BYTES) };
                Err(other.err().map_or_else(|| io::ErrorKind::OutOfMemory.into(), io::Error::from))
            }
        }
    }

    /// Hands the next event to `take`; says whether there was one.
    pub(super) fn next(&mut self, take: impl FnOnce(&[u8])) -> bool {
        // SAFETY: the first word of each of the two pages is a position, aligned, for as long as the mappings live.
        let (read, written) =
            unsafe { (self.consumer.cast::<AtomicU64>().as_ref(), self.producer.cast::<AtomicU64>().as_ref()) };
        let mut take = Some(take);
        loop {
            let at = read.load(Ordering::Acquire);
            if at >= written.load(Ordering::Acquire) {
                return false;
            }
            let offset = usize::try_from(at & (self.bytes as u64 - 1)).unwrap_or(0);
            // SAFETY: a record's header is aligned to 8 and lies within the data, which is mapped twice in a row so that
            // a record never breaks off at its end.
            let header = unsafe { self.producer.byte_add(PAGE_BYTES + offset).cast::<AtomicU32>().as_ref() };
            let header = header.load(Ordering::Acquire);
            if header & BUSY != 0 {
                return false;
            }
            let length = (header & !DISCARDED) as usize;
            let discarded = header & DISCARDED != 0 || length > self.bytes;
            if !discarded && let Some(take) = take.take() {
                // SAFETY: the kernel has finished this record and writes there again only when it is given back below.
                take(unsafe {
                    std::slice::from_raw_parts(self.producer.byte_add(PAGE_BYTES + offset + 8).cast().as_ptr(), length)
                });
            }
            read.store(at + (HEADER_BYTES + length as u64).next_multiple_of(8), Ordering::Release);
            if !discarded {
                return true;
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: both were mapped by `open` with these lengths, and no reference into them outlives the value.
        unsafe {
            let _ = munmap(self.consumer.as_ptr(), PAGE_BYTES);
            let _ = munmap(self.producer.as_ptr(), PAGE_BYTES + 2 * self.bytes);
        }
    }
}

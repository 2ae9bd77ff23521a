//! The guard over one control group: its programs, its table, its events. What is attached stays when we are gone; whoever
//! comes next takes the same maps over, events that nobody has read included.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

use super::event::Event;
use super::programs::{self, HOOKS, KEY_BYTES, Maps, NAME_BYTES, SETTINGS_BYTES, SPANS_BYTES, SPANS_MAX, setting};
use super::system::{self, Hook, Map, MapShape, Ring};

/// How the guard is to stand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stance {
    /// The port of our name server on loopback; 0 refuses questions like everything else.
    pub dns_port: u16,
    /// This machine's own addresses may be reached.
    pub loopback: bool,
    /// The whole machine is guarded, except the group of this number.
    pub host: Option<u64>,
    /// Which policy the table is filled for; a table of another one is not taken over.
    pub policy: u64,
}

/// Addresses that may be reached, and at which ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The first address of a range.
    pub address: IpAddr,
    /// How many of its bits are fixed.
    pub prefix: u8,
    /// Spans of ports, first and last included; at most eight.
    pub ports: Vec<(u16, u16)>,
}

/// Why there is no guard. The message says which layer is missing and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The group can't be opened.
    #[error("layer `cgroup`: `{group}` can't be opened; name a group of the cgroup version 2 tree")]
    Group {
        /// Which.
        group: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Somebody else guards it.
    #[error("layer `cgroup`: another `bartizan watch` guards `{group}`; end that one first")]
    Taken {
        /// Which.
        group: String,
    },
    /// The kernel does not take part of it.
    #[error(
        "layer `bpf`: {step} failed; it needs root (or CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN), cgroup version 2 and a kernel of 5.8 or later with CONFIG_CGROUP_BPF; try `sudo bartizan watch`, or `bartizan run` for a box that needs no privilege"
    )]
    Kernel {
        /// What was tried.
        step: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The table would be larger than the kernel's.
    #[error("layer `table`: more than {max} addresses and ranges may be reached; name fewer or larger ones")]
    Full {
        /// How many fit.
        max: u32,
    },
    /// More spans of ports than an entry holds.
    #[error(
        "layer `table`: `{address}` may be reached at more than {SPANS_MAX} separate spans of ports; join them in the policy"
    )]
    Spans {
        /// Whose.
        address: IpAddr,
    },
}

/// A guard that stands.
pub struct Guard {
    group: OwnedFd,
    programs: Vec<(Hook, OwnedFd)>,
    maps: Maps,
    ring: Ring,
    taken_over: bool,
}

impl Guard {
    /// Puts the guard over this group, or takes over the one that stands there. One that was filled for the same policy
    /// stays as it is, with what names have led to; any other lets only these be reached.
    ///
    /// # Errors
    /// The layer that can't be had; then nothing of ours is left on the group, unless it was there before.
    pub fn stand(directory: &Path, stance: Stance, reaches: &[Reach]) -> Result<Self, GuardError> {
        let shown = directory.display().to_string();
        let group = open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| GuardError::Group { group: shown.clone(), source: error.into() })?;
        flock(&group, FlockOperation::NonBlockingLockExclusive).map_err(|_| GuardError::Taken { group: shown })?;
        let mut old = Vec::new();
        for hook in HOOKS {
            let found = system::attached(group.as_fd(), hook);
            old.push(found.map_err(|source| kernel("asking what stands on the group", source))?);
        }
        let ids: Vec<u32> = old.iter().flatten().flat_map(|(_, maps)| maps.iter().copied()).collect();
        let taken_over = !ids.is_empty();
        let maps = Maps {
            table: map(&ids, programs::TABLE)?,
            settings: map(&ids, programs::SETTINGS)?,
            events: map(&ids, programs::EVENTS)?,
            lost: map(&ids, programs::LOST)?,
            holders: map(&ids, programs::HOLDERS)?,
            origins: map(&ids, programs::ORIGINS)?,
            seen: map(&ids, programs::SEEN)?,
            names: map(&ids, programs::NAMES)?,
        };
        let ring = Ring::open(&maps.events).map_err(|source| kernel("reading the ring of events", source))?;
        let mut guard = Self { group, programs: Vec::new(), maps, ring, taken_over };
        if !taken_over || guard.policy()? != stance.policy {
            // Whatever another policy let through is not let through now, before anything else.
            guard.clear()?;
            guard.settle(stance)?;
            reaches.iter().try_for_each(|reach| guard.let_through(reach))?;
        }
        guard.settle(stance)?;
        for (hook, old) in HOOKS.into_iter().zip(old) {
            let code = programs::code(hook, &guard.maps)
                .ok_or_else(|| kernel("putting the programs together", io::Error::from(io::ErrorKind::InvalidData)));
            let attached = code.and_then(|code| {
                let program = system::load(hook, &code);
                let program = program.map_err(|source| kernel(&format!("loading `{}`", hook.name), source))?;
                system::attach(guard.group.as_fd(), hook, &program, old.as_ref().map(|(program, _)| program))
                    .map_err(|source| kernel(&format!("attaching `{}`", hook.name), source))?;
                Ok(program)
            });
            match attached {
                Ok(program) => guard.programs.push((hook, program)),
                Err(error) => {
                    if !taken_over {
                        guard.leave();
                    }
                    return Err(error);
                }
            }
        }
        Ok(guard)
    }

    /// Whether it stood there before us.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        self.taken_over
    }

    /// Lets these be reached too. An address that was named alone before is reached at these ports only.
    ///
    /// # Errors
    /// There are too many, or the kernel refuses.
    pub fn let_through(&self, reach: &Reach) -> Result<(), GuardError> {
        let mut value = [0_u8; SPANS_BYTES];
        if reach.ports.len() > SPANS_MAX {
            return Err(GuardError::Spans { address: reach.address });
        }
        let nothing = std::iter::repeat((1, 0));
        for (place, (first, last)) in value.chunks_exact_mut(4).zip(reach.ports.iter().copied().chain(nothing)) {
            let [a, b] = u16::to_ne_bytes(first);
            let [c, d] = u16::to_ne_bytes(last);
            place.copy_from_slice(&[a, b, c, d]);
        }
        self.maps.table.update(&key(reach.address, reach.prefix), &value).map_err(|source| {
            if source.raw_os_error() == Some(libc::ENOSPC) {
                GuardError::Full { max: programs::TABLE_MAX }
            } else {
                kernel("filling the table", source)
            }
        })
    }

    /// Lets nothing through any more, but what the stance does.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn clear(&self) -> Result<(), GuardError> {
        let failed = |source| kernel("clearing the table", source);
        let mut key = [0_u8; KEY_BYTES];
        while self.maps.table.next_key(None, &mut key).map_err(failed)? {
            self.maps.table.remove(&key).map_err(failed)?;
        }
        let mut address = [0_u8; 16];
        while self.maps.names.next_key(None, &mut address).map_err(failed)? {
            self.maps.names.remove(&address).map_err(failed)?;
        }
        Ok(())
    }

    /// Remembers which name an address was given out for; as long as the guard stands.
    ///
    /// # Errors
    /// There are too many, or the kernel refuses.
    pub fn remember(&self, address: IpAddr, name: &str) -> Result<(), GuardError> {
        let mut value = [0_u8; NAME_BYTES];
        value.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
        self.maps.names.update(&mapped(address).octets(), &value).map_err(|source| match source.raw_os_error() {
            Some(libc::E2BIG | libc::ENOSPC) => GuardError::Full { max: programs::NAMES_MAX },
            _ => kernel("remembering a name", source),
        })
    }

    /// The name an address was given out for last.
    #[must_use]
    pub fn name_of(&self, address: IpAddr) -> Option<String> {
        let mut value = [0_u8; NAME_BYTES];
        let found = self.maps.names.lookup(&mapped(address).octets(), &mut value).ok()?;
        let name = value.split(|byte| *byte == 0).next().filter(|_| found)?;
        String::from_utf8(name.to_vec()).ok()
    }

    fn settle(&self, stance: Stance) -> Result<(), GuardError> {
        let mut value = [0_u8; SETTINGS_BYTES];
        let mut put = |offset: i16, bytes: &[u8]| {
            let at = usize::from(offset.unsigned_abs());
            if let Some(place) = value.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        let loopback = if stance.loopback { setting::LOOPBACK } else { 0 };
        let host = if stance.host.is_some() { setting::HOST } else { 0 };
        put(setting::DNS_PORT, &u32::from(stance.dns_port).to_ne_bytes());
        put(setting::FLAGS, &(loopback | host).to_ne_bytes());
        put(setting::EXEMPT, &stance.host.unwrap_or_default().to_ne_bytes());
        put(setting::POLICY, &stance.policy.to_ne_bytes());
        self.maps.settings.update(&[0; 4], &value).map_err(|source| kernel("setting the guard up", source))
    }

    fn policy(&self) -> Result<u64, GuardError> {
        let mut value = [0_u8; SETTINGS_BYTES];
        self.maps
            .settings
            .lookup(&[0; 4], &mut value)
            .map_err(|source| kernel("reading the guard's settings", source))?;
        let bytes = value.get(16..24).and_then(|bytes| bytes.try_into().ok());
        Ok(bytes.map_or(0, u64::from_ne_bytes))
    }

    /// Everything that has happened since it was last asked.
    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while self.ring.next(|bytes| events.extend(Event::parse(bytes))) {}
        events
    }

    /// How many events found no room.
    pub fn lost(&self) -> u64 {
        let mut value = [0_u8; 8];
        let read = self.maps.lost.lookup(&[0; 4], &mut value);
        read.map_or(0, |_| u64::from_ne_bytes(value))
    }

    /// A descriptor that is readable when there are events.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn signal(&self) -> io::Result<OwnedFd> {
        self.maps.events.fd.try_clone()
    }

    /// Takes the guard away. Dropping it leaves it standing.
    pub fn leave(&self) {
        for (hook, program) in &self.programs {
            // One that is not there any more is what was wanted.
            let _ = system::detach(self.group.as_fd(), *hook, program);
        }
    }
}

fn kernel(step: &str, source: io::Error) -> GuardError {
    GuardError::Kernel { step: step.to_owned(), source }
}

/// The map of this shape among those that are there, or a new one.
fn map(ids: &[u32], shape: MapShape) -> Result<Map, GuardError> {
    let failed = |source| kernel(&format!("making the map `{}`", shape.name), source);
    for id in ids {
        if let Some(map) = Map::open(*id, shape).map_err(failed)? {
            return Ok(map);
        }
    }
    Map::create(shape).map_err(failed)
}

fn key(address: IpAddr, prefix: u8) -> [u8; KEY_BYTES] {
    let prefix = u32::from(prefix) + if address.is_ipv4() { 96 } else { 0 };
    let mut key = [0; KEY_BYTES];
    let bytes = prefix.to_ne_bytes().into_iter().chain(mapped(address).octets());
    key.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    key
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

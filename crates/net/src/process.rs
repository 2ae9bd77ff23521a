//! Which process of the box a connection belongs to: the kernel's socket table inside the namespace gives the socket's
//! inode, `/proc/<pid>/fd` of the box's processes gives who holds it. Absent when not found, never guessed.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bartizan_model::Process;

use crate::netlink::{Batch, DUMP, NetlinkError, REQUEST, u32_at};

/// The processes of the box, as seen from outside.
pub type ProcessCandidates = Arc<dyn Fn() -> Vec<u32> + Send + Sync>;

/// How many processes are looked through for one connection: a fork bomb must not slow down attribution
/// without bound.
const CANDIDATES_MAX: usize = 4096;
/// How many descriptors of one process are looked through, for the same reason.
const DESCRIPTORS_MAX: usize = 4096;

// Numbers from linux/sock_diag.h and inet_diag.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const TCP: u8 = 6;
const UDP: u8 = 17;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const ALL_STATES: u32 = u32::MAX;
/// Where `idiag_inode` stands in `struct inet_diag_msg`.
const INODE_OFFSET: usize = 68;

/// The transport of a socket that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What the namespace's socket table says about one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketHolder {
    /// Some process holds it; the inode.
    Held(u32),
    /// It still exists, but no process holds it any more.
    Orphaned,
    /// There is no such socket.
    Gone,
}

/// Finds processes by their sockets.
pub struct Attribution {
    socket: Mutex<Socket>,
    candidates: ProcessCandidates,
    /// Who was found last, and by which descriptor: most connections in a row come from the same process, and one that
    /// closes its connections gets the same descriptor again.
    last: AtomicU64,
}

struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Attribution {
    /// Over a `NETLINK_SOCK_DIAG` socket of the namespace.
    pub fn new(sock_diag: OwnedFd, candidates: ProcessCandidates) -> Self {
        Self { socket: Mutex::new(Socket { fd: sock_diag, sequence: 0 }), candidates, last: AtomicU64::new(0) }
    }

    /// The process that holds the socket with these two ends, as that process sees them.
    pub fn find(&self, transport: Transport, own: SocketAddr, remote: SocketAddr) -> Option<Process> {
        let SocketHolder::Held(inode) = self.holder(transport, own, remote).ok()? else { return None };
        self.process(inode)
    }

    fn process(&self, inode: u32) -> Option<Process> {
        let pid = self.pid(inode)?;
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        // The link tells of a replaced file with a suffix that is no part of its name.
        let executable = executable.map(|path| path.to_string_lossy().trim_end_matches(" (deleted)").to_owned());
        Some(Process { pid, in_box: false, executable })
    }

    /// The process that holds the UDP socket with this end. The other end isn't known: a redirected datagram doesn't
    /// say where it was going. Only a port that exactly one socket has is an answer.
    pub fn find_udp(&self, own: SocketAddr) -> Option<Process> {
        let mut inodes = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let request = request_of(family, UDP, [own.port(), 0], [[0; 16]; 2]);
            self.query(DUMP, &request, |payload| {
                if source_port(payload) == Some(own.port()) {
                    inodes.extend(u32_at(payload, INODE_OFFSET));
                }
            })
            .ok()?;
        }
        match inodes.as_slice() {
            [inode] if *inode != 0 => self.process(*inode),
            _ => None,
        }
    }

    /// Who holds that socket, if anybody.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn holder(
        &self,
        transport: Transport,
        own: SocketAddr,
        remote: SocketAddr,
    ) -> Result<SocketHolder, NetlinkError> {
        let mut inode = None;
        let result = self.query(0, &request(transport, own, remote), |payload| inode = u32_at(payload, INODE_OFFSET));
        match result {
            Ok(()) => match inode {
                Some(0) => Ok(SocketHolder::Orphaned),
                Some(inode) => Ok(SocketHolder::Held(inode)),
                None => Err(NetlinkError::Answer),
            },
            Err(NetlinkError::Refused { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(SocketHolder::Gone)
            }
            Err(error) => Err(error),
        }
    }

    fn query(&self, flags: u16, request: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), NetlinkError> {
        let mut socket = crate::lock(&self.socket);
        let mut batch = Batch::starting_at(socket.sequence);
        socket.sequence = socket.sequence.wrapping_add(1);
        batch.message(SOCK_DIAG_BY_FAMILY, REQUEST | flags, |body| body.raw(request));
        batch.query(&socket.fd, flags & DUMP != 0, |message| each(message.payload))
    }

    fn pid(&self, inode: u32) -> Option<u32> {
        let wanted = PathBuf::from(format!("socket:[{inode}]"));
        let last = Holder::unpack(self.last.load(Ordering::Relaxed));
        // Whoever holds this very socket is of the box, so the box's processes need not be listed first.
        let found =
            last.and_then(|last| if last.holds(&wanted) { Some(last) } else { Holder::find(last.pid, &wanted) });
        let found = found.or_else(|| {
            let candidates = (self.candidates)();
            candidates.into_iter().take(CANDIDATES_MAX).find_map(|pid| Holder::find(pid, &wanted))
        })?;
        self.last.store(found.pack(), Ordering::Relaxed);
        Some(found.pid)
    }
}

/// A process and one of its descriptors.
#[derive(Clone, Copy)]
struct Holder {
    pid: u32,
    descriptor: u32,
}

impl Holder {
    /// The process, if it holds that socket. The newest descriptors first: there a new connection's is nearly always.
    fn find(pid: u32, wanted: &Path) -> Option<Self> {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let descriptors =
            entries.take(DESCRIPTORS_MAX).flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let descriptors: Vec<u32> = descriptors.collect();
        descriptors.into_iter().rev().map(|descriptor| Self { pid, descriptor }).find(|holder| holder.holds(wanted))
    }

    fn holds(self, wanted: &Path) -> bool {
        let Self { pid, descriptor } = self;
        std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).is_ok_and(|target| target == wanted)
    }

    fn pack(self) -> u64 {
        u64::from(self.pid) << 32 | u64::from(self.descriptor)
    }

    /// No process has the number 0.
    fn unpack(packed: u64) -> Option<Self> {
        let [a, b, c, d, e, f, g, h] = packed.to_be_bytes();
        let (pid, descriptor) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        (pid != 0).then_some(Self { pid, descriptor })
    }
}

fn request(transport: Transport, own: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let (own, remote) = (unmapped(own), unmapped(remote));
    let family = if own.is_ipv4() { AF_INET } else { AF_INET6 };
    let protocol = match transport {
        Transport::Tcp => TCP,
        Transport::Udp => UDP,
    };
    request_of(family, protocol, [own.port(), remote.port()], [own.ip(), remote.ip()].map(padded))
}

/// `struct inet_diag_req_v2`.
fn request_of(family: u8, protocol: u8, ports: [u16; 2], addresses: [[u8; 16]; 2]) -> Vec<u8> {
    let mut bytes = vec![family, protocol, 0, 0];
    bytes.extend_from_slice(&ALL_STATES.to_ne_bytes());
    for port in ports {
        bytes.extend_from_slice(&port.to_be_bytes());
    }
    for address in addresses {
        bytes.extend_from_slice(&address);
    }
    // Any interface, no cookie.
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&[0xff; 8]);
    bytes
}

fn padded(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// The source port in `struct inet_diag_msg`.
fn source_port(payload: &[u8]) -> Option<u16> {
    payload.get(4..6)?.try_into().ok().map(u16::from_be_bytes)
}

fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

//! Sets up the box's network namespace from outside, through sockets that were opened inside and handed over.
//!
//! The namespace has loopback and nothing else. Every address is made local, so a connection to anywhere
//! stays inside, where nftables turns it to our listeners: there is no way out to go round.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt;

use crate::netlink::{ACK, Batch, CREATE, EXCLUSIVE, NetlinkError, REQUEST};
use crate::nftables::{self, FamilyPorts, Ports};

/// The sockets that were created inside the box's network namespace. Listeners are bound and listening;
/// netlink sockets were opened by a process that had `CAP_NET_ADMIN` over the namespace.
#[derive(Debug)]
pub struct NamespaceSockets {
    /// TCP listener for redirected IPv4 connections, bound to `0.0.0.0`.
    pub transparent4: OwnedFd,
    /// TCP listener of the explicit proxy, IPv4.
    pub proxy: OwnedFd,
    /// DNS over UDP, IPv4.
    pub dns_udp4: OwnedFd,
    /// DNS over TCP, IPv4, listening.
    pub dns_tcp4: OwnedFd,
    /// Those for IPv6; absent where the kernel has no IPv6, and then nothing can be sent over it either.
    pub ipv6: Option<Ipv6Sockets>,
    /// A `NETLINK_ROUTE` socket.
    pub route: OwnedFd,
    /// A `NETLINK_NETFILTER` socket.
    pub netfilter: OwnedFd,
    /// A `NETLINK_SOCK_DIAG` socket.
    pub sock_diag: OwnedFd,
}

/// The listeners for IPv6, bound to `::`, IPv6 only.
#[derive(Debug)]
pub struct Ipv6Sockets {
    /// TCP listener for redirected connections.
    pub transparent: OwnedFd,
    /// DNS over UDP.
    pub dns_udp: OwnedFd,
    /// DNS over TCP, listening.
    pub dns_tcp: OwnedFd,
}

/// Why the namespace could not be closed off. The box must not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// A socket that was handed over is not what it should be.
    #[error("network layer `sockets`: `{socket}` has no usable address")]
    Socket {
        /// Which.
        socket: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Loopback and routes.
    #[error(
        "network layer `routes`: {step} failed; the kernel must allow network administration in user namespaces, `bartizan doctor` shows what is missing"
    )]
    Routes {
        /// What was tried.
        step: &'static str,
        /// The cause.
        #[source]
        source: NetlinkError,
    },
    /// Redirect and guard.
    #[error(
        "network layer `nftables`: the rules were not accepted; the kernel needs nf_tables with nat, redirect and conntrack for inet, `bartizan doctor` shows what is missing"
    )]
    Nftables(#[source] NetlinkError),
}

/// The address loopback carries beside 127.0.0.1, so that programs which look whether the machine has IPv4
/// at all (`AI_ADDRCONFIG`) find one. Never handed out as a synthetic address.
pub(crate) const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// How TCP finds its speed where nothing leaves memory. There is nothing to pace there, and a machine whose TCP uses BBR
/// spends most of a transfer on BBR's timers. Part of every kernel.
const CONGESTION_CONTROL: &str = "reno";
/// What may wait in memory to be sent on. Left to itself the kernel lets it grow until it no longer fits the processor's
/// caches; nothing here is ever far away.
const RECEIVE_BYTES: usize = 512 * 1024;

// Numbers from linux/rtnetlink.h, if_link.h and if_addr.h.
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const LOOPBACK_INDEX: u32 = 1;
const UP: u32 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const TABLE_LOCAL: u8 = 255;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_HOST: u8 = 254;
const KIND_LOCAL: u8 = 2;
const ROUTE_OUT: u16 = 4;
const ROUTE_PREFERRED_SOURCE: u16 = 7;
const ROUTE_METRICS: u16 = 8;
const METRIC_CONGESTION_CONTROL: u16 = 16;

/// What is done, for the error, and the message that does it.
type Step = (&'static str, fn(&mut Batch));

/// Brings loopback up, makes every address local and loads the rules. Until this has returned `Ok`, nothing may
/// run in the box.
///
/// # Errors
/// The layer that could not be had.
pub fn configure(sockets: &NamespaceSockets) -> Result<(), NamespaceError> {
    let ipv4 = FamilyPorts {
        transparent: port("transparent4", &sockets.transparent4)?,
        dns_udp: port("dns_udp4", &sockets.dns_udp4)?,
        dns_tcp: port("dns_tcp4", &sockets.dns_tcp4)?,
    };
    let ipv6 = match &sockets.ipv6 {
        Some(sockets) => Some(FamilyPorts {
            transparent: port("transparent6", &sockets.transparent)?,
            dns_udp: port("dns_udp6", &sockets.dns_udp)?,
            dns_tcp: port("dns_tcp6", &sockets.dns_tcp)?,
        }),
        None => None,
    };
    let ports = Ports { ipv4, ipv6 };
    // Rules before routes: there is no moment in which an address can be reached unguarded.
    nftables::load(&sockets.netfilter, ports).map_err(NamespaceError::Nftables)?;
    let mut steps: Vec<Step> = vec![
        ("bringing loopback up", link_up),
        ("giving loopback an address", own_address),
        ("making every IPv4 address local", |batch| {
            // Without the preferred source, answers of the DNS socket would come from the client's own address.
            local_route(batch, AF_INET, SCOPE_HOST, Some(&Ipv4Addr::LOCALHOST.octets()));
        }),
    ];
    if sockets.ipv6.is_some() {
        steps.push(("making every IPv6 address local", |batch| {
            local_route(batch, AF_INET6, 0, Some(&Ipv6Addr::LOCALHOST.octets()));
        }));
    }
    for (step, fill) in steps {
        let mut batch = Batch::default();
        fill(&mut batch);
        batch.execute(&sockets.route).map_err(|source| NamespaceError::Routes { step, source })?;
    }
    Ok(())
}

/// How many packets of each kind the box tried to send and nftables dropped.
///
/// # Errors
/// The kernel does not tell.
pub fn dropped(netfilter: &OwnedFd) -> Result<BTreeMap<String, i64>, NetlinkError> {
    nftables::counters(netfilter)
}

fn port(socket: &'static str, fd: &OwnedFd) -> Result<u16, NamespaceError> {
    let address = rustix::net::getsockname(fd)
        .map_err(std::io::Error::from)
        .and_then(|address| SocketAddr::try_from(address).map_err(std::io::Error::from))
        .map_err(|source| NamespaceError::Socket { socket, source })?;
    match address.port() {
        0 => {
            let source = std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, "it is not bound");
            Err(NamespaceError::Socket { socket, source })
        }
        port => Ok(port),
    }
}

/// Fits a socket, or a listener and all it accepts, to connections that never leave memory. Where the kernel won't,
/// they are slower, nothing else.
pub(crate) fn within_memory(socket: impl AsFd) {
    let _ = sockopt::set_tcp_congestion(&socket, CONGESTION_CONTROL);
    let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BYTES);
}

fn link_up(batch: &mut Batch) {
    batch.message(NEW_LINK, REQUEST | ACK, |body| {
        body.raw(&[0; 4]);
        body.raw(&LOOPBACK_INDEX.to_ne_bytes());
        body.raw(&UP.to_ne_bytes());
        body.raw(&UP.to_ne_bytes());
    });
}

fn own_address(batch: &mut Batch) {
    batch.message(NEW_ADDRESS, REQUEST | ACK | CREATE | EXCLUSIVE, |body| {
        body.raw(&[AF_INET, 32, 0, 0]);
        body.raw(&LOOPBACK_INDEX.to_ne_bytes());
        for kind in [1, 2] {
            body.attribute(kind, &OWN_ADDRESS.octets());
        }
    });
}

fn local_route(batch: &mut Batch, family: u8, scope: u8, source: Option<&[u8]>) {
    batch.message(NEW_ROUTE, REQUEST | ACK | CREATE | EXCLUSIVE, |body| {
        body.raw(&[family, 0, 0, 0, TABLE_LOCAL, PROTOCOL_STATIC, scope, KIND_LOCAL]);
        body.raw(&[0; 4]);
        body.attribute(ROUTE_OUT, &LOOPBACK_INDEX.to_ne_bytes());
        if let Some(source) = source {
            body.attribute(ROUTE_PREFERRED_SOURCE, source);
        }
        body.nested(ROUTE_METRICS, |body| body.text(METRIC_CONGESTION_CONTROL, CONGESTION_CONTROL));
    });
}

//! Sockets made inside the box's network namespace and handed to Bartizan's process.
//!
//! Loopback is still down, so all bind to wildcard addresses. IPv6 ones are left out where the
//! kernel has no IPv6; then nothing can be sent over it either.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use bartizan_jail::{Layer, ServerSocket};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, bind, listen, netlink, socket_with, sockopt};

use crate::fault::{At, Fault};

/// The customary port of an HTTP proxy.
const PROXY_PORT: u16 = 3128;
/// The kernel caps it at `somaxconn`; a burst of connections must not be refused.
const BACKLOG: i32 = 4096;

pub(crate) fn open_all() -> Result<(Vec<ServerSocket>, Vec<OwnedFd>), Fault> {
    use ServerSocket as S;
    let mut kinds = Vec::new();
    let mut sockets = Vec::new();
    for kind in [S::CaptureV4, S::CaptureV6, S::Proxy, S::DnsUdpV4, S::DnsUdpV6, S::DnsTcpV4, S::DnsTcpV6] {
        let six = matches!(kind, S::CaptureV6 | S::DnsUdpV6 | S::DnsTcpV6);
        let datagram = matches!(kind, S::DnsUdpV4 | S::DnsUdpV6);
        let port = if kind == S::Proxy { PROXY_PORT } else { 0 };
        match server(six, datagram, port) {
            Ok(socket) => {
                kinds.push(kind);
                sockets.push(socket);
            }
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if six => {}
            Err(errno) => return Err(errno).at(Layer::NetworkNamespace, format_args!("make socket {kind:?}")),
        }
    }
    let netlinks = [
        // Protocol 0 is NETLINK_ROUTE.
        (S::Route, None),
        (S::Netfilter, Some(netlink::NETFILTER)),
        (S::SocketDiagnostics, Some(netlink::SOCK_DIAG)),
    ];
    for (kind, protocol) in netlinks {
        let layer = if kind == S::Netfilter { Layer::Nftables } else { Layer::NetworkNamespace };
        let socket = netlink(protocol).at(layer, format_args!("make netlink socket {kind:?}"))?;
        kinds.push(kind);
        sockets.push(socket);
    }
    Ok((kinds, sockets))
}

fn server(six: bool, datagram: bool, port: u16) -> Result<OwnedFd, Errno> {
    let family = if six { AddressFamily::INET6 } else { AddressFamily::INET };
    let kind = if datagram { SocketType::DGRAM } else { SocketType::STREAM };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    let address: SocketAddr = if six {
        sockopt::set_ipv6_v6only(&socket, true)?;
        (Ipv6Addr::UNSPECIFIED, port).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, port).into()
    };
    bind(&socket, &address)?;
    if !datagram {
        listen(&socket, BACKLOG)?;
    }
    Ok(socket)
}

fn netlink(protocol: Option<Protocol>) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
}

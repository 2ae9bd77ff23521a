//! The sockets that are the box's only way to a network.

use std::os::fd::OwnedFd;

use bartizan_jail::ServerSocket;

/// Sockets made in the box's network namespace, not blocking. IPv6 ones are absent where the kernel
/// has no IPv6. Loopback is still down and no rule is set: that is for the one who takes them.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct NetSockets {
    /// TCP listener on the IPv4 wildcard, for redirected connections.
    pub capture_v4: Option<OwnedFd>,
    /// The same for IPv6 only.
    pub capture_v6: Option<OwnedFd>,
    /// TCP listener for explicit proxying, port 3128 of the IPv4 wildcard.
    pub proxy: Option<OwnedFd>,
    pub dns_udp_v4: Option<OwnedFd>,
    pub dns_udp_v6: Option<OwnedFd>,
    pub dns_tcp_v4: Option<OwnedFd>,
    pub dns_tcp_v6: Option<OwnedFd>,
    /// `NETLINK_ROUTE`
    pub route: Option<OwnedFd>,
    /// `NETLINK_NETFILTER`
    pub netfilter: Option<OwnedFd>,
    /// `NETLINK_SOCK_DIAG`
    pub socket_diagnostics: Option<OwnedFd>,
}

impl NetSockets {
    pub(crate) fn new(kinds: Vec<ServerSocket>, sockets: Vec<OwnedFd>) -> Self {
        let mut all = Self::default();
        for (kind, socket) in kinds.into_iter().zip(sockets) {
            let place = match kind {
                ServerSocket::CaptureV4 => &mut all.capture_v4,
                ServerSocket::CaptureV6 => &mut all.capture_v6,
                ServerSocket::Proxy => &mut all.proxy,
                ServerSocket::DnsUdpV4 => &mut all.dns_udp_v4,
                ServerSocket::DnsUdpV6 => &mut all.dns_udp_v6,
                ServerSocket::DnsTcpV4 => &mut all.dns_tcp_v4,
                ServerSocket::DnsTcpV6 => &mut all.dns_tcp_v6,
                ServerSocket::Route => &mut all.route,
                ServerSocket::Netfilter => &mut all.netfilter,
                ServerSocket::SocketDiagnostics => &mut all.socket_diagnostics,
            };
            *place = Some(socket);
        }
        all
    }
}

//! The namespace itself: what is redirected, what is dropped, what stays direct.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use bartizan_net::namespace::{configure, dropped};

use crate::netns::{TCP, TestBox, UDP};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn every_tcp_connection_is_redirected_with_its_destination() {
    let inside = TestBox::start();
    let sockets = inside.namespace_sockets();
    configure(&sockets).unwrap();
    inside.drop_capabilities();
    let listener4 = TcpListener::from(sockets.transparent4);
    let listener6 = TcpListener::from(sockets.ipv6.unwrap().transparent);

    let mut client = inside.connect(address("203.0.113.9:443")).unwrap();
    let (mut server, _) = listener4.accept().unwrap();
    assert_eq!(rustix::net::sockopt::ip_original_dst(&server).unwrap().to_string(), "203.0.113.9:443");
    client.write_all(b"ping").unwrap();
    let mut read = [0; 4];
    server.read_exact(&mut read).unwrap();
    server.write_all(&read).unwrap();
    client.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"ping");

    let _client = inside.connect(address("[2001:db8::9]:8443")).unwrap();
    let (server, _) = listener6.accept().unwrap();
    assert_eq!(rustix::net::sockopt::ipv6_original_dst(&server).unwrap().to_string(), "[2001:db8::9]:8443");
}

#[test]
fn what_never_leaves_memory_is_not_paced() {
    let inside = TestBox::start();
    let sockets = inside.namespace_sockets();
    configure(&sockets).unwrap();
    for to in ["203.0.113.9:443", "[2001:db8::9]:443"] {
        let client = inside.connect(address(to)).unwrap();
        assert_eq!(rustix::net::sockopt::tcp_congestion(&client).unwrap(), "reno", "{to}");
    }
}

#[test]
fn dns_to_any_resolver_is_redirected_and_answered() {
    let inside = TestBox::start();
    let sockets = inside.namespace_sockets();
    configure(&sockets).unwrap();
    let dns4 = UdpSocket::from(sockets.dns_udp4);
    let dns6 = UdpSocket::from(sockets.ipv6.unwrap().dns_udp);
    for (ours, resolver, domain) in [
        (&dns4, "8.8.8.8:53", libc::AF_INET),
        (&dns4, "127.0.0.53:53", libc::AF_INET),
        (&dns6, "[2001:4860:4860::8888]:53", libc::AF_INET6),
        (&dns6, "[::1]:53", libc::AF_INET6),
    ] {
        let client = UdpSocket::from(inside.socket(domain, libc::SOCK_DGRAM, UDP).unwrap());
        client.connect(address(resolver)).unwrap();
        client.send(b"question").unwrap();
        let mut buffer = [0; 16];
        let (length, from) = ours.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"question");
        ours.send_to(b"answer", from).unwrap();
        // Only an answer that seems to come from the resolver reaches a connected socket.
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 6, "{resolver}");
    }
    let tcp = TcpListener::from(sockets.dns_tcp4);
    let _client = inside.connect(address("9.9.9.9:53")).unwrap();
    tcp.accept().unwrap();
}

#[test]
fn everything_else_is_dropped_and_counted() {
    let inside = TestBox::start();
    let sockets = inside.namespace_sockets();
    configure(&sockets).unwrap();
    let raw4 = inside.socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP).unwrap();
    let raw6 = inside.socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6).unwrap();
    let experimental = inside.socket(libc::AF_INET, libc::SOCK_RAW, 253).unwrap();
    inside.drop_capabilities();

    let denied = |result: std::io::Result<usize>| assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EPERM));
    for (domain, to) in [(libc::AF_INET, "8.8.8.8:443"), (libc::AF_INET6, "[2001:db8::1]:443")] {
        let udp = UdpSocket::from(inside.socket(domain, libc::SOCK_DGRAM, UDP).unwrap());
        denied(udp.send_to(b"quic", address(to)));
    }
    let send = |socket, to: &str| {
        let echo = [8, 0, 0xf7, 0xff, 0, 0, 0, 0];
        denied(rustix::net::sendto(socket, &echo, rustix::net::SendFlags::empty(), &address(to)).map_err(Into::into));
    };
    send(&raw4, "8.8.8.8:0");
    send(&raw6, "[2001:db8::1]:0");
    send(&experimental, "8.8.8.8:0");
    // A listener can't be reached but through the redirect.
    let port = TcpListener::from(sockets.transparent4).local_addr().unwrap().port();
    let direct = inside.socket(libc::AF_INET, libc::SOCK_STREAM, TCP).unwrap();
    rustix::io::ioctl_fionbio(&direct, true).unwrap();
    let _ = rustix::net::connect(&direct, &SocketAddr::from(([127, 0, 0, 1], port)));

    let counts = dropped(&sockets.netfilter).unwrap();
    assert_eq!(counts["udp"], 2, "{counts:?}");
    assert_eq!(counts["icmp"], 1, "{counts:?}");
    assert_eq!(counts["icmpv6"], 1, "{counts:?}");
    assert_eq!(counts["other"], 1, "{counts:?}");
    assert!(counts["listener"] >= 1, "{counts:?}");
}

#[test]
fn no_raw_socket_without_capabilities() {
    let inside = TestBox::start();
    let sockets = inside.namespace_sockets();
    configure(&sockets).unwrap();
    inside.drop_capabilities();
    for (domain, kind, protocol) in [
        (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        (libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
        (libc::AF_PACKET, libc::SOCK_RAW, 0),
        (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
    ] {
        assert!(inside.socket(domain, kind, protocol).is_err(), "{domain} {kind} {protocol}");
    }
}

#[test]
fn a_program_reaches_its_own_servers() {
    let inside = TestBox::start();
    let sockets = inside.namespace_sockets();
    configure(&sockets).unwrap();
    inside.drop_capabilities();
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let local = address(local);
        let domain = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let server = inside.socket(domain, libc::SOCK_STREAM, TCP).unwrap();
        rustix::net::bind(&server, &local).unwrap();
        rustix::net::listen(&server, 1).unwrap();
        let server = TcpListener::from(server);
        let _client = inside.connect(server.local_addr().unwrap()).unwrap();
        let (accepted, peer) = server.accept().unwrap();
        assert!(peer.ip().is_loopback(), "{peer} {accepted:?}");

        let receiver = UdpSocket::from(inside.socket(domain, libc::SOCK_DGRAM, UDP).unwrap());
        rustix::net::bind(&receiver, &local).unwrap();
        let sender = UdpSocket::from(inside.socket(domain, libc::SOCK_DGRAM, UDP).unwrap());
        sender.send_to(b"x", receiver.local_addr().unwrap()).unwrap();
        assert_eq!(receiver.recv(&mut [0; 4]).unwrap(), 1);
    }
}

#[test]
fn a_socket_without_capabilities_is_refused() {
    let inside = TestBox::start();
    let mut sockets = inside.namespace_sockets();
    inside.drop_capabilities();
    sockets.netfilter = inside.socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER).unwrap();
    let error = configure(&sockets).unwrap_err().to_string();
    assert!(error.starts_with("network layer `nftables`"), "{error}");
}

#[test]
fn without_ipv6_nothing_of_it_is_let_out() {
    let inside = TestBox::start();
    let mut sockets = inside.namespace_sockets();
    sockets.ipv6 = None;
    configure(&sockets).unwrap();
    inside.drop_capabilities();
    assert!(inside.connect(address("[2001:db8::9]:443")).is_err());
    let _client = inside.connect(address("203.0.113.9:443")).unwrap();
    TcpListener::from(sockets.transparent4).accept().unwrap();
}

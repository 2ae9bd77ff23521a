//! A box reduced to its network namespace: a forked child that unshares user and network namespace and then makes
//! sockets inside on request. The tests use those sockets from outside, exactly as Bartizan does.
#![allow(unsafe_code, reason = "fork and unshare, and the child may only make system calls")]

use std::io;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use bartizan_net::namespace::{Ipv6Sockets, NamespaceSockets};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

pub const TCP: i32 = libc::IPPROTO_TCP;
pub const UDP: i32 = libc::IPPROTO_UDP;
const DROP_CAPABILITIES: i32 = -1;

/// The child lives as long as this does.
pub struct TestBox {
    broker: OwnedFd,
    child: libc::pid_t,
}

impl TestBox {
    pub fn start() -> Self {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        // SAFETY: the child makes only system calls until it exits.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork: {}", io::Error::last_os_error());
        if child == 0 {
            serve(theirs.as_raw_fd());
        }
        drop(theirs);
        Self { broker: ours, child }
    }

    /// A socket of the box's namespace, made by the child.
    pub fn socket(&self, domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
        let mut request = [0_u8; 12];
        for (field, value) in request.chunks_exact_mut(4).zip([domain, kind, protocol]) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
        rustix::net::send(&self.broker, &request, SendFlags::empty())?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut answer = [0_u8; 4];
        let received =
            recvmsg(&self.broker, &mut [IoSliceMut::new(&mut answer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        assert_eq!(received.bytes, 4, "the box's child is gone");
        match i32::from_ne_bytes(answer) {
            0 => control
                .drain()
                .find_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                    _ => None,
                })
                .ok_or_else(|| io::Error::other("no descriptor")),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// A TCP connection from inside the box.
    pub fn connect(&self, to: SocketAddr) -> io::Result<std::net::TcpStream> {
        let domain = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let socket = self.socket(domain, libc::SOCK_STREAM, TCP)?;
        rustix::net::connect(&socket, &to)?;
        Ok(socket.into())
    }

    /// What the real box's helper does: opens everything Bartizan needs, then gives up its capabilities.
    pub fn namespace_sockets(&self) -> NamespaceSockets {
        let any4: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
        let any6: SocketAddr = (Ipv6Addr::UNSPECIFIED, 0).into();
        NamespaceSockets {
            transparent4: self.bound(any4, libc::SOCK_STREAM),
            proxy: self.bound((Ipv4Addr::UNSPECIFIED, 3128).into(), libc::SOCK_STREAM),
            dns_udp4: self.bound(any4, libc::SOCK_DGRAM),
            dns_tcp4: self.bound(any4, libc::SOCK_STREAM),
            ipv6: Some(Ipv6Sockets {
                transparent: self.bound(any6, libc::SOCK_STREAM),
                dns_udp: self.bound(any6, libc::SOCK_DGRAM),
                dns_tcp: self.bound(any6, libc::SOCK_STREAM),
            }),
            route: self.netlink(libc::NETLINK_ROUTE),
            netfilter: self.netlink(libc::NETLINK_NETFILTER),
            sock_diag: self.netlink(libc::NETLINK_SOCK_DIAG),
        }
    }

    pub fn drop_capabilities(&self) {
        let error = self.socket(DROP_CAPABILITIES, 0, 0).unwrap_err();
        assert_eq!(error.to_string(), "no descriptor");
    }

    fn netlink(&self, protocol: i32) -> OwnedFd {
        self.socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol).unwrap()
    }

    fn bound(&self, address: SocketAddr, kind: i32) -> OwnedFd {
        let domain = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let socket = self.socket(domain, kind, 0).unwrap();
        if address.is_ipv6() {
            rustix::net::sockopt::set_ipv6_v6only(&socket, true).unwrap();
        }
        rustix::net::bind(&socket, &address).unwrap();
        if kind == libc::SOCK_STREAM {
            rustix::net::listen(&socket, 1024).unwrap();
        }
        socket
    }
}

impl Drop for TestBox {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.broker, rustix::net::Shutdown::Both);
        // SAFETY: our own child, waited for once.
        unsafe { libc::waitpid(self.child, std::ptr::null_mut(), 0) };
    }
}

/// The child: makes sockets until the other side is gone. Only system calls from here on.
fn serve(broker: libc::c_int) -> ! {
    // SAFETY: plain system calls on our own process; nothing of the parent's memory is relied on.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::dup2(broker, 3);
        libc::close_range(4, libc::c_uint::MAX, 0);
        let unshared = libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET);
        let broker = BorrowedFd::borrow_raw(3);
        let mut request = [0_u8; 12];
        loop {
            match rustix::net::recv(broker, &mut request, RecvFlags::empty()) {
                Ok((12, _)) => {}
                _ => libc::_exit(0),
            }
            let number =
                |at: usize| i32::from_ne_bytes([request[at], request[at + 1], request[at + 2], request[at + 3]]);
            let mut code = 0_i32;
            let mut socket = -1;
            if unshared != 0 {
                code = libc::EPERM;
            } else if number(0) == DROP_CAPABILITIES {
                let none = rustix::thread::CapabilitySet::empty();
                let sets = rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
                if rustix::thread::set_capabilities(None, sets).is_err() {
                    code = libc::EIO;
                }
            } else {
                socket = libc::socket(number(0), number(4) | libc::SOCK_CLOEXEC, number(8));
                if socket < 0 {
                    code = *libc::__errno_location();
                }
            }
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let owned = (socket >= 0).then(|| OwnedFd::from_raw_fd(socket));
            let fds = [owned.as_ref().map_or(broker, AsFd::as_fd)];
            if owned.is_some() {
                control.push(SendAncillaryMessage::ScmRights(&fds));
            }
            let _ = sendmsg(broker, &[IoSlice::new(&code.to_ne_bytes())], &mut control, SendFlags::empty());
        }
    }
}

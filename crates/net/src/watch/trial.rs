//! Whether the guard holds, tried from inside before anything relies on it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Nothing is sent to the discard port by anything else.
const DISCARD: u16 = 9;
/// Where nothing stops it, loopback answers at once.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Tries to reach this machine's own discard port in every way, which a guard with an empty table refuses. What it did
/// not refuse; nothing if it holds.
#[must_use]
pub fn trial() -> Vec<String> {
    let mut through = Vec::new();
    let addresses =
        [SocketAddr::from((Ipv4Addr::LOCALHOST, DISCARD)), SocketAddr::from((Ipv6Addr::LOCALHOST, DISCARD))];
    for address in addresses {
        let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        let from = SocketAddr::new(address.ip(), 0);
        let datagram = match UdpSocket::bind(from) {
            Ok(socket) => socket.send_to(b"bartizan", address).map(drop),
            // Without the family there is nothing to hold.
            Err(_) if address.is_ipv6() => continue,
            Err(error) => Err(error),
        };
        let attempts = [("TCP", TcpStream::connect_timeout(&address, TIMEOUT).map(drop)), ("UDP", datagram)];
        for (protocol, attempt) in attempts {
            if !was_refused(&attempt) {
                through.push(format!("{protocol} over {family}"));
            }
        }
    }
    through
}

fn was_refused(attempt: &io::Result<()>) -> bool {
    attempt.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
}

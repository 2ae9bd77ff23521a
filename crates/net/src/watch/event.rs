//! What the guard's programs tell, from the kernel's bytes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Happened {
    /// A connection was refused before it was made.
    ConnectionRefused,
    /// A datagram was refused before it was sent.
    DatagramRefused,
    /// A packet was dropped: of a connection that was open before, of a reply, of something that is neither TCP nor UDP.
    PacketDropped,
    /// A socket that is neither TCP nor UDP was refused; the destination is not known yet.
    SocketRefused,
    /// A connection was let through.
    LetThrough,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What.
    pub happened: Happened,
    /// The process, where the kernel knows it.
    pub pid: Option<u32>,
    /// Its user.
    pub uid: u32,
    /// What the kernel calls it: the first 15 bytes of its program's name.
    pub command: String,
    /// Where to; for a socket without a destination the port is its type.
    pub to: SocketAddr,
    /// Where from, for packets.
    pub from: SocketAddr,
    /// The protocol's number.
    pub protocol: u32,
}

impl Event {
    /// Reads what the programs wrote; nothing where it is not of their form.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        let address = |at: usize| {
            let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
        };
        let port = |at: usize| u16::try_from(number(at)?).ok();
        let happened = match number(12)? {
            1 => Happened::ConnectionRefused,
            2 => Happened::DatagramRefused,
            3 => Happened::PacketDropped,
            4 => Happened::SocketRefused,
            5 => Happened::LetThrough,
            _ => return None,
        };
        let command = bytes.get(48..64)?.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Self {
            happened,
            pid: Some(number(8)?).filter(|pid| *pid != 0),
            uid: number(40)?,
            command: String::from_utf8_lossy(command).into_owned(),
            to: SocketAddr::new(address(16)?, port(32)?),
            from: SocketAddr::new(address(64)?, port(44)?),
            protocol: number(36)?,
        })
    }

    /// The protocol's name.
    #[must_use]
    pub fn protocol_name(&self) -> String {
        match self.protocol {
            6 => "TCP".to_owned(),
            17 => "UDP".to_owned(),
            1 => "ICMP".to_owned(),
            58 => "ICMPv6".to_owned(),
            132 => "SCTP".to_owned(),
            other => format!("protocol {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_whole_events() {
        let mut bytes = vec![0_u8; 80];
        bytes[8..12].copy_from_slice(&7_u32.to_ne_bytes());
        bytes[12..16].copy_from_slice(&1_u32.to_ne_bytes());
        bytes[16..32].copy_from_slice(&Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, 0xcb00, 0x7105]).octets());
        bytes[32..36].copy_from_slice(&443_u32.to_ne_bytes());
        bytes[36..40].copy_from_slice(&6_u32.to_ne_bytes());
        bytes[48..52].copy_from_slice(b"curl");
        let event = Event::parse(&bytes).unwrap();
        assert_eq!(event.to, "203.0.113.5:443".parse().unwrap());
        assert_eq!((event.pid, event.command.as_str()), (Some(7), "curl"));
        for length in 0..bytes.len() {
            assert_eq!(Event::parse(&bytes[..length]), None, "{length}");
        }
        bytes[12] = 99;
        assert_eq!(Event::parse(&bytes), None);
    }
}

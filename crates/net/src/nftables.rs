//! The box's nftables: the whole rule set as data at the top, its encoding for the kernel below.
//!
//! Two chains matter. `redirect` turns every new TCP connection and every DNS question to our listeners,
//! except what a program says to itself on its own loopback. `guard` accepts what was redirected and that
//! loopback traffic; everything else is counted by kind and dropped, which the sender sees at once (`EPERM`).

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use crate::netlink::{ACK, APPEND, Batch, Body, CREATE, DUMP, EXCLUSIVE, NetlinkError, REQUEST, attributes};

/// The table's name, as `nft list ruleset` shows it inside the box.
const TABLE: &str = "bartizan";

/// Counters of what was dropped.
const COUNTERS: [&str; 6] = ["udp", "icmp", "icmpv6", "listener", "tcp", "other"];

/// The ports the rules send connections to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) ipv4: FamilyPorts,
    /// Absent where the kernel has no IPv6.
    pub(crate) ipv6: Option<FamilyPorts>,
}

/// Those of one address family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FamilyPorts {
    pub(crate) transparent: u16,
    pub(crate) dns_udp: u16,
    pub(crate) dns_tcp: u16,
}

impl Ports {
    fn families(self) -> impl Iterator<Item = (Family, FamilyPorts)> {
        [(Family::V4, Some(self.ipv4)), (Family::V6, self.ipv6)]
            .into_iter()
            .filter_map(|(family, ports)| ports.map(|ports| (family, ports)))
    }
}

#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

#[derive(Clone, Copy)]
enum Match {
    Family(Family),
    Protocol(u8),
    DestinationPort(u16),
    OwnLoopback(Family),
    WasRedirected,
    KnownFlow,
}

#[derive(Clone, Copy)]
enum Act {
    Redirect(u16),
    Accept,
    Drop,
    CountAndDrop(&'static str),
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const DNS_PORT: u16 = 53;

fn redirect_rules(ports: Ports) -> Vec<(Vec<Match>, Act)> {
    use Match::{DestinationPort, Family as Of, OwnLoopback, Protocol};
    let mut rules = Vec::new();
    for (family, FamilyPorts { transparent, dns_udp, dns_tcp }) in ports.families() {
        // DNS first: a resolver address on loopback (127.0.0.53) is ours too.
        rules.push((vec![Of(family), Protocol(UDP), DestinationPort(DNS_PORT)], Act::Redirect(dns_udp)));
        rules.push((vec![Of(family), Protocol(TCP), DestinationPort(DNS_PORT)], Act::Redirect(dns_tcp)));
        rules.push((vec![Of(family), OwnLoopback(family)], Act::Accept));
        rules.push((vec![Of(family), Protocol(TCP)], Act::Redirect(transparent)));
    }
    rules
}

fn guard_rules(ports: Ports) -> Vec<(Vec<Match>, Act)> {
    use Match::{DestinationPort, Family as Of, KnownFlow, OwnLoopback, Protocol, WasRedirected};
    let mut rules = vec![(vec![WasRedirected], Act::Accept), (vec![KnownFlow], Act::Accept)];
    // A listener reached without the redirect would see a connection whose destination is itself.
    for (family, ports) in ports.families() {
        for (protocol, port) in [(TCP, ports.transparent), (TCP, ports.dns_tcp), (UDP, ports.dns_udp)] {
            let matches = vec![Of(family), Protocol(protocol), DestinationPort(port)];
            rules.push((matches, Act::CountAndDrop("listener")));
        }
    }
    for family in [Family::V4, Family::V6] {
        for protocol in [TCP, UDP] {
            rules.push((vec![Of(family), OwnLoopback(family), Protocol(protocol)], Act::Accept));
        }
    }
    for (protocol, counter) in [(UDP, "udp"), (ICMP, "icmp"), (ICMPV6, "icmpv6"), (TCP, "tcp")] {
        rules.push((vec![Protocol(protocol)], Act::CountAndDrop(counter)));
    }
    rules.push((vec![], Act::CountAndDrop("other")));
    rules
}

/// Loads the whole rule set in one transaction: all of it or none.
pub(crate) fn load(socket: &OwnedFd, ports: Ports) -> Result<(), NetlinkError> {
    let mut batch = Batch::default();
    batch.message(BATCH_BEGIN, REQUEST, |body| body.raw(&batch_header()));
    batch.message(subsystem(NEW_TABLE), REQUEST | ACK | CREATE | EXCLUSIVE, |body| {
        body.raw(&header());
        body.text(1, TABLE);
    });
    for counter in COUNTERS {
        batch.message(subsystem(NEW_OBJECT), REQUEST | ACK | CREATE | EXCLUSIVE, |body| {
            body.raw(&header());
            body.text(1, TABLE);
            body.text(2, counter);
            body.number(3, OBJECT_COUNTER);
            body.nested(4, |_| {});
        });
    }
    chain(&mut batch, "redirect", "nat", HOOK_OUTPUT, PRIORITY_DESTINATION_NAT, ACCEPT);
    chain(&mut batch, "guard", "filter", HOOK_OUTPUT, PRIORITY_FILTER, DROP);
    chain(&mut batch, "transit", "filter", HOOK_FORWARD, PRIORITY_FILTER, DROP);
    for (name, rules) in [("redirect", redirect_rules(ports)), ("guard", guard_rules(ports))] {
        for (matches, act) in rules {
            batch.message(subsystem(NEW_RULE), REQUEST | ACK | CREATE | APPEND, |body| {
                body.raw(&header());
                body.text(1, TABLE);
                body.text(2, name);
                body.nested(4, |list| {
                    for one in &matches {
                        encode_match(list, *one);
                    }
                    encode_act(list, act);
                });
            });
        }
    }
    batch.message(BATCH_END, REQUEST, |body| body.raw(&batch_header()));
    batch.execute(socket)
}

/// How many packets each counter has dropped.
pub(crate) fn counters(socket: &OwnedFd) -> Result<BTreeMap<String, i64>, NetlinkError> {
    let mut batch = Batch::starting_at(COUNTER_SEQUENCE);
    batch.message(subsystem(GET_OBJECT), REQUEST | DUMP, |body| {
        body.raw(&header());
        body.text(1, TABLE);
        body.number(3, OBJECT_COUNTER);
    });
    let mut counters = BTreeMap::new();
    batch.query(socket, true, |message| {
        let (mut name, mut packets) = (None, None);
        for (kind, value) in attributes(message.payload.get(4..).unwrap_or_default()) {
            match kind {
                2 => name = std::str::from_utf8(value).ok().map(|name| name.trim_end_matches('\0').to_owned()),
                4 => packets = attributes(value).find(|(kind, _)| *kind == 2).and_then(|(_, value)| be_u64(value)),
                _ => {}
            }
        }
        if let (Some(name), Some(packets)) = (name, packets) {
            counters.insert(name, i64::try_from(packets).unwrap_or(i64::MAX));
        }
    })?;
    if counters.len() == COUNTERS.len() { Ok(counters) } else { Err(NetlinkError::Answer) }
}

// Numbers from linux/netfilter/nfnetlink.h, nf_tables.h and nf_conntrack_common.h.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u8 = 10;
const NEW_TABLE: u8 = 0;
const NEW_CHAIN: u8 = 3;
const NEW_RULE: u8 = 6;
const NEW_OBJECT: u8 = 18;
const GET_OBJECT: u8 = 19;
const FAMILY_INET: u8 = 1;
const OBJECT_COUNTER: u32 = 1;
const HOOK_FORWARD: u32 = 2;
const HOOK_OUTPUT: u32 = 3;
const PRIORITY_DESTINATION_NAT: i32 = -100;
const PRIORITY_FILTER: i32 = 0;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const REGISTER_VERDICT: u32 = 0;
const REGISTER: u32 = 1;
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
const CT_ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const CT_STATUS_REDIRECTED: u32 = 1 << 5;
const PAYLOAD_NETWORK: u32 = 1;
const PAYLOAD_TRANSPORT: u32 = 2;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
/// The counters are read once at the end; their answer must not be mistaken for one from the set-up.
const COUNTER_SEQUENCE: u32 = 1 << 16;

fn subsystem(message: u8) -> u16 {
    u16::from_be_bytes([SUBSYSTEM, message])
}

fn header() -> [u8; 4] {
    [FAMILY_INET, 0, 0, 0]
}

fn batch_header() -> [u8; 4] {
    [0, 0, 0, SUBSYSTEM]
}

fn be_u64(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn chain(batch: &mut Batch, name: &str, kind: &str, hook: u32, priority: i32, policy: u32) {
    batch.message(subsystem(NEW_CHAIN), REQUEST | ACK | CREATE | EXCLUSIVE, |body| {
        body.raw(&header());
        body.text(1, TABLE);
        body.text(3, name);
        body.nested(4, |body| {
            body.number(1, hook);
            body.number(2, priority.cast_unsigned());
        });
        body.number(5, policy);
        body.text(7, kind);
    });
}

fn encode_match(list: &mut Body<'_>, one: Match) {
    match one {
        Match::Family(family) => {
            meta(list, META_FAMILY);
            let number = match family {
                Family::V4 => 2,
                Family::V6 => 10,
            };
            compare(list, EQUAL, &[number]);
        }
        Match::Protocol(protocol) => {
            meta(list, META_PROTOCOL);
            compare(list, EQUAL, &[protocol]);
        }
        Match::DestinationPort(port) => {
            payload(list, PAYLOAD_TRANSPORT, 2, 2);
            compare(list, EQUAL, &port.to_be_bytes());
        }
        // The first byte of an IPv4 destination, or the whole of an IPv6 one.
        Match::OwnLoopback(Family::V4) => {
            payload(list, PAYLOAD_NETWORK, 16, 1);
            compare(list, EQUAL, &[127]);
        }
        Match::OwnLoopback(Family::V6) => {
            payload(list, PAYLOAD_NETWORK, 24, 16);
            compare(list, EQUAL, &std::net::Ipv6Addr::LOCALHOST.octets());
        }
        Match::WasRedirected => conntrack(list, CT_STATUS, CT_STATUS_REDIRECTED),
        Match::KnownFlow => conntrack(list, CT_STATE, CT_ESTABLISHED_OR_RELATED),
    }
}

fn encode_act(list: &mut Body<'_>, act: Act) {
    match act {
        Act::Redirect(port) => {
            expression(list, "immediate", |body| {
                body.number(1, REGISTER);
                body.nested(2, |data| data.attribute(1, &port.to_be_bytes()));
            });
            expression(list, "redir", |body| body.number(1, REGISTER));
        }
        Act::Accept => verdict(list, ACCEPT),
        Act::Drop => verdict(list, DROP),
        Act::CountAndDrop(counter) => {
            expression(list, "objref", |body| {
                body.number(1, OBJECT_COUNTER);
                body.text(2, counter);
            });
            encode_act(list, Act::Drop);
        }
    }
}

fn expression(list: &mut Body<'_>, name: &str, fill: impl FnOnce(&mut Body<'_>)) {
    list.nested(1, |element| {
        element.text(1, name);
        element.nested(2, fill);
    });
}

fn meta(list: &mut Body<'_>, key: u32) {
    expression(list, "meta", |body| {
        body.number(2, key);
        body.number(1, REGISTER);
    });
}

fn payload(list: &mut Body<'_>, base: u32, offset: u32, length: u32) {
    expression(list, "payload", |body| {
        body.number(1, REGISTER);
        body.number(2, base);
        body.number(3, offset);
        body.number(4, length);
    });
}

fn compare(list: &mut Body<'_>, operation: u32, value: &[u8]) {
    expression(list, "cmp", |body| {
        body.number(1, REGISTER);
        body.number(2, operation);
        body.nested(3, |data| data.attribute(1, value));
    });
}

fn conntrack(list: &mut Body<'_>, key: u32, mask: u32) {
    expression(list, "ct", |body| {
        body.number(2, key);
        body.number(1, REGISTER);
    });
    expression(list, "bitwise", |body| {
        body.number(1, REGISTER);
        body.number(2, REGISTER);
        body.number(3, 4);
        body.nested(4, |data| data.attribute(1, &mask.to_ne_bytes()));
        body.nested(5, |data| data.attribute(1, &[0; 4]));
    });
    compare(list, NOT_EQUAL, &[0; 4]);
}

fn verdict(list: &mut Body<'_>, code: u32) {
    expression(list, "immediate", |body| {
        body.number(1, REGISTER_VERDICT);
        body.nested(2, |data| data.nested(2, |verdict| verdict.number(1, code)));
    });
}

//! Addresses of machines: IPv4, IPv6 and network cards.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::bytes::{at, before, number, part, run_end, run_start};
use super::context::is_near;
use super::groups::{Groups, is_end, is_start};
use super::{Found, Kind};

const WORDS: &[&str] = &[
    "ip", "ipv4", "ipv6", "address", "host", "addr", "client", "remote", "from", "server", "login", "logged",
    "visitor", "inet", "peer",
];

/// Four numbers up to 255 with points between.
pub(super) fn find_v4(text: &[u8], groups: &Groups, first: usize) -> Option<Found> {
    let mut octets = [0_u8; 4];
    for (index, octet) in octets.iter_mut().enumerate() {
        let range = groups.range(first + index);
        let written = part(text, range.clone());
        let has_zeros = written.len() > 1 && written.first() == Some(&b'0');
        if written.is_empty() || written.len() > 3 || has_zeros || (index < 3 && at(text, range.end) != b'.') {
            return None;
        }
        *octet = u8::try_from(number(written)?).ok()?;
    }
    let span = groups.range(first).start..groups.range(first + 3).end;
    // `10.0.0.0/8` is a network, `1.0.168.192.in-addr.arpa` a name, and 1.3, 2.5 and 2.16 begin identifiers of objects.
    let rest = part(text, span.end..text.len().min(span.end + 8));
    let is_other = matches!(rest, [b'/', b'0'..=b'9', ..])
        || rest == b".in-addr"
        || matches!(octets, [_, _, 0, 0] | [1, 0..=3, ..] | [2, 5 | 16 | 23, ..]);
    let is_alone = !is_other && is_start(text, span.start) && is_end(text, span.end) && !is_version(text, span.start);
    if !is_alone {
        return None;
    }
    let address = Ipv4Addr::from(octets);
    let is_near = is_near(text, span.start, span.end, WORDS);
    let score = if address.is_loopback()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_documentation()
        || octets.first().is_some_and(|first| *first >= 224 || *first == 0)
    {
        // Nobody's address.
        return None;
    } else if address.is_private() || address.is_link_local() {
        // It names a machine only to those who share its network.
        PRIVATE_SCORE
    } else if octets.iter().any(|octet| *octet >= 64) {
        if is_near { 90 } else { 70 }
    } else if is_near {
        // As small as the parts of a version or of a chapter's number.
        60
    } else {
        return None;
    };
    Some(Found { kind: Kind::IpAddress, score, span })
}

/// Below what is reported.
const PRIVATE_SCORE: u8 = 40;

/// Whether what stands before says that this is a version.
fn is_version(text: &[u8], start: usize) -> bool {
    const WORDS: &[&str] = &["version", "release", "ver", "chrome", "rev", "build", "section", "oid", "update"];
    super::context::is_before(text, start, 24, WORDS)
        || matches!(before(text, start), b'/' | b'^' | b'~' | b'<')
        || part(text, start.saturating_sub(2)..start) == b"=="
            && !super::context::is_before(text, start, 24, &["http", "ip", "addr", "host", "client"])
}

/// Groups of hexadecimal digits with colons around this word, as IPv6 and network cards have them.
pub(super) fn find_colons(text: &[u8], start: usize, end: usize) -> Option<Found> {
    let separator = match (at(text, end), before(text, start)) {
        (b':', _) | (_, b':') => b':',
        (b'-', _) | (_, b'-') => b'-',
        _ => return None,
    };
    if end - start > 4 || !part(text, start..end).iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == separator;
    let first = run_start(text, start, ADDRESS_BYTES_MAX, is_part);
    let last = run_end(text, start, ADDRESS_BYTES_MAX, is_part);
    let (mut first, mut last) = (first, last);
    // A colon before or after belongs to the sentence, two belong to the address.
    if at(text, first) == separator && at(text, first + 1) != separator {
        first += 1;
    }
    if last > 0 && at(text, last - 1) == separator && (last < 2 || at(text, last - 2) != separator) {
        last -= 1;
    }
    let bounded = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'_';
    if !bounded(before(text, first)) || !bounded(at(text, last)) || first >= last {
        return None;
    }
    let written = part(text, first..last);
    if let Some(score) = network_card(written, separator) {
        return Some(Found { kind: Kind::MacAddress, score, span: first..last });
    }
    if separator != b':' {
        return None;
    }
    let address = Ipv6Addr::from_str(std::str::from_utf8(written).ok()?).ok()?;
    let segments = address.segments();
    let documented = segments.starts_with(&[0x2001, 0x0db8]);
    let is_local = address.is_unicast_link_local() || address.is_unique_local();
    let is_somebodys =
        !address.is_loopback() && !address.is_unspecified() && !address.is_multicast() && !documented && !is_local;
    // `1::2` is an address to a machine and a path to most readers.
    let is_long = written.iter().filter(|byte| **byte == b':').count() >= 4 || written.len() >= 14;
    let digits = written.iter().filter(|byte| byte.is_ascii_digit()).count();
    let score = if is_near(text, first, last, WORDS) { 90 } else { 70 };
    (is_somebodys && is_long && digits >= 3).then_some(Found { kind: Kind::IpAddress, score, span: first..last })
}

/// An IPv6 address written in full has 39.
const ADDRESS_BYTES_MAX: usize = 40;

/// Six pairs, not all the same.
fn network_card(written: &[u8], separator: u8) -> Option<u8> {
    let is_form = written.len() == 17
        && written.iter().enumerate().all(|(index, byte)| match index % 3 {
            2 => *byte == separator,
            _ => byte.is_ascii_hexdigit(),
        });
    let differ = written.iter().filter(|byte| **byte != separator && **byte != at(written, 0)).count();
    (is_form && differ >= 4).then_some(65)
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check;

    #[test]
    fn finds_addresses() {
        check("from «ip-address:41.173.96.26» port 22");
        check("client «ip-address:12.34.56.7».");
        check("addr «ip-address:6e40:4041:c617:e898:c11:40d2:c669:2eb4»");
        check("[«ip-address:2a00:1450:4001:81b::200e»]:443");
        check("at «mac-address:3c:22:fb:a1:09:5e» and «mac-address:3C-22-FB-A1-09-5E»");
    }

    #[test]
    fn leaves_versions_and_nobodys_addresses() {
        check("127.0.0.1 0.0.0.0 255.255.255.0 192.0.2.7 224.0.0.251");
        check("version 99.100.101.102");
        check("1.2.3.4 and my ip 10.1.2.3");
        check("1.3.6.1.4.1.311.60 and 300.100.100.100");
        check("address 41.173.0.0, 41.173.96.0/24, 1.3.101.112, 1.0.168.192.in-addr.arpa, fe80::1234:5678:9abc:1");
        check("::1 2001:db8::8a2e:370:7334 std::u8::MAX 12:34:56 00:00:00:00:00:00");
        check("commit abcd:1234");
    }
}

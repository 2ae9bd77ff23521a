//! Which addresses a name may lead to. Every address a name resolves to is put into a class, also the one hidden
//! in an address of a transition mechanism, and only public ones may be dialled without the policy saying so.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are those of the IANA special-purpose registries")]
pub enum AddressClass {
    Public,
    Unspecified,
    Loopback,
    Private,
    SharedCarrier,
    LinkLocal,
    Metadata,
    Multicast,
    Documentation,
    Benchmark,
    Reserved,
}

impl AddressClass {
    /// Where a host can be but the internet: what a policy may vouch for with `AllowPrivate`. The rest is no
    /// place for a connection, and the cloud's metadata service never is.
    #[must_use]
    pub fn is_local(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::SharedCarrier | Self::LinkLocal)
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::SharedCarrier => "carrier-shared",
            Self::LinkLocal => "link-local",
            Self::Metadata => "cloud metadata",
            Self::Multicast => "multicast",
            Self::Documentation => "documentation",
            Self::Benchmark => "benchmark",
            Self::Reserved => "reserved",
        })
    }
}

/// The class of this address, by the IANA special-purpose address registries.
#[must_use]
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify4(address),
        IpAddr::V6(address) => classify6(address),
    }
}

fn classify4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        // AWS, GCP, Azure, Oracle, DigitalOcean; Alibaba; Oracle's older one.
        [169, 254, 169, 254] | [100, 100, 100, 200] | [192, 0, 0, 192] => AddressClass::Metadata,
        // Azure's wire server answers like a metadata service from a public-looking address.
        [168, 63, 129, 16] => AddressClass::Metadata,
        // ECS task credentials live beside the usual metadata address.
        [169, 254, 170, _] => AddressClass::Metadata,
        [0, 0, 0, 0] => AddressClass::Unspecified,
        [0, ..] => AddressClass::Reserved,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::SharedCarrier,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [198, 18..=19, ..] => AddressClass::Benchmark,
        [192, 0, 0, _] | [192, 88, 99, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] => {
            AddressClass::Reserved
        }
        [224..=239, ..] => AddressClass::Multicast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn classify6(address: Ipv6Addr) -> AddressClass {
    if let Some(embedded) = embedded4(address) {
        // A transition address is never plainly public: it says where a translator would send it.
        return match classify4(embedded) {
            AddressClass::Public => AddressClass::Reserved,
            class => class,
        };
    }
    match address.segments() {
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => AddressClass::Metadata,
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0xfc00..=0xfdff, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        // Site-local: deprecated, still somebody's inside.
        [0xfec0..=0xfeff, ..] => AddressClass::Private,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressClass::Documentation,
        [0x2001, 0x0002, 0, ..] => AddressClass::Benchmark,
        // IETF protocol assignments without those that are globally reachable are all alike to us.
        [0x2001, 0..=0x01ff, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, NAT64, 6to4, Teredo, ISATAP.
fn embedded4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x0064, 0xff9b, 1, _, _, _, high, low]
        | [_, _, _, _, 0x0000 | 0x0200, 0x5efe, high, low]
        | [0x2002, high, low, ..] => Some(from(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(from(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: &str) {
        assert_eq!(classify(address.parse().unwrap()).to_string(), expected, "{address}");
    }

    #[test]
    fn public_addresses_are_public() {
        for address in
            ["93.184.216.34", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "198.17.1.1"]
        {
            check(address, "public");
        }
        for address in ["2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888"] {
            check(address, "public");
        }
    }

    #[test]
    fn special_addresses_are_named() {
        for (address, class) in [
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "reserved"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("10.0.0.1", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("100.64.0.1", "carrier-shared"),
            ("169.254.1.1", "link-local"),
            ("169.254.169.254", "cloud metadata"),
            ("100.100.100.200", "cloud metadata"),
            ("192.0.2.1", "documentation"),
            ("198.18.0.1", "benchmark"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("fd12::1", "private"),
            ("fec0::1", "private"),
            ("fe80::1", "link-local"),
            ("fd00:ec2::254", "cloud metadata"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "documentation"),
            ("100::1", "reserved"),
            ("4000::1", "reserved"),
        ] {
            check(address, class);
        }
    }

    #[test]
    fn transition_addresses_show_what_they_hide() {
        for (address, class) in [
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "cloud metadata"),
            ("::ffff:8.8.8.8", "reserved"),
            ("::10.0.0.1", "private"),
            ("64:ff9b::10.0.0.1", "private"),
            ("64:ff9b:1::127.0.0.1", "loopback"),
            ("2002:7f00:1::", "loopback"),
            ("2002:a9fe:a9fe::1", "cloud metadata"),
            ("2001:0:1:2:3:4:80ff:fffe", "loopback"),
            ("2606:4700::5efe:10.0.0.1", "private"),
        ] {
            check(address, class);
        }
    }
}

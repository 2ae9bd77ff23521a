//! Addresses: ranges, and which addresses are no ordinary place on the internet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses, e.g. `10.0.0.0/8`; a single address is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    address: IpAddr,
    prefix: u8,
}

impl Range {
    /// The range of this one address.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// A range; the address has no bits set beyond the prefix.
    pub(crate) const fn of(address: IpAddr, prefix: u8) -> Self {
        Self { address, prefix }
    }

    /// Its first address.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits are fixed.
    pub(crate) fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Both halves of it, unless it is one address.
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        let prefix = self.prefix + 1;
        let upper = match self.address {
            IpAddr::V4(four) => {
                IpAddr::V4(Ipv4Addr::from_bits(four.to_bits() | 1_u32.checked_shl(32_u32.checked_sub(prefix.into())?)?))
            }
            IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(
                six.to_bits() | 1_u128.checked_shl(128_u32.checked_sub(prefix.into())?)?,
            )),
        };
        Some([Self { address: self.address, prefix }, Self { address: upper, prefix }])
    }

    /// Reads `address/prefix`; the message says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let problem = || format!("`{text}` is no address range; write one such as `10.0.0.0/8`");
        let (address, prefix) = text.split_once('/').ok_or_else(problem)?;
        let address: IpAddr = address.parse().map_err(|_| problem())?;
        let prefix: u8 = prefix.parse().map_err(|_| problem())?;
        let range = Self { address, prefix };
        if prefix > if address.is_ipv4() { 32 } else { 128 } {
            return Err(problem());
        }
        if range.bits() & !range.mask() != 0 {
            return Err(format!("`{text}` has bits set beyond its prefix; write the range's first address"));
        }
        if matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some()) {
            return Err(format!("`{text}`: write IPv4 ranges in their own form"));
        }
        Ok(range)
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && (bits(address) ^ self.bits()) & self.mask() == 0
    }

    /// Whether every address of `other` lies in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// Whether it holds one address only.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.prefix == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// How many leading bits it fixes, of 128.
    pub(crate) fn fixed_bits(&self) -> usize {
        usize::from(self.prefix) + if self.address.is_ipv4() { 96 } else { 0 }
    }

    fn bits(&self) -> u128 {
        bits(self.address)
    }

    fn mask(&self) -> u128 {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        let free = u32::from(width - self.prefix.min(width));
        u128::MAX.checked_shl(free).unwrap_or(0)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(four.to_bits()),
        IpAddr::V6(six) => six.to_bits(),
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            self.address.fmt(formatter)
        } else {
            write!(formatter, "{}/{}", self.address, self.prefix)
        }
    }
}

/// Why an address is no ordinary place on the internet. The first three can be vouched for by a rule that
/// names the range or says `private: true`; the others only by a rule that names the very address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Special {
    /// Somebody's own network: RFC 1918, RFC 4193, RFC 6598.
    Private,
    /// This machine.
    Loopback,
    /// Documentation, benchmarks, other ranges without a public use.
    Reserved,
    /// This cable only.
    LinkLocal,
    /// A cloud's metadata service, which hands out credentials to whoever asks.
    Metadata,
    /// No address at all; many systems take it for this machine.
    Unspecified,
    /// Many receivers at once.
    Multicast,
}

impl Special {
    /// The guard's name in verdicts.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Private => "egress.private",
            Self::Loopback => "egress.loopback",
            Self::Reserved => "egress.reserved",
            Self::LinkLocal => "egress.link_local",
            Self::Metadata => "egress.metadata",
            Self::Unspecified => "egress.unspecified",
            Self::Multicast => "egress.multicast",
        }
    }

    /// What it is, for a sentence.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Private => "a private address",
            Self::Loopback => "a loopback address",
            Self::Reserved => "an address without a public use",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud metadata address, which hands out credentials",
            Self::Unspecified => "the unspecified address",
            Self::Multicast => "a multicast address",
        }
    }

    /// Whether a rule over a whole range can vouch for it.
    #[must_use]
    pub fn range_may_vouch(self) -> bool {
        matches!(self, Self::Private | Self::Loopback | Self::Reserved)
    }
}

const fn four(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Range {
    Range { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn six(bits: u128, prefix: u8) -> Range {
    Range { address: IpAddr::V6(Ipv6Addr::from_bits(bits)), prefix }
}

/// IANA's special-purpose registries and the large clouds' metadata services; the narrower range first.
const SPECIAL: [(Range, Special); 40] = [
    (four(169, 254, 169, 254, 32), Special::Metadata),
    (four(169, 254, 170, 2, 32), Special::Metadata),
    (four(169, 254, 170, 23, 32), Special::Metadata),
    (four(100, 100, 100, 200, 32), Special::Metadata),
    (four(192, 0, 0, 192, 32), Special::Metadata),
    (four(168, 63, 129, 16, 32), Special::Metadata),
    (four(0, 0, 0, 0, 8), Special::Unspecified),
    (four(10, 0, 0, 0, 8), Special::Private),
    (four(100, 64, 0, 0, 10), Special::Private),
    (four(127, 0, 0, 0, 8), Special::Loopback),
    (four(169, 254, 0, 0, 16), Special::LinkLocal),
    (four(172, 16, 0, 0, 12), Special::Private),
    (four(192, 0, 0, 0, 24), Special::Reserved),
    (four(192, 0, 2, 0, 24), Special::Reserved),
    (four(192, 88, 99, 0, 24), Special::Reserved),
    (four(192, 168, 0, 0, 16), Special::Private),
    (four(198, 18, 0, 0, 15), Special::Reserved),
    (four(198, 51, 100, 0, 24), Special::Reserved),
    (four(203, 0, 113, 0, 24), Special::Reserved),
    (four(224, 0, 0, 0, 4), Special::Multicast),
    (four(240, 0, 0, 0, 4), Special::Reserved),
    (six(0xfd00_0ec2_0000_0000_0000_0000_0000_0254, 128), Special::Metadata),
    (six(0xfd00_0ec2_0000_0000_0000_0000_0000_0023, 128), Special::Metadata),
    (six(0xfd20_00ce_0000_0000_0000_0000_0000_0254, 128), Special::Metadata),
    (six(0xfd00_00c1_0000_0000_a9fe_a9fe_0000_0000, 96), Special::Metadata),
    (six(0, 128), Special::Unspecified),
    (six(1, 128), Special::Loopback),
    (six(0x0064_ff9b_0001_0000_0000_0000_0000_0000, 48), Special::Private),
    (six(0x0100_0000_0000_0000_0000_0000_0000_0000, 64), Special::Reserved),
    (six(0x2001_0000_0000_0000_0000_0000_0000_0000, 32), Special::Reserved),
    (six(0x2001_0002_0000_0000_0000_0000_0000_0000, 48), Special::Reserved),
    (six(0x2001_0db8_0000_0000_0000_0000_0000_0000, 32), Special::Reserved),
    (six(0x2001_0010_0000_0000_0000_0000_0000_0000, 28), Special::Reserved),
    (six(0x2001_0020_0000_0000_0000_0000_0000_0000, 28), Special::Reserved),
    (six(0x3fff_0000_0000_0000_0000_0000_0000_0000, 20), Special::Reserved),
    (six(0x5f00_0000_0000_0000_0000_0000_0000_0000, 16), Special::Reserved),
    (six(0xfc00_0000_0000_0000_0000_0000_0000_0000, 7), Special::Private),
    (six(0xfe80_0000_0000_0000_0000_0000_0000_0000, 10), Special::LinkLocal),
    (six(0xfec0_0000_0000_0000_0000_0000_0000_0000, 10), Special::Private),
    (six(0xff00_0000_0000_0000_0000_0000_0000_0000, 8), Special::Multicast),
];

/// Whether an address is no ordinary place on the internet. IPv4 addresses carried in IPv6 ones (mapped,
/// compatible, NAT64, 6to4) are judged by what they carry.
#[must_use]
pub fn special(address: IpAddr) -> Option<Special> {
    let address = address.to_canonical();
    let named = SPECIAL.iter().find(|(range, _)| range.contains(address)).map(|(_, special)| *special);
    named.or_else(|| carried(address).and_then(|inner| special(IpAddr::V4(inner))))
}

/// Every special range.
pub(crate) fn special_ranges() -> impl Iterator<Item = Range> {
    SPECIAL.iter().map(|(range, _)| *range)
}

/// The range of special addresses that holds all of this one, if there is one.
pub(crate) fn special_range(range: &Range) -> Option<Special> {
    SPECIAL.iter().find(|(known, _)| known.covers(range)).map(|(_, special)| *special)
}

fn carried(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(six_address) = address else { return None };
    let bits = six_address.to_bits();
    let low = Ipv4Addr::from_bits(u32::try_from(bits & 0xffff_ffff).ok()?);
    let compatible = bits >> 32 == 0;
    let nat64 = bits >> 32 == 0x0064_ff9b_0000_0000_0000_0000;
    if compatible || nat64 {
        return Some(low);
    }
    let six_to_four = bits >> 112 == 0x2002;
    six_to_four.then(|| Ipv4Addr::from_bits(u32::try_from((bits >> 80) & 0xffff_ffff).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_special_places() {
        let kind = |text: &str| special(text.parse().unwrap());
        for (text, expected) in [
            ("10.1.2.3", Special::Private),
            ("127.9.9.9", Special::Loopback),
            ("::1", Special::Loopback),
            ("::ffff:127.0.0.1", Special::Loopback),
            ("64:ff9b::7f00:1", Special::Loopback),
            ("2002:a9fe:a9fe::1", Special::Metadata),
            ("169.254.169.254", Special::Metadata),
            ("169.254.1.1", Special::LinkLocal),
            ("fe80::1", Special::LinkLocal),
            ("fd00:ec2::254", Special::Metadata),
            ("0.0.0.0", Special::Unspecified),
            ("::", Special::Unspecified),
            ("224.0.0.1", Special::Multicast),
            ("255.255.255.255", Special::Reserved),
            ("100.64.0.1", Special::Private),
        ] {
            assert_eq!(kind(text), Some(expected), "{text}");
        }
        for ordinary in ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "172.32.0.1"] {
            assert_eq!(kind(ordinary), None, "{ordinary}");
        }
    }

    #[test]
    fn ranges_are_exact() {
        assert!(Range::parse("10.0.0.0/8").unwrap().contains("10.255.0.1".parse().unwrap()));
        assert!(!Range::parse("10.0.0.0/8").unwrap().contains("11.0.0.0".parse().unwrap()));
        assert!(Range::parse("0.0.0.0/0").unwrap().contains("1.2.3.4".parse().unwrap()));
        assert!(!Range::parse("0.0.0.0/0").unwrap().contains("::1".parse().unwrap()));
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "x/8", "::ffff:0:0/96", "1.2.3.4"] {
            assert!(Range::parse(bad).is_err(), "{bad}");
        }
    }
}

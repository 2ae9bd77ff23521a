//! Hosts in one form: an address however it is disguised, or a name in lower-case ASCII. What browsers and
//! resolvers would read as an address is never taken for a name (WHATWG URL, "host parsing").

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::Range;
use crate::pattern::rank;
use crate::place::quoted;

/// Longest name, RFC 1035.
const NAME_BYTES_MAX: usize = 253;
/// Longest label, RFC 1035.
const LABEL_BYTES_MAX: usize = 63;

/// A host in its one form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A name: lower case, ASCII (punycode for the rest), no final dot.
    Name(Cow<'a, str>),
    /// An address; IPv4 mapped into IPv6 is IPv4.
    Address(IpAddr),
}

impl<'a> Host<'a> {
    /// The one form of this text; `None` when it is neither a name nor an address.
    #[must_use]
    pub fn canonical(text: &'a str) -> Option<Self> {
        if text.len() > 4 * NAME_BYTES_MAX {
            return None;
        }
        if let Some(inside) = text.strip_prefix('[') {
            return six(inside.strip_suffix(']')?);
        }
        if text.contains(':') {
            return six(text);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let name: Cow<'a, str> = if is_plain(text) {
            Cow::Borrowed(text)
        } else if text.is_ascii()
            && !text.split('.').any(|label| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--")))
        {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            let ascii = idna::domain_to_ascii(text).ok()?;
            Cow::Owned(ascii.strip_suffix('.').map(str::to_owned).unwrap_or(ascii))
        };
        if !is_plain(&name) || name.len() > NAME_BYTES_MAX {
            return None;
        }
        if name.split('.').any(|label| label.is_empty() || label.len() > LABEL_BYTES_MAX) {
            return None;
        }
        if ends_in_number(&name) {
            return four(&name).map(|address| Self::Address(IpAddr::V4(address)));
        }
        Some(Self::Name(name))
    }
}

impl std::fmt::Display for Host<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

/// Letters, digits, hyphens, dots and the underscore that service names carry.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
}

fn six<'a>(text: &str) -> Option<Host<'a>> {
    let address = text.split('%').next()?.parse::<Ipv6Addr>().ok()?;
    Some(Host::Address(IpAddr::V6(address).to_canonical()))
}

fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The `inet_aton` forms: one to four parts, each decimal, octal or hexadecimal, the last filling the rest.
fn four(text: &str) -> Option<Ipv4Addr> {
    let mut parts = [0_u64; 4];
    let mut count = 0_usize;
    for part in text.split('.') {
        *parts.get_mut(count)? = number(part)?;
        count += 1;
    }
    let (last, leading) = parts.get(..count)?.split_last()?;
    let mut value = 0_u64;
    for part in leading {
        if *part > 255 {
            return None;
        }
        value = value << 8 | part;
    }
    let free = 8 * (5 - u32::try_from(count).ok()?);
    if *last >= 1_u64 << free {
        return None;
    }
    u32::try_from(value << free | last).ok().map(Ipv4Addr::from_bits)
}

fn number(part: &str) -> Option<u64> {
    let (digits, radix) = match part.strip_prefix("0x") {
        Some("") => return Some(0),
        Some(digits) => (digits, 16),
        None if part.len() > 1 && part.starts_with('0') => (part, 8),
        None => (part, 10),
    };
    if digits.len() > 32 || digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().filter(|value| *value <= u64::from(u32::MAX))
}

/// The host part of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `*`: every name. Addresses have to be named.
    AnyName,
    /// This name.
    Name(String),
    /// `*.name`: every name below this one, at any depth, but not the name itself.
    Below(String),
    /// An address or a range.
    Addresses(Range),
}

impl HostPattern {
    /// Reads the host part of a rule; the message says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::AnyName);
        }
        if text.contains('/') {
            return Range::parse(text).map(Self::Addresses);
        }
        if let Some(below) = text.strip_prefix("*.") {
            let Some(Host::Name(name)) = Host::canonical(below).filter(|_| !below.contains('*')) else {
                return Err(format!("{} is no host; a wildcard is `*.` and a name", quoted(text)));
            };
            return Ok(Self::Below(name.into_owned()));
        }
        match Host::canonical(text) {
            Some(Host::Address(address)) if is_plainly_an_address(text) => Ok(Self::Addresses(Range::single(address))),
            Some(Host::Address(address)) => {
                Err(format!("{} is a disguised way to write `{address}`; write that", quoted(text)))
            }
            Some(Host::Name(name)) => Ok(Self::Name(name.into_owned())),
            None if text.contains('*') => {
                Err(format!("{}: a wildcard can only be `*` or the first label, as in `*.example.com`", quoted(text)))
            }
            None if text.contains("://") => Err(format!("{} is a URL; write the host alone", quoted(text))),
            None => Err(format!("{} is neither a host name nor an address", quoted(text))),
        }
    }

    /// Why this pattern can't be granted, if it can't: its wildcard reaches names anybody can register.
    /// Denying that much is fine.
    pub(crate) fn too_wide(&self) -> Option<String> {
        match self {
            Self::Below(name) if is_public_suffix(name) => Some(format!(
                "`*.{name}` would reach everybody under the public suffix `{name}`; name the hosts, or write `*` if every name is meant"
            )),
            _ => None,
        }
    }

    /// Whether the host is meant.
    pub(crate) fn matches(&self, host: &Host<'_>) -> bool {
        match (self, host) {
            (Self::AnyName, Host::Name(_)) => true,
            (Self::Name(wanted), Host::Name(name)) => wanted == name,
            (Self::Below(parent), Host::Name(name)) => {
                name.strip_suffix(parent.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Addresses(range), Host::Address(address)) => range.contains(*address),
            _ => false,
        }
    }

    /// How much it fixes.
    pub(crate) fn rank(&self) -> u32 {
        match self {
            Self::AnyName => rank(0, 2),
            Self::Name(name) => rank(name.len() + 2, 0),
            Self::Below(name) => rank(name.len() + 1, 1),
            Self::Addresses(range) => rank(range.fixed_bits(), usize::from(!range.is_single())),
        }
    }
}

fn is_plainly_an_address(text: &str) -> bool {
    text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

/// Whether anybody can register names below it, by the public suffix list. A single label counts as one.
fn is_public_suffix(name: &str) -> bool {
    !name.contains('.') && name != "localhost" && name != "internal" && name != "local"
        || psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == name.as_bytes())
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AnyName => formatter.write_str("*"),
            Self::Name(name) => formatter.write_str(name),
            Self::Below(name) => write!(formatter, "*.{name}"),
            Self::Addresses(range) => range.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match Host::canonical(text) {
            Some(Host::Name(name)) => format!("name {name}"),
            Some(Host::Address(address)) => format!("address {address}"),
            None => "none".into(),
        }
    }

    #[test]
    fn disguised_addresses_are_addresses() {
        for text in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "0x7f000001",
            "127.0.0.1.",
            "[::ffff:127.0.0.1]",
            "::ffff:7f00:1",
            "１２７.0.0.1",
            "127。0.0.1",
            "0X7F.1",
        ] {
            assert_eq!(show(text), "address 127.0.0.1", "{text}");
        }
        assert_eq!(show("fe80::1%eth0"), "address fe80::1");
        for text in ["1.2.3.4.5", "256.1.1.1", "1.2.3.0x", "08.1.1.1", "4294967296", "a.1", "1.2.3.4x:80"] {
            assert!(!show(text).starts_with("name"), "{text} is {}", show(text));
        }
    }

    #[test]
    fn names_have_one_form() {
        assert_eq!(show("API.GitHub.com."), "name api.github.com");
        assert_eq!(show("bücher.example"), "name xn--bcher-kva.example");
        assert_eq!(show("_srv.example.com"), "name _srv.example.com");
        // Cyrillic а: a look-alike is another name.
        assert_eq!(show("аpple.com"), "name xn--pple-43d.com");
        for bad in ["", ".", "a..b", "a b", "a/b", "a%2eb", "-\u{0}", &"a".repeat(64), "a@b", "[::1", "x:y"] {
            assert_eq!(show(bad), "none", "{bad}");
        }
    }

    #[test]
    fn wildcards_stop_at_public_suffixes() {
        let too_wide = |text: &str| HostPattern::parse(text).unwrap().too_wide().is_some();
        assert!(!too_wide("*.example.com") && !too_wide("*.s3.internal") && !too_wide("github.io"));
        assert!(too_wide("*.com") && too_wide("*.co.uk") && too_wide("*.github.io"));
        for bad in ["*.", "*.*.com", "a.*.com", "*foo.com", "*.1.2.3", "http://x", "2130706433", "10.0.0.1/8"] {
            assert!(HostPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn below_is_below_only() {
        let matches =
            |pattern: &str, host: &str| HostPattern::parse(pattern).unwrap().matches(&Host::canonical(host).unwrap());
        assert!(matches("*.allowed.com", "a.allowed.com") && matches("*.allowed.com", "b.a.allowed.com"));
        for host in ["allowed.com", "evilallowed.com", "allowed.com.evil.net", "1.2.3.4"] {
            assert!(!matches("*.allowed.com", host), "{host}");
        }
        assert!(matches("*", "a.b") && !matches("*", "8.8.8.8"));
    }
}

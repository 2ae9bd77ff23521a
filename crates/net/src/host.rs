//! Host names and literal addresses in one canonical form, the only form policy and ledger ever see.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Longest name in text form without the final dot (RFC 1035).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Where a connection wants to go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name: lower case, no final dot, letters, digits, hyphens and underscores only.
    Name(String),
    /// An address, written as one.
    Literal(IpAddr),
}

/// Why a text is no host.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no host name or address in plain form")]
pub struct ParseHostError {
    text: String,
}

impl Host {
    /// Reads a name, a dotted quad or a bracketed IPv6 address. An address in any other spelling (decimal, octal,
    /// hexadecimal, fewer parts) is an error rather than a name, because some program would take it as an address.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Self, ParseHostError> {
        // What is quoted back is printable ASCII and bounded.
        let fail = || ParseHostError {
            text: text
                .chars()
                .take(LABEL_BYTES_MAX)
                .map(|letter| if letter.is_ascii_graphic() { letter } else { '?' })
                .collect(),
        };
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(fail)?;
            return inner.parse().map(|address| Self::Literal(IpAddr::V6(address))).map_err(|_| fail());
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Literal(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if is_name(&name) { Ok(Self::Name(name)) } else { Err(fail()) }
    }

    /// Reads `host:port`, the port required.
    ///
    /// # Errors
    /// The text is not of that form.
    pub fn parse_with_port(text: &str) -> Result<(Self, u16), ParseHostError> {
        let (host, port) = Self::parse_with_optional_port(text)?;
        port.map(|port| (host, port))
            .ok_or_else(|| ParseHostError { text: text.chars().take(LABEL_BYTES_MAX).collect() })
    }

    /// Reads `host` or `host:port`.
    ///
    /// # Errors
    /// The text is not of that form.
    pub fn parse_with_optional_port(text: &str) -> Result<(Self, Option<u16>), ParseHostError> {
        let split = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => Some((host, port)),
            _ => None,
        };
        let Some((host, port)) = split else { return Ok((Self::parse(text)?, None)) };
        let host = Self::parse(host)?;
        match port.parse::<u16>() {
            Ok(number) if number != 0 && port.bytes().all(|digit| digit.is_ascii_digit()) => Ok((host, Some(number))),
            _ => Err(ParseHostError { text: text.chars().take(LABEL_BYTES_MAX).collect() }),
        }
    }
}

fn is_name(name: &str) -> bool {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return false;
    }
    let label_fits = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
    };
    name.split('.').all(label_fits) && !ends_in_number(name)
}

/// The WHATWG rule: what ends in a number is an address to somebody.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Literal(address) => address.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for text in ["Example.COM", "example.com", "example.com."] {
            assert_eq!(Host::parse(text).unwrap(), Host::Name("example.com".into()));
        }
        assert!(Host::parse("xn--mnchen-3ya.de").is_ok());
        assert!(Host::parse("_dmarc.example.com").is_ok());
        assert!(Host::parse("localhost").is_ok());
    }

    #[test]
    fn addresses_in_disguise_are_no_hosts() {
        assert_eq!(Host::parse("127.0.0.1").unwrap().to_string(), "127.0.0.1");
        assert_eq!(Host::parse("[::1]").unwrap().to_string(), "::1");
        for text in [
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "127.1",
            "127.0.1",
            "127.0.0.01",
            "127.0.0.1.",
            "example.0x7f",
            "::1",
            "[::1",
            "[127.0.0.1]",
            "[fe80::1%lo]",
        ] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn anything_odd_is_no_host() {
        let long = "a".repeat(64);
        for text in
            ["", ".", "a..b", ".a", "-a.b", "a-.b", "a b", "a\0b", "münchen.de", "a/b", "a@b", "a:b", "a%2eb", &long]
        {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ports_are_plain_numbers() {
        assert_eq!(Host::parse_with_port("a.b:443").unwrap(), (Host::Name("a.b".into()), 443));
        assert_eq!(Host::parse_with_port("[::1]:80").unwrap().1, 80);
        for text in ["a.b", "a.b:", "a.b:0", "a.b:+1", "a.b:65536", "a.b:1:2", "::1:80", "[::1]80"] {
            assert!(Host::parse_with_port(text).is_err(), "{text}");
        }
        assert_eq!(Host::parse_with_optional_port("a.b").unwrap().1, None);
    }
}

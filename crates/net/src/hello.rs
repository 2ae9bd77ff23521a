//! Reads the server name out of a TLS ClientHello, from the first bytes of a connection and nothing else.
//!
//! Only what decides is parsed (RFC 8446 §4.1.2, RFC 6066 §3); everything else is skipped by its length. Two readings
//! of the same bytes must not be possible: a repeated extension or a second name is an error.

use crate::host::Host;

/// A ClientHello larger than this is none: with post-quantum key shares they have about 2 KiB.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;

const RECORD_HANDSHAKE: u8 = 22;
const HANDSHAKE_CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
const NAME_KIND_HOST: u8 = 0;

/// What the first bytes of a connection are, as far as TLS goes.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hello {
    /// No TLS.
    NotTls,
    /// TLS, but more bytes are needed.
    Incomplete,
    /// TLS that breaks its own rules, or is too large.
    Malformed,
    /// A ClientHello with this server name, or none.
    Complete(Option<Host>),
}

/// Looks at the first bytes of a connection. Never panics, whatever they are.
#[must_use]
pub fn inspect(bytes: &[u8]) -> Hello {
    match bytes {
        [] | [RECORD_HANDSHAKE] => return Hello::Incomplete,
        [RECORD_HANDSHAKE, 3, ..] => {}
        _ => return Hello::NotTls,
    }
    let mut handshake = Vec::new();
    let mut reader = Reader(bytes);
    loop {
        if let Some(hello) = message(&handshake) {
            return parse(hello).map_or(Hello::Malformed, Hello::Complete);
        }
        // One hello may be cut over several records; each must be a handshake record.
        let Some(fragment) = record(&mut reader) else {
            return if bytes.len() > HELLO_BYTES_MAX || broken(&reader) { Hello::Malformed } else { Hello::Incomplete };
        };
        handshake.extend_from_slice(fragment);
        match handshake.first() {
            Some(&HANDSHAKE_CLIENT_HELLO) if handshake.len() <= HELLO_BYTES_MAX => {}
            _ => return Hello::Malformed,
        }
    }
}

/// The body of the ClientHello, once all of it is there.
fn message(handshake: &[u8]) -> Option<&[u8]> {
    let [_, a, b, c, body @ ..] = handshake else { return None };
    let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
    body.get(..length)
}

fn record<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let mut ahead = Reader(reader.0);
    if ahead.number(1)? != usize::from(RECORD_HANDSHAKE) || ahead.number(2)? >> 8 != 3 {
        return None;
    }
    let length = ahead.number(2)?;
    let fragment = ahead.take(length).filter(|fragment| !fragment.is_empty())?;
    *reader = ahead;
    Some(fragment)
}

/// Whether what follows can't become a handshake record by reading more.
fn broken(reader: &Reader<'_>) -> bool {
    match reader.0 {
        [] | [RECORD_HANDSHAKE] | [RECORD_HANDSHAKE, 3] | [RECORD_HANDSHAKE, 3, _] | [RECORD_HANDSHAKE, 3, _, _] => {
            false
        }
        [RECORD_HANDSHAKE, 3, _, high, low, ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            length == 0 || length > HELLO_BYTES_MAX
        }
        _ => true,
    }
}

fn parse(hello: &[u8]) -> Option<Option<Host>> {
    let mut reader = Reader(hello);
    reader.take(2 + 32)?;
    for length_bytes in [1, 2, 1] {
        let length = reader.number(length_bytes)?;
        reader.take(length)?;
    }
    if reader.0.is_empty() {
        return Some(None);
    }
    let mut extensions = reader.sized(2)?;
    reader.finished()?;
    let mut found = None;
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let body = extensions.sized(2)?;
        if kind == usize::from(EXTENSION_SERVER_NAME) {
            if found.is_some() {
                return None;
            }
            found = Some(server_name(body)?);
        }
    }
    Some(found)
}

fn server_name(mut body: Reader<'_>) -> Option<Host> {
    let mut list = body.sized(2)?;
    body.finished()?;
    if list.number(1)? != usize::from(NAME_KIND_HOST) {
        return None;
    }
    let name = list.sized(2)?;
    list.finished()?;
    // RFC 6066 forbids addresses here, so a text that reads as one is an error.
    match Host::parse(std::str::from_utf8(name.0).ok()?) {
        Ok(host @ Host::Name(_)) => Some(host),
        _ => None,
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, length: usize) -> Option<usize> {
        self.take(length).map(|bytes| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn sized(&mut self, length_bytes: usize) -> Option<Self> {
        let length = self.number(length_bytes)?;
        self.take(length).map(Reader)
    }

    fn finished(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(length_bytes: usize, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[4 - length_bytes..], body].concat()
    }

    fn extension(names: &[&str]) -> Vec<u8> {
        let list: Vec<u8> = names.iter().flat_map(|name| [vec![0], sized(2, name.as_bytes())].concat()).collect();
        [vec![0, 0], sized(2, &sized(2, &list))].concat()
    }

    fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        let other = [vec![0xfe, 0x0d], sized(2, b"encrypted")].concat();
        let all = [other, extensions.concat()].concat();
        let body = [vec![3, 3], vec![7; 32], sized(1, &[1; 32]), sized(2, &[0x13, 1]), sized(1, &[0]), sized(2, &all)]
            .concat();
        [vec![1], sized(3, &body)].concat()
    }

    fn in_records(handshake: &[u8], size: usize) -> Vec<u8> {
        handshake.chunks(size).flat_map(|chunk| [vec![22, 3, 1], sized(2, chunk)].concat()).collect()
    }

    #[test]
    fn finds_the_name_however_it_is_cut() {
        let expected = Hello::Complete(Some(Host::Name("api.example.com".into())));
        let handshake = hello(&[extension(&["API.example.com"])]);
        for size in [1, 3, 50, 16_384] {
            let bytes = in_records(&handshake, size);
            assert_eq!(inspect(&bytes), expected);
            for length in 0..bytes.len() {
                assert_eq!(inspect(&bytes[..length]), Hello::Incomplete, "{length} of {}", bytes.len());
            }
        }
        assert_eq!(inspect(&in_records(&hello(&[]), 999)), Hello::Complete(None));
    }

    #[test]
    fn two_readings_are_no_reading() {
        for extensions in [
            vec![extension(&["a.com"]), extension(&["b.com"])],
            vec![extension(&["a.com", "b.com"])],
            vec![extension(&[])],
            vec![extension(&["127.0.0.1"])],
            vec![extension(&["a.com\0.b.com"])],
        ] {
            assert_eq!(inspect(&in_records(&hello(&extensions), 16_384)), Hello::Malformed);
        }
        assert_eq!(inspect(&[22, 3, 1, 0, 0]), Hello::Malformed);
        assert_eq!(inspect(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Hello::Malformed);
    }

    #[test]
    fn other_protocols_are_not_tls() {
        for bytes in [b"GET / HTTP/1.1".as_slice(), b"SSH-2.0", &[22, 2, 0], &[0; 40]] {
            assert_eq!(inspect(bytes), Hello::NotTls);
        }
    }
}

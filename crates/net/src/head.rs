//! Strict reading of one HTTP/1 request head from hostile bytes.
//!
//! The head is parsed once and what goes upstream is written anew from the parse, so there is no second reading for
//! a server to have. What two parsers could read differently is refused: RFC 9112 allows that everywhere below.

use bartizan_gate::Outgoing;
use bartizan_model::RequestHeader;

use crate::host::Host;

/// Longest head. Servers take 8 to 64 KiB.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most headers in a head; servers usually take 100.
const HEADERS_MAX: usize = 128;
/// Longest first line that may turn out to be HTTP; a text protocol with longer first lines is not.
const METHOD_BYTES_MAX: usize = 32;

/// What the first bytes of a connection are, as far as HTTP/1 goes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reading {
    /// Not HTTP/1.
    NotHttp,
    /// The preface of HTTP/2 without TLS.
    Http2,
    /// Perhaps HTTP/1; more bytes are needed.
    Incomplete,
    /// HTTP/1 that must not be passed on.
    Malformed(HeadError),
    /// A head, which ends after so many bytes.
    Complete(Box<Head>, usize),
}

/// What is wrong with a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HeadError(pub(crate) &'static str);

/// The form of a request's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `/path?query`, for the server itself, or `*`.
    Origin {
        /// Everything before `?`.
        path: String,
        /// Everything after it.
        query: Option<String>,
    },
    /// `http://host/path?query`, for a proxy.
    Absolute {
        /// The host.
        host: Host,
        /// The port, 80 unless given.
        port: u16,
        /// Everything before `?`, at least `/`.
        path: String,
        /// Everything after it.
        query: Option<String>,
    },
    /// `host:port`, of a `CONNECT`.
    Authority {
        /// The host.
        host: Host,
        /// The port.
        port: u16,
    },
}

/// How the body's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes, 0 where there is no body.
    Exact(u64),
    /// Chunks.
    Chunked,
}

/// What becomes of the connection to the server once this request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It is over.
    Close,
    /// The next request may come on it.
    Keep,
    /// The upgrade the request asks for is passed on, if it asks for one; else it is over.
    Upgrade,
}

/// One request head.
#[derive(Debug)]
pub struct Head {
    /// The method, in upper case.
    pub method: String,
    /// The target.
    pub target: Target,
    /// The `Host` header.
    pub host: Host,
    /// Its port, if given.
    pub port: Option<u16>,
    /// The body's length.
    pub body: BodyLength,
    /// The protocol of an `Upgrade`, if one is asked for.
    pub upgrade: Option<String>,
    pub(crate) minor: u8,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) connection: Vec<String>,
}

/// Looks at the first bytes of a connection. Never panics, whatever they are.
#[must_use]
pub fn read(bytes: &[u8]) -> Reading {
    let line_end = bytes.iter().position(|byte| *byte == b'\n');
    match first_line(bytes, line_end) {
        FirstLine::NotHttp => return Reading::NotHttp,
        FirstLine::Unfinished if bytes.len() > HEAD_BYTES_MAX => return malformed("the request line is too long"),
        FirstLine::Unfinished => return Reading::Incomplete,
        FirstLine::Http2 => return Reading::Http2,
        FirstLine::Broken => return malformed("the request line is malformed"),
        FirstLine::Http1 => {}
    }
    if let Err(error) = check_lines(bytes) {
        return Reading::Malformed(error);
    }
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) else {
        return if bytes.len() > HEAD_BYTES_MAX { malformed("the head is too large") } else { Reading::Incomplete };
    };
    if end > HEAD_BYTES_MAX {
        return malformed("the head is too large");
    }
    match parse(bytes.get(..end).unwrap_or_default()) {
        Ok(head) => Reading::Complete(Box::new(head), end),
        Err(error) => Reading::Malformed(error),
    }
}

fn malformed(what: &'static str) -> Reading {
    Reading::Malformed(HeadError(what))
}

enum FirstLine {
    NotHttp,
    Unfinished,
    Broken,
    Http1,
    Http2,
}

/// Whether this is HTTP at all, told from the first line. Servers skip empty lines and take odd methods, so those
/// count as HTTP here and are then refused: otherwise they would be a way round the check.
fn first_line(bytes: &[u8], line_end: Option<usize>) -> FirstLine {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
    let started = bytes.trim_ascii_start();
    if started.len() != bytes.len() {
        let line = started.split(|byte| *byte == b'\n').next().unwrap_or_default();
        return if started.is_empty() || mentions_http(line) {
            FirstLine::Broken
        } else if line.len() == started.len() && could_be_request(line) {
            FirstLine::Unfinished
        } else {
            FirstLine::NotHttp
        };
    }
    if bytes.starts_with(PREFACE) {
        return FirstLine::Http2;
    }
    let line = bytes.get(..line_end.unwrap_or(bytes.len())).unwrap_or_default();
    if line_end.is_none() {
        return if could_be_request(line) { FirstLine::Unfinished } else { FirstLine::NotHttp };
    }
    if mentions_http(line) {
        return FirstLine::Http1;
    }
    // HTTP/0.9, or a version in some other spelling.
    let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    if method.len() != line.len() && matches!(method, b"GET" | b"HEAD" | b"POST" | b"PUT" | b"DELETE" | b"CONNECT") {
        FirstLine::Broken
    } else {
        FirstLine::NotHttp
    }
}

fn mentions_http(line: &[u8]) -> bool {
    could_be_request(line) && line.windows(5).any(|window| window.eq_ignore_ascii_case(b"HTTP/"))
}

/// A token, then perhaps a space and printable text.
fn could_be_request(line: &[u8]) -> bool {
    let method = line.iter().take_while(|byte| is_token(**byte)).count();
    let rest = line.get(method..).unwrap_or_default();
    match rest.first() {
        None => method <= METHOD_BYTES_MAX,
        Some(b' ' | b'\t') => method > 0 && method <= METHOD_BYTES_MAX,
        Some(_) => false,
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Every line ends in CRLF, none begins with a space, no control byte stands anywhere.
fn check_lines(bytes: &[u8]) -> Result<(), HeadError> {
    let mut before = 0;
    let mut line_start = false;
    for (at, byte) in bytes.iter().copied().enumerate() {
        match byte {
            b'\n' if before != b'\r' => return Err(HeadError("a line ends in a bare line feed")),
            _ if before == b'\r' && byte != b'\n' => return Err(HeadError("a carriage return stands alone")),
            b' ' | b'\t' if line_start => return Err(HeadError("a header is folded")),
            0..=0x1f if !matches!(byte, b'\r' | b'\n' | b'\t') => {
                return Err(HeadError("a control byte stands in the head"));
            }
            0x7f => return Err(HeadError("a control byte stands in the head")),
            _ => {}
        }
        line_start = byte == b'\n';
        before = byte;
        if line_start && bytes.get(..=at).is_some_and(|head| head.ends_with(b"\r\n\r\n")) {
            break;
        }
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Result<Head, HeadError> {
    let mut space = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut space);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError("there are too many headers")),
        _ => return Err(HeadError("the head is malformed")),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(HeadError("the request line is malformed"));
    };
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')) {
        return Err(HeadError("the method is not in upper case"));
    }
    let first = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if first != format!("{method} {target} HTTP/1.{minor}").as_bytes() {
        return Err(HeadError("the request line is malformed"));
    }
    let headers: Vec<(String, Vec<u8>)> =
        request.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
    let target = parse_target(method, target)?;
    let (host, port) = match (only(&headers, "host")?, &target) {
        (Some(text), _) => Host::parse_with_optional_port(text).map_err(|_| HeadError("`Host` is no plain host"))?,
        // Python's http.client sends none, and a tunnel's target says it all.
        (None, Target::Authority { host, port }) => (host.clone(), Some(*port)),
        (None, _) => return Err(HeadError("there is no `Host`")),
    };
    let connection = list(&headers, "connection")?;
    if connection.iter().any(|name| matches!(name.as_str(), "host" | "content-length" | "transfer-encoding")) {
        return Err(HeadError("`Connection` names a header that frames the message"));
    }
    let upgrade = only(&headers, "upgrade")?.map(str::to_ascii_lowercase);
    Ok(Head {
        target,
        body: body_length(&headers, minor)?,
        method: method.to_owned(),
        host,
        port,
        upgrade,
        minor,
        headers,
        connection,
    })
}

/// The value of a header that may stand once.
pub(crate) fn only<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Result<Option<&'a str>, HeadError> {
    let mut values = headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(HeadError("a header stands twice that may stand once"));
    }
    let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
    text.map(Some).ok_or(HeadError("a header holds other bytes than it may"))
}

/// All members of a list header, in lower case.
fn list(headers: &[(String, Vec<u8>)], name: &str) -> Result<Vec<String>, HeadError> {
    let mut members = Vec::new();
    for (_, value) in headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)) {
        let text = std::str::from_utf8(value).map_err(|_| HeadError("a header holds other bytes than it may"))?;
        members.extend(text.split(',').map(|member| member.trim().to_ascii_lowercase()));
    }
    Ok(members)
}

pub(crate) fn body_length(headers: &[(String, Vec<u8>)], minor: u8) -> Result<BodyLength, HeadError> {
    let length = only(headers, "content-length")?;
    let encoding = only(headers, "transfer-encoding")?;
    match (length, encoding) {
        (None, None) => Ok(BodyLength::Exact(0)),
        (Some(_), Some(_)) => Err(HeadError("the body's length is told twice")),
        (Some(text), None) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map(BodyLength::Exact).map_err(|_| HeadError("`Content-Length` is too large"))
        }
        (Some(_), None) => Err(HeadError("`Content-Length` is no plain number")),
        (None, Some(text)) if minor == 1 && text.eq_ignore_ascii_case("chunked") => Ok(BodyLength::Chunked),
        (None, Some(_)) => Err(HeadError("`Transfer-Encoding` is other than `chunked`")),
    }
}

fn parse_target(method: &str, target: &str) -> Result<Target, HeadError> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(HeadError("the target holds other bytes than it may"));
    }
    if method == "CONNECT" {
        return Host::parse_with_port(target)
            .map(|(host, port)| Target::Authority { host, port })
            .map_err(|_| HeadError("the target of `CONNECT` is no plain host and port"));
    }
    if target.starts_with('/') || target == "*" {
        let (path, query) = split_query(target);
        return Ok(Target::Origin { path, query });
    }
    let rest = target
        .get(..7)
        .filter(|scheme| scheme.eq_ignore_ascii_case("http://"))
        .and_then(|_| target.get(7..))
        .ok_or(HeadError("the target is no path and no `http` URL"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) =
        Host::parse_with_optional_port(authority).map_err(|_| HeadError("the URL's host is no plain host"))?;
    let (mut path, query) = split_query(path);
    if path.is_empty() {
        path.push('/');
    }
    Ok(Target::Absolute { host, port: port.unwrap_or(80), path, query })
}

pub(crate) fn split_query(target: &str) -> (String, Option<String>) {
    match target.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (target.to_owned(), None),
    }
}

impl Head {
    /// Whether whoever sent it wants to send more requests on the same connection.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.minor == 1 && !self.connection.iter().any(|name| name == "close")
    }

    /// The request as far as a secret may stand in it, for this path.
    #[must_use]
    pub fn outgoing(&self, path: &str, query: Option<&str>, body: Option<Vec<u8>>) -> Outgoing {
        let (path, query) = (path.to_owned(), query.map(str::to_owned));
        Outgoing { path, query, headers: self.headers.clone(), body }
    }

    /// Asks for an answer that can be looked through.
    pub(crate) fn refuse_encodings(&mut self) {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("accept-encoding"));
        self.headers.push(("accept-encoding".to_owned(), b"identity".to_vec()));
    }

    /// Whether its body is JSON, by its own word.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.kinds().any(|kind| kind == b"application/json" || kind.ends_with(b"+json"))
    }

    /// Whether it is a call of gRPC, by its own word.
    #[must_use]
    pub(crate) fn is_grpc(&self) -> bool {
        self.kinds().any(|kind| kind.starts_with(b"application/grpc"))
    }

    /// Its content types, in lower case and without parameters.
    fn kinds(&self) -> impl Iterator<Item = Vec<u8>> {
        let kind = |value: &[u8]| {
            value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase()
        };
        self.values("content-type").map(kind)
    }

    /// Whether its body is compressed or otherwise encoded, by its own word.
    #[must_use]
    pub(crate) fn is_encoded(&self) -> bool {
        self.values("content-encoding").any(|value| !value.trim_ascii().eq_ignore_ascii_case(b"identity"))
    }

    /// The values of this header.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// This header as an action carries it, once for each time it stands there.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = RequestHeader> {
        // Servers that hand headers on as variables take `_` and `-` for the same; policy sees both.
        let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        let headers = self
            .headers
            .iter()
            .filter(|(own, _)| own.bytes().map(plain).eq(name.bytes().map(plain)) && !self.is_hop_by_hop(own, true));
        let found: Vec<_> = headers
            .map(|(own, value)| RequestHeader {
                name: own.to_ascii_lowercase(),
                value: String::from_utf8_lossy(value).into_owned(),
            })
            .collect();
        found.into_iter()
    }

    /// Takes out that whoever sent it waits for a word before it sends the body; says whether it does.
    pub(crate) fn drop_expectation(&mut self) -> bool {
        let before = self.headers.len();
        self.headers.retain(|(name, value)| {
            !(name.eq_ignore_ascii_case("expect") && value.trim_ascii().eq_ignore_ascii_case(b"100-continue"))
        });
        self.headers.len() < before
    }

    /// Tells the length of a body that was changed.
    pub(crate) fn tell_length(&mut self, length: usize) {
        for (name, value) in &mut self.headers {
            if name.eq_ignore_ascii_case("content-length") {
                *value = length.to_string().into_bytes();
            }
        }
    }

    /// The head as it goes upstream, for this path: hop-by-hop headers gone.
    #[must_use]
    pub fn forward(&self, path: &str, query: Option<&str>, afterwards: Afterwards) -> Vec<u8> {
        self.write(path, query, &self.headers, afterwards)
    }

    /// The same with what a request became by being filled in.
    #[must_use]
    pub fn forward_filled(&self, filled: &Outgoing, afterwards: Afterwards) -> Vec<u8> {
        self.write(&filled.path, filled.query.as_deref(), &filled.headers, afterwards)
    }

    fn write(&self, path: &str, query: Option<&str>, headers: &[(String, Vec<u8>)], afterwards: Afterwards) -> Vec<u8> {
        // Room for nearly every head: growing would leave copies of what was filled in behind.
        let mut bytes = Vec::with_capacity(4096);
        for part in [self.method.as_str(), " ", path] {
            bytes.extend_from_slice(part.as_bytes());
        }
        if let Some(query) = query {
            bytes.push(b'?');
            bytes.extend_from_slice(query.as_bytes());
        }
        bytes.extend_from_slice(if self.minor == 0 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
        let pass_upgrade = afterwards == Afterwards::Upgrade && self.upgrade.is_some();
        for (name, value) in headers {
            if self.is_hop_by_hop(name, pass_upgrade) {
                continue;
            }
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(match afterwards {
            Afterwards::Upgrade if pass_upgrade => b"Connection: Upgrade\r\n\r\n",
            Afterwards::Keep if self.minor == 1 => b"\r\n",
            _ => b"Connection: close\r\n\r\n",
        });
        bytes
    }

    pub(crate) fn is_hop_by_hop(&self, name: &str, pass_upgrade: bool) -> bool {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "upgrade" => !pass_upgrade,
            "http2-settings" => true,
            "connection"
            | "keep-alive"
            | "te"
            | "trailer"
            | "proxy-connection"
            | "proxy-authorization"
            | "proxy-authenticate" => true,
            name => self.connection.iter().any(|listed| listed == name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match read(text.as_bytes()) {
            Reading::NotHttp => "not http".to_owned(),
            Reading::Http2 => "http2".to_owned(),
            Reading::Incomplete => "incomplete".to_owned(),
            Reading::Malformed(error) => error.to_string(),
            Reading::Complete(head, _) => format!("{} {:?} {:?}", head.method, head.host.to_string(), head.body),
        };
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn reads_plain_requests() {
        check("GET / HTTP/1.1\r\nHost: A.com\r\n\r\nrest", r#"GET "a.com" Exact(0)"#);
        check("POST /x HTTP/1.1\r\nHost: a.com:8080\r\nContent-Length: 12\r\n\r\n", r#"POST "a.com" Exact(12)"#);
        check("POST /x HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n", r#"POST "a.com" Chunked"#);
        check("GET http://a.com/x HTTP/1.0\r\nHost: a.com\r\n\r\n", r#"GET "a.com" Exact(0)"#);
        check("CONNECT a.com:443 HTTP/1.1\r\nHost: a.com:443\r\n\r\n", r#"CONNECT "a.com" Exact(0)"#);
    }

    #[test]
    fn every_prefix_waits_for_more() {
        let text = "GET /a HTTP/1.1\r\nHost: a.com\r\nX: y\r\n\r\n";
        for length in 0..text.len() {
            check(&text[..length], "incomplete");
        }
    }

    #[test]
    fn other_protocols_are_not_http() {
        for text in
            ["SSH-2.0-x\r\n", "EHLO me\r\n", "PING\r\n", "*1\r\n$4\r\n", "\u{0}\u{1}", "{\"a\":1}\n", "NICK a b c\r\n"]
        {
            check(text, "not http");
        }
        check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2");
    }

    #[test]
    fn smuggling_is_malformed() {
        for (head, error) in [
            ("Host: a.com\r\nHost: b.com", "a header stands twice that may stand once"),
            ("X: y", "there is no `Host`"),
            ("Host: a.com\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", "the body's length is told twice"),
            ("Host: a.com\r\nContent-Length: 1\r\nContent-Length: 1", "a header stands twice that may stand once"),
            ("Host: a.com\r\nContent-Length: +1", "`Content-Length` is no plain number"),
            ("Host: a.com\r\nContent-Length: 1, 1", "`Content-Length` is no plain number"),
            ("Host: a.com\r\nContent-Length: 99999999999999999999", "`Content-Length` is too large"),
            ("Host: a.com\r\nTransfer-Encoding: gzip, chunked", "`Transfer-Encoding` is other than `chunked`"),
            ("Host: a.com\r\nTransfer-Encoding: xchunked", "`Transfer-Encoding` is other than `chunked`"),
            ("Host: a.com\r\nTransfer-Encoding : chunked", "the head is malformed"),
            ("Host: a.com\r\n folded", "a header is folded"),
            ("Host: a.com\nX: y", "a line ends in a bare line feed"),
            ("Host: a.com\rX: y", "a carriage return stands alone"),
            ("Host: a.com\r\nX: \u{0}", "a control byte stands in the head"),
            ("Host: a.com\r\nConnection: content-length", "`Connection` names a header that frames the message"),
            ("Host: a.com/b", "`Host` is no plain host"),
            ("Host: user@a.com", "`Host` is no plain host"),
            ("Host: 0x7f.1", "`Host` is no plain host"),
        ] {
            check(&format!("POST / HTTP/1.1\r\n{head}\r\n\r\n"), error);
        }
        for line in [
            "\r\nGET / HTTP/1.1",
            " GET / HTTP/1.1",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET\t/ HTTP/1.1",
            "GET /",
            "get / HTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/2.0",
            "GET /a b HTTP/1.1",
            "GET ftp://a.com/ HTTP/1.1",
            "GET /#x HTTP/1.1",
        ] {
            let text = format!("{line}\r\nHost: a.com\r\n\r\n");
            assert!(matches!(read(text.as_bytes()), Reading::Malformed(_)), "{line}: {:?}", read(text.as_bytes()));
        }
        assert!(matches!(
            read(&[b"GET / HTTP/1.1\r\nX: ", vec![b'a'; HEAD_BYTES_MAX].as_slice()].concat()),
            Reading::Malformed(_)
        ));
    }

    #[test]
    fn forwards_end_to_end_headers_only() {
        let text = "GET http://a.com/x?q HTTP/1.1\r\nHost: a.com\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nProxy-Authorization: s\r\nUpgrade: h2c\r\nAccept: */*\r\n\r\n";
        let Reading::Complete(head, _) = read(text.as_bytes()) else { panic!("no head") };
        let bytes = String::from_utf8(head.forward("/x", Some("q"), Afterwards::Close)).unwrap();
        assert_eq!(bytes, "GET /x?q HTTP/1.1\r\nHost: a.com\r\nAccept: */*\r\nConnection: close\r\n\r\n");
        assert!(head.is_kept());
        let bytes = String::from_utf8(head.forward("/x", None, Afterwards::Keep)).unwrap();
        assert_eq!(bytes, "GET /x HTTP/1.1\r\nHost: a.com\r\nAccept: */*\r\n\r\n");
    }
}

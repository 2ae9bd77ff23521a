//! Reading of one HTTP/1 answer head from a server nobody vouches for: only so much that its body's end is known for
//! certain. The head is written anew from what was read, so that the program has no other reading of it.

use bartizan_gate::Mask;

use crate::head::HEAD_BYTES_MAX;

/// Most headers in an answer; sites with many cookies send some dozens.
const HEADERS_MAX: usize = 256;

/// What the bytes of an answer are so far.
#[derive(Debug)]
#[non_exhaustive]
pub enum AnswerReading {
    /// More bytes are needed.
    Incomplete,
    /// No answer, or one whose end can be told in two ways.
    Malformed(&'static str),
    /// A head, which ends after so many bytes.
    Complete(Answer, usize),
}

/// How the end of an answer's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerLength {
    /// So many bytes, 0 where there is no body.
    Exact(u64),
    /// Chunks.
    Chunked,
    /// The connection's end.
    UntilClose,
}

/// One answer head.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body's length.
    pub body: AnswerLength,
    /// The server will close the connection after this answer.
    pub closes: bool,
    minor: u8,
    reason: String,
    headers: Vec<(String, Vec<u8>)>,
}

impl Answer {
    /// Whether another answer to the same request follows.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// Covers values that are known in its headers. What frames the message is left as it is.
    pub(crate) fn cover(&mut self, mask: &mut Mask) {
        let reason = mask.whole(self.reason.as_bytes());
        self.reason = String::from_utf8_lossy(&reason).into_owned();
        for (name, value) in &mut self.headers {
            if !["content-length", "transfer-encoding"].iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
                *value = mask.whole(value);
            }
        }
    }

    /// Whether its body is encoded, so that nobody can look through it.
    pub(crate) fn is_encoded(&self) -> bool {
        values(&self.headers, "content-encoding").any(|value| !value.eq_ignore_ascii_case(b"identity"))
    }

    /// Whether anything follows the head.
    pub(crate) fn has_body(&self) -> bool {
        !matches!(self.status, 204 | 304)
    }

    /// The first header of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&[u8]> {
        values(&self.headers, name).next()
    }

    /// Has its body end otherwise than it did: in chunks (`Some(None)`), after so many bytes, or with the connection.
    pub(crate) fn reframe(&mut self, body: Option<Option<usize>>) {
        let framing = ["content-length", "transfer-encoding", "trailer"];
        self.headers.retain(|(name, _)| !framing.iter().any(|framing| name.eq_ignore_ascii_case(framing)));
        self.minor = 1;
        match body {
            Some(Some(length)) => self.headers.push(("content-length".to_owned(), length.to_string().into_bytes())),
            Some(None) => self.headers.push(("transfer-encoding".to_owned(), b"chunked".to_vec())),
            None => {}
        }
    }

    /// The head as the program gets it.
    #[must_use]
    pub fn forward(&self, close: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(format!("HTTP/1.{} {:03} {}\r\n", self.minor, self.status, self.reason).as_bytes());
        let is_switch = self.status == 101;
        for (name, value) in &self.headers {
            let hop = ["connection", "keep-alive", "proxy-connection"].iter().any(|hop| name.eq_ignore_ascii_case(hop));
            if hop && !is_switch {
                continue;
            }
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if close && !is_switch && !self.is_interim() {
            bytes.extend_from_slice(b"Connection: close\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// Reads the head of an answer to a request of this method. Never panics, whatever the bytes are.
#[must_use]
pub fn read(bytes: &[u8], method: &str) -> AnswerReading {
    let mut space = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut space);
    let end = match response.parse(bytes.get(..HEAD_BYTES_MAX.min(bytes.len())).unwrap_or_default()) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return AnswerReading::Incomplete,
        Ok(httparse::Status::Partial) => return AnswerReading::Malformed("its head is too large"),
        Err(_) => return AnswerReading::Malformed("its head is malformed"),
    };
    let (Some(status @ 100..=999), Some(minor @ 0..=1)) = (response.code, response.version) else {
        return AnswerReading::Malformed("its head is malformed");
    };
    let headers: Vec<(String, Vec<u8>)> =
        response.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
    let body = match length(&headers, status, minor, method) {
        Ok(body) => body,
        Err(what) => return AnswerReading::Malformed(what),
    };
    let reason = response.reason.unwrap_or_default().to_owned();
    let closes = body == AnswerLength::UntilClose || !is_kept(&headers, minor);
    AnswerReading::Complete(Answer { status, body, closes, minor, reason, headers }, end)
}

fn values<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
}

fn is_kept(headers: &[(String, Vec<u8>)], minor: u8) -> bool {
    let lists = |wanted: &str| {
        values(headers, "connection")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|member| member.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    };
    !lists("close") && (minor == 1 || lists("keep-alive"))
}

/// RFC 9112 §6.3, and an error wherever it leaves a choice.
fn length(headers: &[(String, Vec<u8>)], status: u16, minor: u8, method: &str) -> Result<AnswerLength, &'static str> {
    let mut encodings = values(headers, "transfer-encoding");
    let encoding = encodings.next();
    let mut lengths = values(headers, "content-length");
    let told = lengths.next();
    if encodings.next().is_some() || encoding.is_some() && told.is_some() {
        return Err("the length of its body is told twice");
    }
    if lengths.any(|other| Some(other) != told) {
        return Err("the length of its body is told in two ways");
    }
    let told = match told {
        None => None,
        Some(text) => {
            let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
            Some(number.ok_or("its `Content-Length` is no plain number")?)
        }
    };
    if method == "HEAD" || status < 200 || status == 204 || status == 304 {
        return Ok(AnswerLength::Exact(0));
    }
    match (encoding, told) {
        (Some(text), _) if minor == 1 && text.eq_ignore_ascii_case(b"chunked") => Ok(AnswerLength::Chunked),
        (Some(_), _) => Err("its `Transfer-Encoding` is other than `chunked`"),
        (None, Some(told)) => Ok(AnswerLength::Exact(told)),
        (None, None) => Ok(AnswerLength::UntilClose),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, method: &str, expected: &str) {
        let found = match read(format!("{head}\r\n\r\nrest").as_bytes(), method) {
            AnswerReading::Incomplete => "incomplete".to_owned(),
            AnswerReading::Malformed(what) => what.to_owned(),
            AnswerReading::Complete(answer, end) => {
                assert_eq!(end, head.len() + 4);
                format!("{} {:?} closes: {}", answer.status, answer.body, answer.closes)
            }
        };
        assert_eq!(found, expected, "{head:?}");
    }

    #[test]
    fn the_end_of_the_body_is_known() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 5", "GET", "200 Exact(5) closes: false");
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5", "GET", "200 Exact(5) closes: false");
        check("HTTP/1.1 200 OK\r\nContent-Length: 5", "HEAD", "200 Exact(0) closes: false");
        check("HTTP/1.1 204 No Content", "GET", "204 Exact(0) closes: false");
        check("HTTP/1.1 304 Not Modified\r\nContent-Length: 9", "GET", "304 Exact(0) closes: false");
        check("HTTP/1.1 100 Continue", "POST", "100 Exact(0) closes: false");
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", "GET", "200 Chunked closes: false");
        check("HTTP/1.1 200 OK", "GET", "200 UntilClose closes: true");
        check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: a, Close", "GET", "200 Exact(1) closes: true");
        check("HTTP/1.0 200 OK\r\nContent-Length: 1", "GET", "200 Exact(1) closes: true");
        check("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive", "GET", "200 Exact(1) closes: false");
    }

    #[test]
    fn two_ends_are_none() {
        for (head, error) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", "the length of its body is told twice"),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "the length of its body is told twice"),
            ("Content-Length: 5\r\nContent-Length: 6", "the length of its body is told in two ways"),
            ("Content-Length: +5", "its `Content-Length` is no plain number"),
            ("Content-Length: 5, 5", "its `Content-Length` is no plain number"),
            ("Content-Length:", "its `Content-Length` is no plain number"),
            ("Transfer-Encoding: gzip, chunked", "its `Transfer-Encoding` is other than `chunked`"),
            ("Transfer-Encoding : chunked", "its head is malformed"),
        ] {
            check(&format!("HTTP/1.1 200 OK\r\n{head}"), "GET", error);
        }
        check(
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
            "GET",
            "its `Transfer-Encoding` is other than `chunked`",
        );
        check("SSH-2.0-x", "GET", "its head is malformed");
        check("HTTP/2 200 OK", "GET", "its head is malformed");
        let large = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; HEAD_BYTES_MAX]].concat();
        assert!(matches!(read(&large, "GET"), AnswerReading::Malformed(_)));
    }

    #[test]
    fn the_connection_is_ours_to_speak_about() {
        let text =
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\nX: y\r\n\r\n";
        let AnswerReading::Complete(answer, _) = read(text.as_bytes(), "GET") else { panic!("no answer") };
        let kept = String::from_utf8(answer.forward(false)).unwrap();
        assert_eq!(kept, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: y\r\n\r\n");
        assert!(String::from_utf8(answer.forward(true)).unwrap().ends_with("X: y\r\nConnection: close\r\n\r\n"));
    }
}

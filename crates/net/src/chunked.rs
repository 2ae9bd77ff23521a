//! A chunked body passed on chunk by chunk: framing is read strictly and written anew, extensions are dropped, and so
//! are trailers unless they are wanted; the body's end is known exactly, so nothing behind it is taken for part of it.

/// Longest line of framing: a size, and extensions that nobody uses.
const LINE_BYTES_MAX: usize = 4096;
/// All trailer lines together.
const TRAILER_BYTES_MAX: usize = 8192;

/// The body is not what RFC 9112 §7.1 describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunked body is malformed")]
pub struct ChunkError;

#[derive(Debug)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailer(usize),
    Done,
}

/// Reads a chunked body piece by piece.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    line: Vec<u8>,
    keeps_trailers: bool,
    /// Only the data is written, without framing.
    bare: bool,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::Size, line: Vec::new(), keeps_trailers: false, bare: false }
    }
}

impl Chunked {
    /// One that passes trailers on: for answers, which no rule is about.
    #[must_use]
    pub fn with_trailers() -> Self {
        Self { keeps_trailers: true, ..Self::default() }
    }

    /// One that gives the data alone, for whoever frames it anew. Trailers are dropped.
    #[must_use]
    pub fn bare() -> Self {
        Self { bare: true, ..Self::default() }
    }

    /// Takes the next bytes and appends what is to be sent on. Returns how many were taken; fewer than given
    /// only at the body's end.
    ///
    /// # Errors
    /// The framing is broken; nothing more may be sent.
    pub fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, ChunkError> {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_done() {
            if let State::Data(left) = self.state {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let (data, after) = rest.split_at_checked(take).ok_or(ChunkError)?;
                out.extend_from_slice(data);
                rest = after;
                let left = left - u64::try_from(take).map_err(|_| ChunkError)?;
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
            } else {
                let (byte, after) = rest.split_first().ok_or(ChunkError)?;
                rest = after;
                let before = out.len();
                self.framing(*byte, out)?;
                if self.bare {
                    out.truncate(before);
                }
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// Whether the body is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn framing(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ChunkError> {
        self.line.push(byte);
        if self.line.len() > LINE_BYTES_MAX || (byte != b'\n' && self.line.iter().rev().nth(1) == Some(&b'\r')) {
            return Err(ChunkError);
        }
        if byte != b'\n' {
            let control = byte < 0x20 && !matches!(byte, b'\r' | b'\t');
            return if control || byte == 0x7f { Err(ChunkError) } else { Ok(()) };
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r\n").ok_or(ChunkError)?;
        self.state = match self.state {
            State::Size => match size(line)? {
                0 => {
                    out.extend_from_slice(b"0\r\n");
                    State::Trailer(0)
                }
                size => {
                    out.extend_from_slice(format!("{size:x}\r\n").as_bytes());
                    State::Data(size)
                }
            },
            State::DataEnd if line.is_empty() => {
                out.extend_from_slice(b"\r\n");
                State::Size
            }
            State::Trailer(_) if line.is_empty() => {
                out.extend_from_slice(b"\r\n");
                State::Done
            }
            State::Trailer(bytes) if bytes + line.len() <= TRAILER_BYTES_MAX => {
                if self.keeps_trailers {
                    trailer(line)?;
                    out.extend_from_slice(line);
                    out.extend_from_slice(b"\r\n");
                }
                State::Trailer(bytes + line.len())
            }
            _ => return Err(ChunkError),
        };
        Ok(())
    }
}

/// A name, a colon, a value; and not one that a recipient might frame or route the message by.
fn trailer(line: &[u8]) -> Result<(), ChunkError> {
    const FORBIDDEN: [&str; 5] = ["content-length", "transfer-encoding", "host", "connection", "trailer"];
    let (name, _) =
        line.iter().position(|byte| *byte == b':').and_then(|at| line.split_at_checked(at)).ok_or(ChunkError)?;
    let name = std::str::from_utf8(name).map_err(|_| ChunkError)?.to_ascii_lowercase();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_name && !FORBIDDEN.contains(&name.as_str()) { Ok(()) } else { Err(ChunkError) }
}

/// Hexadecimal digits, then nothing or an extension.
fn size(line: &[u8]) -> Result<u64, ChunkError> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits).map_err(|_| ChunkError)?;
    if text.is_empty() || text.len() > 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ChunkError);
    }
    u64::from_str_radix(text, 16).map_err(|_| ChunkError)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(body: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), ChunkError> {
        let (mut chunked, mut out, mut taken) = (Chunked::default(), Vec::new(), 0);
        for piece in body.chunks(step) {
            taken += chunked.pass(piece, &mut out)?;
        }
        Ok((out, taken, chunked.is_done()))
    }

    #[test]
    fn passes_exactly_one_body() {
        let body = b"5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1";
        for step in [1, 2, 7, 1000] {
            let (out, taken, done) = pass(body, step).unwrap();
            assert_eq!(out, b"5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n");
            assert!(done);
            assert_eq!(&body[taken..], b"GET / HTTP/1.1");
        }
    }

    #[test]
    fn trailers_pass_where_they_are_wanted() {
        let read = |body: &str| {
            let (mut chunked, mut out) = (Chunked::with_trailers(), Vec::new());
            chunked.pass(body.as_bytes(), &mut out).map(|_| String::from_utf8(out).unwrap())
        };
        let body = "1\r\nx\r\n0\r\nGrpc-Status: 0\r\nB: c\r\n\r\n";
        assert_eq!(read(body).unwrap(), body);
        for trailer in ["Content-Length: 3", "transfer-encoding: chunked", "no colon", ": x", "a b: c"] {
            assert!(read(&format!("0\r\n{trailer}\r\n\r\n")).is_err(), "{trailer}");
        }
    }

    #[test]
    fn broken_framing_is_an_error() {
        for body in [
            "5\nhello\r\n",
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n",
            "5 \r\nhello",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n",
            "5\rX\nhello",
            "11111111111111111\r\n",
            " 5\r\nhello\r\n",
        ] {
            assert!(pass(body.as_bytes(), 3).is_err(), "{body:?}");
        }
    }
}

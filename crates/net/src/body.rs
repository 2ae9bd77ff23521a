//! Bodies on their way through HTTP/1: from a reader to the other side through a small buffer, framing read strictly and
//! written anew where the data is looked at, never more than what belongs to the one message.

use std::borrow::Cow;
use std::io;

use bartizan_gate::{Armed, Gate, Mask};
use bartizan_model::Verdict;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::answer::AnswerLength;
use crate::chunked::{ChunkError, Chunked};
use crate::head::BodyLength;
use crate::traffic::{Direction, Meter};

/// How much of a body is in memory at once while it streams.
pub(crate) const BODY_READ_BYTES: usize = 64 * 1024;
/// So much of what went before is looked at again with each piece, so that nothing is missed that lies across a border
/// of two; keys and tokens are shorter.
const OVERLAP_BYTES: usize = 4096;

/// One side's incoming bytes with what was read ahead.
pub(crate) struct Reader<R> {
    pub(crate) from: R,
    pub(crate) bytes: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(from: R, bytes: Vec<u8>) -> Self {
        Self { from, bytes }
    }

    /// Appends what comes next; `false` at the end. Loses nothing when it is dropped while it waits.
    pub(crate) async fn more(&mut self, most: usize) -> io::Result<bool> {
        self.bytes.reserve(most);
        Ok(self.from.read_buf(&mut self.bytes).await? > 0)
    }

    /// The stream itself.
    pub(crate) fn stream(&mut self) -> &mut R {
        &mut self.from
    }

    pub(crate) fn take(&mut self, length: usize) {
        if length >= self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..length);
        }
    }

    /// Gives the buffer back while nothing is in it, so that an idle connection keeps none.
    pub(crate) fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}

/// Why a request and its answer did not both come to an end.
pub(crate) enum Failure {
    /// The program's side broke off.
    Client(io::Error),
    /// The server's side broke off, or what it says can't be passed on.
    Server(String),
    /// What the program sends is ambiguous.
    Malformed(String),
    /// Policy holds back what streams past.
    Held(String),
    /// The answer was cut after some of it was passed on; the program was told so.
    Cut(String),
    /// The run's budget is used up.
    Budget,
}

impl Failure {
    /// The same failure where the other side was written to.
    pub(crate) fn at_server(self) -> Self {
        match self {
            Self::Client(error) => Self::Server(error.to_string()),
            other => other,
        }
    }
}

/// Looks at what a request carries on without its being at hand.
pub(crate) struct Watch<'a> {
    gate: &'a Gate,
    armed: &'a Armed,
    before: Vec<u8>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(gate: &'a Gate, armed: &'a Armed) -> Self {
        Self { gate, armed, before: Vec::new() }
    }

    /// Looks at the next piece, together with the end of what went before.
    ///
    /// # Errors
    /// It must not go on, and why.
    pub(crate) fn look(&mut self, piece: &[u8]) -> Result<(), String> {
        if piece.is_empty() {
            return Ok(());
        }
        self.before.extend_from_slice(piece);
        let looked_at = self.gate.passing(self.armed, &self.before);
        let keep = self.before.len().saturating_sub(OVERLAP_BYTES);
        self.before.drain(..keep);
        looked_at.map_err(|verdict| held(&verdict))
    }
}

/// Why what streams past is held back, in a sentence.
fn held(verdict: &Verdict) -> String {
    format!("what it carried was held back on its way: {} (rule `{}`)", verdict.reason, verdict.rule.rule)
}

/// Why a body is cut off, or not begun with.
pub(crate) fn too_long(limit: u64) -> String {
    format!("the rule lets {limit} bytes pass, and this has more")
}

/// What data passes through.
pub(crate) struct Sieve<'a> {
    through: Through<'a>,
    /// How many bytes may pass still, and how many there were at first.
    limit: Option<(u64, u64)>,
}

/// What becomes of data that passes.
pub(crate) enum Through<'a> {
    /// Nothing.
    Open,
    /// Known values are covered in it.
    Mask(&'a mut Mask),
    /// Policy looks at it.
    Watch(Watch<'a>),
}

impl<'a> Sieve<'a> {
    /// `limit`: most bytes that may pass.
    pub(crate) fn new(through: Through<'a>, limit: Option<u64>) -> Self {
        Self { through, limit: limit.map(|limit| (limit, limit)) }
    }

    /// The data as it may go on, as far as that can be told yet.
    ///
    /// # Errors
    /// It must not go on, and why.
    pub(crate) fn pass<'d>(&mut self, data: &'d [u8], is_last: bool) -> Result<Cow<'d, [u8]>, String> {
        if let Some((left, limit)) = &mut self.limit {
            *left = left.checked_sub(u64::try_from(data.len()).unwrap_or(u64::MAX)).ok_or_else(|| too_long(*limit))?;
        }
        match &mut self.through {
            Through::Open => Ok(Cow::Borrowed(data)),
            Through::Watch(watch) => watch.look(data).map(|()| Cow::Borrowed(data)),
            Through::Mask(mask) => {
                let mut out = Vec::with_capacity(data.len());
                mask.push(data, &mut out);
                if is_last {
                    mask.finish(&mut out);
                }
                Ok(Cow::Owned(out))
            }
        }
    }
}

/// One body on its way.
#[derive(Debug)]
pub(crate) enum Body {
    Exact(u64),
    /// Chunks as they come.
    Chunked(Chunked),
    /// Chunks whose data is taken out and framed anew.
    Reframed(Chunked),
    UntilClose,
}

impl Body {
    /// A request's; `looked_at` is whether anybody looks at its data.
    pub(crate) fn of_request(length: BodyLength, looked_at: bool) -> Self {
        match length {
            BodyLength::Exact(length) => Self::Exact(length),
            BodyLength::Chunked if looked_at => Self::Reframed(Chunked::bare()),
            BodyLength::Chunked => Self::Chunked(Chunked::default()),
        }
    }

    pub(crate) fn of_answer(length: AnswerLength, masked: bool) -> Self {
        match length {
            AnswerLength::Exact(length) => Self::Exact(length),
            // Values are looked for across the borders of chunks, so the data is framed anew.
            AnswerLength::Chunked if masked => Self::Reframed(Chunked::bare()),
            AnswerLength::Chunked => Self::Chunked(Chunked::with_trailers()),
            AnswerLength::UntilClose => Self::UntilClose,
        }
    }

    /// Takes data out of what was read, for whoever keeps it; says whether the body is complete.
    ///
    /// # Errors
    /// The framing is broken.
    pub(crate) fn gather<R>(&mut self, from: &mut Reader<R>, into: &mut Vec<u8>) -> Result<bool, ChunkError>
    where
        R: AsyncRead + Unpin,
    {
        match self {
            Self::Exact(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(from.bytes.len());
                *left -= u64::try_from(here).unwrap_or(*left);
                into.extend_from_slice(from.bytes.get(..here).unwrap_or_default());
                from.take(here);
                Ok(*left == 0)
            }
            Self::Chunked(chunked) | Self::Reframed(chunked) => {
                let taken = chunked.pass(&from.bytes, into)?;
                from.take(taken);
                Ok(chunked.is_done())
            }
            Self::UntilClose => Err(ChunkError),
        }
    }

    /// Sends exactly this body, after what of it was read `ahead`; what follows it stays in the reader.
    pub(crate) async fn pass<R, W>(
        &mut self,
        ahead: &[u8],
        from: &mut Reader<R>,
        to: &mut W,
        meter: &Meter<'_>,
        direction: Direction,
        mut sieve: Sieve<'_>,
    ) -> Result<(), Failure>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let sent = direction == Direction::Sent;
        let written = |failure: Failure| if sent { failure.at_server() } else { failure };
        if !ahead.is_empty() {
            let data = sieve.pass(ahead, false).map_err(Failure::Held)?;
            let framed = if let Self::Reframed(_) = self { Cow::Owned(chunk(&data, false)) } else { data };
            send(&framed, to, meter, direction).await.map_err(written)?;
        }
        let anew = matches!(self, Self::Reframed(_));
        loop {
            let taken = match self {
                Self::Exact(0) => return Ok(()),
                Self::Exact(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(from.bytes.len());
                    *left -= u64::try_from(here).unwrap_or(*left);
                    let bytes = from.bytes.get(..here).unwrap_or_default();
                    let bytes = sieve.pass(bytes, *left == 0).map_err(Failure::Held)?;
                    send(&bytes, to, meter, direction).await.map_err(written)?;
                    here
                }
                Self::Chunked(chunked) | Self::Reframed(chunked) if chunked.is_done() => return Ok(()),
                Self::Chunked(chunked) | Self::Reframed(chunked) => {
                    let mut out = Vec::with_capacity(from.bytes.len() + 64);
                    let taken = chunked.pass(&from.bytes, &mut out).map_err(|error| {
                        if sent { Failure::Malformed(error.to_string()) } else { Failure::Server(error.to_string()) }
                    })?;
                    if anew {
                        out = chunk(&sieve.pass(&out, chunked.is_done()).map_err(Failure::Held)?, chunked.is_done());
                    }
                    send(&out, to, meter, direction).await.map_err(written)?;
                    if chunked.is_done() {
                        from.take(taken);
                        return Ok(());
                    }
                    taken
                }
                Self::UntilClose => {
                    let bytes = sieve.pass(&from.bytes, false).map_err(Failure::Held)?;
                    send(&bytes, to, meter, direction).await.map_err(written)?;
                    from.bytes.len()
                }
            };
            from.take(taken);
            if matches!(self, Self::Exact(0)) {
                return Ok(());
            }
            let read = |error: io::Error| {
                if sent { Failure::Client(error) } else { Failure::Server(format!("the server broke off: {error}")) }
            };
            match from.more(BODY_READ_BYTES).await {
                Ok(true) => {}
                Ok(false) if matches!(self, Self::UntilClose) => {
                    return send(&sieve.pass(&[], true).map_err(Failure::Held)?, to, meter, direction).await;
                }
                Ok(false) => return Err(read(io::ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(read(error)),
            }
        }
    }
}

/// One chunk of this data, and the end of the body after the last.
pub(crate) fn chunk(data: &[u8], is_last: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 32);
    if !data.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }
    if is_last {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    out
}

/// Sends bytes under the meter, all the way out.
pub(crate) async fn send<W: AsyncWrite + Unpin>(
    bytes: &[u8],
    to: &mut W,
    meter: &Meter<'_>,
    direction: Direction,
) -> Result<(), Failure> {
    if bytes.is_empty() {
        return Ok(());
    }
    let granted = meter.grant(direction, bytes.len());
    to.write_all(bytes.get(..granted).unwrap_or_default()).await.map_err(Failure::Client)?;
    to.flush().await.map_err(Failure::Client)?;
    meter.moved(direction, granted);
    if granted < bytes.len() { Err(Failure::Budget) } else { Ok(()) }
}

//! Bodies that are decided on: read whole before their request is, within bounds. What a rule depends on and can't be had
//! whole refuses the request; what is only to be scanned may be longer, and is then looked at as it streams past.

use std::sync::Arc;
use std::time::Duration;

use bartizan_model::BodyNeed;
use h2::RecvStream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::body::{BODY_READ_BYTES, Body, Reader};
use crate::flow::{Ended, Flow, broken, refused_with};
use crate::head::{BodyLength, Head};
use crate::reply::Reply;
use crate::traffic::Meter;

/// Largest body that is at hand when its request is decided: calls of APIs are smaller, and a scanner has read it within
/// a few hundredths of a second.
pub(crate) const BODY_AT_HAND_MAX: usize = 1024 * 1024;
/// Largest question to a model: as much as one action carries, for pictures in it are large.
pub(crate) const QUESTION_BYTES_MAX: usize = bartizan_model::CONTENT_BYTES_MAX;
/// All bodies of a run that are at hand together; requests beyond that wait for room.
const ROOM_KIB: usize = 32 * 1024;
/// How long a body may take, and how long it may wait for room.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Room for bodies, in KiB.
pub(crate) fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ROOM_KIB))
}

/// What becomes of a body before its request is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It streams, and nobody looks at it.
    Streams,
    /// It streams, and policy looks at it as it does.
    Watched,
    /// It is read whole if that can be done, and streams otherwise; with whether policy looks at it then.
    Wanted { watched: bool },
    /// It is read whole, or the request is refused.
    Needed,
    /// The same of a question to a model, which may be larger.
    Question,
}

impl Hold {
    /// What this request's body calls for; `lent`: placeholders may stand in its fields.
    ///
    /// # Errors
    /// It is needed and can't be had; what the program is told.
    pub(crate) fn of(head: &Head, need: BodyNeed, lent: bool) -> Result<Self, Reply> {
        const MOST: u64 = BODY_AT_HAND_MAX as u64;
        let length = match head.body {
            BodyLength::Exact(length) => Some(length),
            BodyLength::Chunked => None,
        };
        let too_long = length.is_some_and(|length| length > MOST);
        match need {
            BodyNeed::Ruled if too_long => Err(too_large(BODY_AT_HAND_MAX)),
            BodyNeed::Ruled if length != Some(0) && head.is_encoded() => Err(Reply::unsupported(
                "a rule depends on the request's body, and it is compressed; send it without `Content-Encoding`",
            )),
            BodyNeed::Ruled => Ok(Self::Needed),
            _ if length == Some(0) => Ok(Self::Streams),
            // Both sides of such a call may speak at any time, so waiting for its end could wait for ever.
            BodyNeed::Scanned if too_long || head.is_grpc() => Ok(Self::Watched),
            BodyNeed::Scanned => Ok(Self::Wanted { watched: true }),
            BodyNeed::Nothing if lent && !too_long => Ok(Self::Wanted { watched: false }),
            BodyNeed::Nothing => Ok(Self::Streams),
        }
    }
}

impl Hold {
    /// What a question to a model calls for.
    ///
    /// # Errors
    /// It is too large or encoded; what the program is told.
    pub(crate) fn of_question(head: &Head) -> Result<Self, Reply> {
        let too_long = matches!(head.body, BodyLength::Exact(length) if length > QUESTION_BYTES_MAX as u64);
        if too_long {
            return Err(too_large(QUESTION_BYTES_MAX));
        }
        if head.is_encoded() {
            let why = "the question to the model is compressed, so nobody could look through it; send it without `Content-Encoding`";
            return Err(Reply::unsupported(why));
        }
        Ok(Self::Question)
    }

    /// How large a body may be that is read whole.
    fn most(self) -> usize {
        if self == Self::Question { QUESTION_BYTES_MAX } else { BODY_AT_HAND_MAX }
    }
}

/// What is known of a body when its request is decided.
pub(crate) struct Held {
    /// All of it.
    pub(crate) whole: Option<Vec<u8>>,
    /// The beginning of one that streams.
    pub(crate) ahead: Vec<u8>,
    /// Whether policy looks at what streams.
    pub(crate) watched: bool,
    /// What it takes of the room for bodies, as long as it is there.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl Held {
    fn streams(ahead: Vec<u8>, watched: bool) -> Self {
        Self { whole: None, ahead, watched, room: None }
    }

    /// The body is complete.
    fn whole(bytes: Vec<u8>, mut room: OwnedSemaphorePermit) -> Self {
        let left = room.num_permits().saturating_sub(kib(bytes.len()));
        // What it doesn't need is free again.
        drop(room.split(left));
        Self { whole: Some(bytes), ahead: Vec::new(), watched: false, room: Some(room) }
    }
}

impl Flow<'_> {
    /// Reads what is to be at hand of an HTTP/1 body, and gives what is left of it to be streamed.
    pub(crate) async fn hold<R, W>(
        &self,
        head: &mut Head,
        hold: Hold,
        client: &mut Reader<R>,
        to: &mut W,
        meter: &Meter<'_>,
    ) -> Result<(Held, Body), Ended>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut body = Body::of_request(head.body, hold != Hold::Streams);
        let (watched, needed) = match hold {
            Hold::Streams => return Ok((Held::streams(Vec::new(), false), body)),
            Hold::Watched => return Ok((Held::streams(Vec::new(), true), body)),
            Hold::Wanted { watched } => (watched, false),
            Hold::Needed | Hold::Question => (true, true),
        };
        let most = hold.most();
        let deadline = Instant::now() + BODY_TIMEOUT;
        let room = tokio::select! {
            room = self.room_for(head.body, most, deadline) => room.map_err(refused)?,
            ended = self.interrupted(meter, None) => return Err(ended),
        };
        if head.drop_expectation() {
            let invited = async {
                to.write_all(CONTINUE).await?;
                to.flush().await
            };
            invited.await.map_err(|error| broken(&error.to_string()))?;
        }
        let mut bytes = Vec::new();
        loop {
            let complete =
                body.gather(client, &mut bytes).map_err(|error| refused(Reply::bad_request(&error.to_string())))?;
            match (complete, bytes.len() > most) {
                (true, false) => return Ok((Held::whole(bytes, room), body)),
                (_, true) if needed => return Err(refused(too_large(most))),
                (_, true) => return Ok((Held::streams(bytes, watched), body)),
                (false, false) => {}
            }
            let more = tokio::select! {
                more = timeout_at(deadline, client.more(BODY_READ_BYTES)) => more,
                ended = self.interrupted(meter, None) => return Err(ended),
            };
            match more {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return Err(broken("the program broke off in a request")),
                Ok(Err(error)) => return Err(broken(&error.to_string())),
                Err(_) if needed => return Err(refused(Reply::timeout())),
                Err(_) => return Ok((Held::streams(bytes, watched), body)),
            }
        }
    }

    /// The same of a stream of HTTP/2, where what is left stays in the stream.
    pub(crate) async fn hold_stream(&self, head: &Head, hold: Hold, body: &mut RecvStream) -> Result<Held, Reply> {
        let (watched, needed) = match hold {
            Hold::Streams => return Ok(Held::streams(Vec::new(), false)),
            Hold::Watched => return Ok(Held::streams(Vec::new(), true)),
            Hold::Wanted { watched } => (watched, false),
            Hold::Needed | Hold::Question => (true, true),
        };
        let most = hold.most();
        let deadline = Instant::now() + BODY_TIMEOUT;
        let room = self.room_for(head.body, most, deadline).await?;
        let mut bytes = Vec::new();
        loop {
            match timeout_at(deadline, body.data()).await {
                Ok(None) => break,
                Ok(Some(Ok(data))) => {
                    bytes.extend_from_slice(&data);
                    // A stream that has ended has no window to give back to.
                    let _ = body.flow_control().release_capacity(data.len());
                }
                Ok(Some(Err(error))) => return Err(Reply::bad_request(&format!("the request broke off: {error}"))),
                Err(_) if needed => return Err(Reply::timeout()),
                Err(_) => return Ok(Held::streams(bytes, watched)),
            }
            if bytes.len() > most {
                return if needed { Err(too_large(most)) } else { Ok(Held::streams(bytes, watched)) };
            }
        }
        match head.body {
            BodyLength::Exact(length) if u64::try_from(bytes.len()) != Ok(length) => {
                Err(Reply::bad_request("the request's body is not as long as it says"))
            }
            _ => Ok(Held::whole(bytes, room)),
        }
    }

    /// Room for a body of this length, waited for a while.
    async fn room_for(
        &self,
        length: BodyLength,
        most: usize,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, Reply> {
        let bytes = match length {
            BodyLength::Exact(length) => usize::try_from(length).unwrap_or(most).min(most),
            BodyLength::Chunked => most,
        };
        let wanted = u32::try_from(kib(bytes)).unwrap_or(u32::MAX);
        match timeout_at(deadline, self.context.bodies.clone().acquire_many_owned(wanted)).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(Reply::busy("too many requests wait to be decided with their bodies; send fewer at once")),
        }
    }
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024).max(1)
}

fn too_large(most: usize) -> Reply {
    Reply::too_large(&format!(
        "a rule depends on the request's body, and only {most} bytes of one are looked at; send less at once"
    ))
}

fn refused(reply: Reply) -> Ended {
    refused_with(reply.reason(), reply)
}

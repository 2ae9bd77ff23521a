//! Carries one admitted connection: both directions at once, the first bytes checked, until both sides are done or
//! something puts an end to it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bartizan_gate::Gate;
use bartizan_model::SecretUse;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::chunked::Chunked;
use crate::first::{Clarity, First, FirstError, Patience, check_request, check_tls, listen, listen_on};
use crate::flow::asks_for_secrets;
use crate::head::{Afterwards, BodyLength, Head, Target};
use crate::host::Host;
use crate::reply::Reply;
use crate::splice::{CopyError, copy, send};
use crate::traffic::{Direction, Meter};

/// How long a client may keep its side open after the server has closed.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(300);
/// How much of a chunked body is in memory at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// One connection's two sides.
pub(crate) struct Link<'a> {
    pub(crate) client: &'a TcpStream,
    pub(crate) server: &'a TcpStream,
    pub(crate) meter: &'a Meter<'a>,
    pub(crate) host: &'a Host,
    pub(crate) port: u16,
    /// The rule names the one address that is dialled.
    pub(crate) pinned: bool,
    pub(crate) gate: &'a Gate,
}

/// What the client's side begins with.
pub(crate) enum Start {
    /// These bytes and whatever follows; not yet checked.
    Unchecked(Vec<u8>),
    /// One request that has been checked.
    Request(Request),
}

/// One request, ready to be sent on.
pub(crate) struct Request {
    /// The head as it goes upstream.
    pub(crate) head: Vec<u8>,
    /// The body's length.
    pub(crate) body: BodyLength,
    /// What followed the head.
    pub(crate) rest: Vec<u8>,
    /// Whether the connection becomes opaque when the server agrees to an upgrade.
    pub(crate) upgrade: bool,
}

/// Why a connection ended before both sides were done.
#[derive(Debug)]
pub(crate) enum Cut {
    /// A side broke off.
    Broken(io::Error),
    /// The bytes are not those of the connection that was admitted.
    Refused(String, Option<Reply>),
    /// The run's budget is used up.
    Budget,
}

impl From<CopyError> for Cut {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Broken(error) => Self::Broken(error),
            CopyError::Budget => Self::Budget,
        }
    }
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<FirstError> for Cut {
    fn from(error: FirstError) -> Self {
        match error {
            FirstError::Broken(error) => Self::Broken(error),
            FirstError::Malformed(reason, reply) => Self::Refused(reason, reply),
        }
    }
}

/// How the client's side ended.
enum Outward {
    /// The client has closed it, and the server was told.
    Closed,
    /// One request was sent. What follows it has been decided by nobody and stays where it is.
    RequestSent,
}

/// What the two directions tell each other.
#[derive(Default)]
struct Shared {
    /// The server agreed to an upgrade.
    upgraded: Notify,
    /// Anything may pass from the client from now on.
    opaque: AtomicBool,
}

/// Carries the connection to its end.
pub(crate) async fn relay(link: &Link<'_>, start: Start) -> Result<(), Cut> {
    let shared = Shared::default();
    let outward = outward(link, start, &shared);
    let inward = inward(link, &shared);
    tokio::pin!(outward, inward);
    tokio::select! {
        ended = &mut outward => match ended? {
            Outward::Closed => inward.await,
            Outward::RequestSent => tokio::select! {
                ended = &mut inward => ended,
                ended = client_closed(link) => {
                    ended?;
                    inward.await
                }
            },
        },
        ended = &mut inward => {
            ended?;
            if shared.opaque.load(Ordering::Acquire) {
                // What the client still says may matter to the server; it only must not hold the connection for ever.
                let rest = tokio::time::timeout(HALF_CLOSED_TIMEOUT, outward).await;
                return rest.map_or(Ok(()), |ended| ended.map(|_| ()));
            }
            Ok(())
        }
    }
}

/// Client to server.
async fn outward(link: &Link<'_>, start: Start, shared: &Shared) -> Result<Outward, Cut> {
    let request = match start {
        Start::Request(request) => request,
        Start::Unchecked(before) => match listen(link.client, before, Patience::Brief).await? {
            First::Nothing => return finish(link.server).map(|()| Outward::Closed),
            First::Opaque(bytes) => return opaque(link, shared, bytes).await,
            First::Unclear(bytes) => return unclear(link, shared, bytes).await,
            First::Tls(name, bytes) => {
                check_tls(name.as_ref(), link.host, link.pinned).map_err(|reason| Cut::Refused(reason, None))?;
                return opaque(link, shared, bytes).await;
            }
            First::Http(head, rest) => plain_request(link, &head, rest)?,
        },
    };
    send(&request.head, link.server, link.meter, Direction::Sent).await?;
    let rest = body(link, request.body, request.rest).await?;
    if request.upgrade {
        shared.upgraded.notified().await;
        return opaque(link, shared, rest).await;
    }
    Ok(Outward::RequestSent)
}

/// Resolves when the client has closed its side after its request, and tells the server. A client that sends more
/// instead is not read any further.
async fn client_closed(link: &Link<'_>) -> Result<(), Cut> {
    link.client.readable().await?;
    let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
    match rustix::net::recv(link.client, &mut [0_u8; 1], flags) {
        Ok((0, _)) => finish(link.server),
        _ => std::future::pending().await,
    }
}

/// A request on a connection whose requests aren't decided one by one: checked, its path passed on as it is.
fn plain_request(link: &Link<'_>, head: &Head, rest: Vec<u8>) -> Result<Request, Cut> {
    let refuse = |reason: String| {
        let reply = Reply::bad_request(&reason);
        Cut::Refused(reason, Some(reply))
    };
    check_request(head, link.host, link.port).map_err(refuse)?;
    let Target::Origin { path, query } = &head.target else {
        return Err(refuse("a request with a whole URL belongs to the proxy at 127.0.0.1:3128".to_owned()));
    };
    if let Some(SecretUse { name, at, .. }) = asks_for_secrets(link.gate, head) {
        let host = link.host;
        let reason = format!(
            "the secret `{name}` is not bound to `{host}`; `bartizan secret grant {name} --host {host} --at {at}` would bind it there"
        );
        let reply = Reply::forbidden(&reason, &format!("http {} http://{host}:{}{path}", head.method, link.port));
        return Err(Cut::Refused(reason, Some(reply)));
    }
    let bytes = head.forward(path, query.as_deref(), Afterwards::Upgrade);
    Ok(Request { head: bytes, body: head.body, rest, upgrade: head.upgrade.is_some() })
}

/// Sends these bytes, then everything else.
async fn opaque(link: &Link<'_>, shared: &Shared, bytes: Vec<u8>) -> Result<Outward, Cut> {
    shared.opaque.store(true, Ordering::Release);
    send(&bytes, link.server, link.meter, Direction::Sent).await?;
    // An idle tunnel keeps no buffer.
    drop(bytes);
    copy(link.client, link.server, link.meter, Direction::Sent, None).await?;
    finish(link.server).map(|()| Outward::Closed)
}

/// Sends what may still become a request, and goes on checking until it has become clear that it is none.
async fn unclear(link: &Link<'_>, shared: &Shared, mut bytes: Vec<u8>) -> Result<Outward, Cut> {
    let mut sent = 0;
    loop {
        send(bytes.get(sent..).unwrap_or_default(), link.server, link.meter, Direction::Sent).await?;
        sent = bytes.len();
        match listen_on(link.client, &mut bytes).await? {
            Clarity::Unclear => {}
            Clarity::Ended => return finish(link.server).map(|()| Outward::Closed),
            Clarity::Opaque => {
                bytes.drain(..sent);
                return opaque(link, shared, bytes).await;
            }
        }
    }
}

/// Sends exactly one body; returns what follows it, as far as it has been read.
async fn body(link: &Link<'_>, length: BodyLength, mut rest: Vec<u8>) -> Result<Vec<u8>, Cut> {
    match length {
        BodyLength::Exact(length) => {
            let here = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
            send(rest.get(..here).unwrap_or_default(), link.server, link.meter, Direction::Sent).await?;
            rest.drain(..here);
            let left = length - u64::try_from(here).unwrap_or(length);
            copy(link.client, link.server, link.meter, Direction::Sent, Some(left)).await?;
            Ok(rest)
        }
        BodyLength::Chunked => chunked(link, rest).await,
    }
}

async fn chunked(link: &Link<'_>, mut bytes: Vec<u8>) -> Result<Vec<u8>, Cut> {
    let mut chunked = Chunked::default();
    loop {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let taken = chunked.pass(&bytes, &mut out).map_err(|error| {
            let reason = error.to_string();
            let reply = Reply::bad_request(&reason);
            Cut::Refused(reason, Some(reply))
        })?;
        send(&out, link.server, link.meter, Direction::Sent).await?;
        if chunked.is_done() {
            bytes.drain(..taken);
            return Ok(bytes);
        }
        link.client.readable().await?;
        bytes.resize(CHUNK_BYTES, 0);
        match link.client.try_read(&mut bytes) {
            Ok(0) => return Err(Cut::Broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => bytes.truncate(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => bytes.clear(),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Server to client.
async fn inward(link: &Link<'_>, shared: &Shared) -> Result<(), Cut> {
    look_for_upgrade(link, shared).await?;
    copy(link.server, link.client, link.meter, Direction::Received, None).await?;
    finish(link.client)
}

/// Looks, without taking them, at the first bytes of the server's answer: only `101` makes the connection opaque.
async fn look_for_upgrade(link: &Link<'_>, shared: &Shared) -> Result<(), Cut> {
    const ANSWER: usize = b"HTTP/1.1 101".len();
    let mut start = [0_u8; ANSWER];
    link.server.readable().await?;
    let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
    if let Ok((ANSWER, _)) = rustix::net::recv(link.server, &mut start, flags)
        && (&start == b"HTTP/1.1 101" || &start == b"HTTP/1.0 101")
    {
        // Remembered until the other direction waits for it.
        shared.upgraded.notify_one();
    }
    Ok(())
}

/// Tells this side that nothing more comes.
fn finish(side: &TcpStream) -> Result<(), Cut> {
    match rustix::net::shutdown(side, rustix::net::Shutdown::Write) {
        // A side that is gone already needs no telling.
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(error) => Err(Cut::Broken(error.into())),
    }
}

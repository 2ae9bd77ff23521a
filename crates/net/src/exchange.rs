//! HTTP/1 on a connection whose requests are decided one by one: a request is read, decided, sent on, answered; then
//! comes the next. Plain or inside TLS makes no difference here. Bodies flow through a small buffer, both ways at once.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bartizan_model::OutcomeStatus;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};

use crate::answer::AnswerLength;
use crate::answer::{self, Answer, AnswerReading};
use crate::body::{Body, Failure, Reader, Sieve, Through, chunk, send, too_long};
use crate::context::Context;
use crate::flow::{Ended, Farewell, Flow, broken, refused_with, stopped};
use crate::head::{self, Afterwards, Head, Reading};
use crate::llm::Way;
use crate::reply::Reply;
use crate::requests::Admitted;
use crate::traffic::{Direction, Meter};

/// How much of a head is read at once, and kept by a connection that waits for its next request.
const HEAD_READ_BYTES: usize = 4096;
/// Why an answer to a request with a secret is not passed on.
pub(crate) const ENCODED: &str =
    "the server encoded its answer although it was asked not to, so a secret in it could not be found";
/// How long a head may take from its first byte to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may wait for its next request; browsers and pools give up after one to five minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// The server's side.
pub(crate) struct Server<S> {
    from: Reader<ReadHalf<S>>,
    to: WriteHalf<S>,
}

/// The program's side, and what is known of it already.
pub(crate) struct Opening<C> {
    /// The stream.
    pub(crate) client: C,
    /// The first request, if it was read already.
    pub(crate) first: Option<Box<Head>>,
    /// What followed it.
    pub(crate) rest: Vec<u8>,
}

/// What follows a request's head.
struct Following {
    body: Body,
    /// Whether further requests may follow.
    keeps: bool,
}

/// How an answer ended.
struct Answered {
    status: u16,
    keep: bool,
}

impl Flow<'_> {
    /// Serves the connection to its end. `reach` makes the connection to the server, once, when a request was admitted.
    pub(crate) async fn exchange<C, S, F>(
        &self,
        opening: Opening<C>,
        scheme: &'static str,
        meter: &Meter<'_>,
        reach: impl FnOnce() -> F,
    ) -> (Ended, Option<SocketAddr>)
    where
        C: AsyncRead + AsyncWrite + Unpin,
        S: AsyncRead + AsyncWrite + Unpin,
        F: Future<Output = Result<(S, SocketAddr), String>>,
    {
        let (from, mut to) = tokio::io::split(opening.client);
        let mut client = Reader::new(from, opening.rest);
        let mut first = opening.first;
        let mut reach = Some(reach);
        let mut server: Option<Server<S>> = None;
        let mut address = None;
        let ended = loop {
            let mut head = match first.take() {
                Some(head) => head,
                None => match self.next_head(&mut client, server.as_mut(), meter).await {
                    Ok(head) => head,
                    Err(ended) => break ended,
                },
            };
            if let Some(Err(reply)) = self.front.as_deref().map(|front| front.turn(&mut head)) {
                break refused_with(reply.reason(), reply);
            }
            let keeps = head.is_kept();
            let mut asked = match self.ask(*head, scheme) {
                Ok(asked) => asked,
                Err(refused) => break refused_with(refused.detail(), refused.reply()),
            };
            let hold = asked.hold;
            let (held, body) = match self.hold(&mut asked.head, hold, &mut client, &mut to, meter).await {
                Ok(held) => held,
                Err(ended) => break ended,
            };
            let admitted = match self.admit_request(asked, held, self.left()).await {
                Ok(admitted) => admitted,
                Err(refused) => break refused_with(refused.detail(), refused.reply()),
            };
            let part = meter.part();
            if let Some(reach) = reach.take() {
                let reached = tokio::select! {
                    reached = reach() => reached.map_err(unreachable),
                    ended = self.given_up(Some(&admitted)) => Err(ended),
                };
                match reached {
                    Ok((stream, at)) => {
                        address = Some(at);
                        let (from, to) = tokio::io::split(stream);
                        server = Some(Server { from: Reader::new(from, Vec::new()), to });
                    }
                    Err(ended) => {
                        self.close_request(admitted, Err(&ended), address, &part).await;
                        break ended;
                    }
                }
            }
            let passed = match server.as_mut() {
                Some(server) => tokio::select! {
                    passed = self.pass(&admitted, Following { body, keeps }, &mut client, &mut to, server, &part) => passed,
                    ended = self.interrupted(meter, Some(&admitted)) => Err(ended),
                },
                None => Err(broken("the server is gone")),
            };
            let came_of_it = passed.as_ref().map(|answered| answered.status);
            self.close_request(admitted, came_of_it, address, &part).await;
            match passed {
                Ok(Answered { keep: true, .. }) => {}
                Ok(Answered { keep: false, .. }) => break Ended::done(),
                Err(ended) => break ended,
            }
        };
        (farewell(ended, &mut client.from, &mut to).await, address)
    }

    /// The next request's head, or how the connection ends without one.
    pub(crate) async fn next_head<C: AsyncRead + Unpin, S: AsyncRead + Unpin>(
        &self,
        client: &mut Reader<C>,
        server: Option<&mut Server<S>>,
        meter: &Meter<'_>,
    ) -> Result<Box<Head>, Ended> {
        if client.bytes.is_empty() {
            client.rest();
            let closed = async {
                match server {
                    // Whatever a server says without being asked, it is no answer.
                    Some(server) => drop(server.from.more(HEAD_READ_BYTES).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                more = client.more(HEAD_READ_BYTES) => match more {
                    Ok(true) => {}
                    Ok(false) => return Err(Ended::done()),
                    // Closed without the goodbye of TLS; between requests nothing is lost by it.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Ended::done()),
                    Err(error) => return Err(broken(&error.to_string())),
                },
                () = closed => return Err(Ended::done()),
                () = tokio::time::sleep(IDLE_TIMEOUT) => return Err(Ended::done()),
                ended = self.interrupted(meter, None) => return Err(ended),
            }
        }
        tokio::select! {
            head = tokio::time::timeout(HEAD_TIMEOUT, read_head(client)) => {
                head.unwrap_or_else(|_| Err(refused_with("no request arrived in time".to_owned(), Reply::timeout())))
            }
            ended = self.interrupted(meter, None) => Err(ended),
        }
    }

    /// Sends the request on and its answer back, at the same time: a server may answer before it has heard all.
    async fn pass<C, S>(
        &self,
        admitted: &Admitted,
        following: Following,
        client: &mut Reader<ReadHalf<C>>,
        to_client: &mut WriteHalf<C>,
        server: &mut Server<S>,
        meter: &Meter<'_>,
    ) -> Result<Answered, Ended>
    where
        C: AsyncRead + AsyncWrite,
        S: AsyncRead + AsyncWrite,
    {
        let Following { mut body, keeps } = following;
        let begun = AtomicBool::new(false);
        let head = admitted.bytes(if keeps { Afterwards::Keep } else { Afterwards::Close });
        let Server { from, to } = server;
        let ended = {
            let upload = async {
                send(&head, to, meter, Direction::Sent).await.map_err(|failure| failure.at_server())?;
                if let Some(whole) = admitted.body() {
                    let framed = match body {
                        Body::Reframed(_) | Body::Chunked(_) => Cow::Owned(chunk(whole, true)),
                        Body::Exact(_) | Body::UntilClose => Cow::Borrowed(whole),
                    };
                    return send(&framed, to, meter, Direction::Sent).await.map_err(|failure| failure.at_server());
                }
                let sieve = admitted.sieve(&self.context.gate);
                if matches!(body, Body::Chunked(_)) && admitted.limits().0.is_some() {
                    // Nothing of it was read yet; its data is counted.
                    body = Body::of_request(admitted.head().body, true);
                }
                body.pass(admitted.ahead(), client, to, meter, Direction::Sent, sieve).await
            };
            let way = Way { from, to: to_client, meter, begun: &begun, chunks: admitted.head().minor == 1 };
            let download = answers(self.context, admitted, keeps, way);
            let left = self.left();
            tokio::pin!(upload, download, left);
            let mut sent = false;
            loop {
                tokio::select! {
                    ended = &mut upload, if !sent => match ended {
                        Ok(()) => sent = true,
                        // It may have answered all the same, and closed because it wants no more.
                        Err(Failure::Server(_)) => break download.await.map(|answered| Answered { keep: false, ..answered }),
                        Err(failure) => break Err(failure),
                    },
                    answered = &mut download => {
                        break answered.map(|answered| Answered { keep: answered.keep && sent, ..answered });
                    }
                    // Only now: what it wrote before it ended is still on its way.
                    () = &mut left, if sent => break Err(Failure::Client(io::ErrorKind::ConnectionAborted.into())),
                }
            }
        };
        ended.map_err(|failure| {
            let reply =
                |reply: Reply| if begun.load(Ordering::Relaxed) { Farewell::Reset } else { Farewell::Reply(reply) };
            match failure {
                Failure::Client(error) => broken(&error.to_string()),
                Failure::Server(detail) => {
                    let farewell = reply(Reply::bad_gateway(&detail));
                    Ended { status: OutcomeStatus::Failed, detail, farewell }
                }
                Failure::Malformed(reason) => {
                    let farewell = reply(Reply::bad_request(&reason));
                    Ended { status: OutcomeStatus::Stopped, detail: reason, farewell }
                }
                Failure::Held(reason) => {
                    let farewell = reply(match admitted.conversation() {
                        Some(conversation) => conversation.reply(&reason),
                        None => Reply::forbidden(&reason, &admitted.explain()),
                    });
                    Ended { status: OutcomeStatus::Stopped, detail: reason, farewell }
                }
                Failure::Cut(detail) => Ended { status: OutcomeStatus::Stopped, detail, farewell: Farewell::Close },
                Failure::Budget => stopped(&meter.exhausted()),
            }
        })
    }
}

fn unreachable(detail: String) -> Ended {
    Ended { status: OutcomeStatus::Failed, farewell: Farewell::Reply(Reply::bad_gateway(&detail)), detail }
}

/// Says goodbye in the connection's own way. What is left to do is to drop the socket, or to reset it.
pub(crate) async fn farewell<R, W>(mut ended: Ended, from: &mut R, to: &mut W) -> Ended
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    match std::mem::replace(&mut ended.farewell, Farewell::Close) {
        Farewell::Close => {
            // A program that has gone needs no goodbye.
            let _ = to.shutdown().await;
        }
        Farewell::Reply(reply) => reply.deliver(from, to).await,
        Farewell::Reset => ended.farewell = Farewell::Reset,
    }
    ended
}

async fn read_head<R: AsyncRead + Unpin>(client: &mut Reader<R>) -> Result<Box<Head>, Ended> {
    let mut looked_at = 0;
    let malformed = |what: &str| {
        let reason = format!("the HTTP request is malformed or ambiguous: {what}");
        let reply = Reply::bad_request(&reason);
        refused_with(reason, reply)
    };
    loop {
        if is_worth_reading(&client.bytes, looked_at) {
            match head::read(&client.bytes) {
                Reading::Complete(head, end) => {
                    client.take(end);
                    return Ok(head);
                }
                Reading::Incomplete => {}
                Reading::Malformed(error) => return Err(malformed(&error.to_string())),
                Reading::NotHttp | Reading::Http2 => return Err(malformed("it is not HTTP/1")),
            }
        }
        looked_at = client.bytes.len();
        match client.more(HEAD_READ_BYTES).await {
            Ok(true) => {}
            Ok(false) => return Err(broken("the program broke off in a request")),
            Err(error) => return Err(broken(&error.to_string())),
        }
    }
}

/// Whether reading the head again can tell more than the last time: a head that comes byte by byte must not be read
/// from its beginning for each.
fn is_worth_reading(bytes: &[u8], looked_at: usize) -> bool {
    const LARGE: usize = head::HEAD_BYTES_MAX;
    let new = bytes.get(looked_at.saturating_sub(3)..).unwrap_or_default();
    let bare = |at: usize| at == 0 || new.get(at - 1) != Some(&b'\r');
    looked_at == 0
        || bytes.len() > LARGE
        || new.windows(4).any(|window| window == b"\r\n\r\n")
        || new.iter().enumerate().any(|(at, byte)| *byte == b'\n' && bare(at))
}

/// Passes answers on until the last one to this request, known values covered.
async fn answers<R, W>(
    context: &Arc<Context>,
    request: &Admitted,
    keeps: bool,
    way: Way<'_, R, W>,
) -> Result<Answered, Failure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut mask = context.gate.mask();
    let Way { from, to, meter, begun, chunks } = way;
    loop {
        let mut answer = read_answer(&request.head().method, from).await?;
        if answer.status == 101 {
            return Err(Failure::Server("the server switched protocols without being asked to".to_owned()));
        }
        if let Some(mask) = &mut mask {
            if request.carries_secret() && answer.is_encoded() {
                return Err(Failure::Server(ENCODED.to_owned()));
            }
            answer.cover(mask);
        }
        let keep = keeps && !answer.closes;
        let limit = request.limits().1;
        if let (Some(limit), AnswerLength::Exact(length)) = (limit, &answer.body)
            && !answer.is_interim()
            && *length > limit
        {
            return Err(Failure::Held(format!("of the answer: {}", too_long(limit))));
        }
        if let Some(conversation) = request.conversation().filter(|_| !answer.is_interim() && answer.has_body()) {
            let status = answer.status;
            let way = Way { from, to, meter, begun, chunks };
            conversation.carry(context, answer, mask, limit, !keep, way).await?;
            return Ok(Answered { status, keep: keep && chunks });
        }
        begun.store(true, Ordering::Relaxed);
        send(&answer.forward(!keep), to, meter, Direction::Received).await?;
        if answer.is_interim() {
            continue;
        }
        let mut body = Body::of_answer(answer.body, mask.is_some() || limit.is_some());
        let sieve = Sieve::new(mask.as_mut().map_or(Through::Open, Through::Mask), limit);
        body.pass(&[], from, to, meter, Direction::Received, sieve).await?;
        return Ok(Answered { status: answer.status, keep });
    }
}

async fn read_answer<R: AsyncRead + Unpin>(method: &str, from: &mut Reader<R>) -> Result<Answer, Failure> {
    let mut looked_at = 0;
    loop {
        if is_worth_reading(&from.bytes, looked_at) && !from.bytes.is_empty() {
            match answer::read(&from.bytes, method) {
                AnswerReading::Complete(answer, end) => {
                    from.take(end);
                    return Ok(answer);
                }
                AnswerReading::Incomplete => {}
                AnswerReading::Malformed(what) => {
                    return Err(Failure::Server(format!("the server's answer can't be passed on: {what}")));
                }
            }
        }
        looked_at = from.bytes.len();
        match from.more(HEAD_READ_BYTES).await {
            Ok(true) => {}
            Ok(false) => return Err(Failure::Server("the server closed the connection without an answer".to_owned())),
            Err(error) => return Err(Failure::Server(format!("the server broke off: {error}"))),
        }
    }
}

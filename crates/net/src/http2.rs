//! HTTP/2 on an inspected connection: every stream is a request, decided as any other and sent on to the one server
//! behind the connection, which speaks HTTP/2 too. Bodies flow by the windows of the two sides, never faster than
//! the slower one takes them; trailers and interim answers pass.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bartizan_gate::Mask;
use bartizan_model::OutcomeStatus;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream, SendStream, client};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::at_hand::Hold;
use crate::body::{Sieve, Through};
use crate::exchange::ENCODED;
use crate::flow::{Ended, Farewell, Flow, broken, stopped};
use crate::head::Head;
use crate::reply::Reply;
use crate::requests::Admitted;
use crate::traffic::{Direction, Meter};

/// Streams of one connection at once; servers usually allow 100 to 250, and pools open another connection.
const STREAMS_MAX: u32 = 100;
/// All headers of one request or answer, uncompressed: as in HTTP/1.
const HEADERS_BYTES_MAX: u32 = 64 * 1024;
/// What one stream may have on the way, and all of a connection together. It bounds the memory of a connection.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Streams a program has opened and given up before they were looked at. More is the attack called rapid reset.
const RESETS_PENDING_MAX: usize = 20;
/// Streams a program may give up beyond those it let come to an end: each costs entries in the ledger.
const RESETS_MAX: usize = 200;
/// Streams that break the rules of the protocol, before the connection is at an end.
const ERRORS_MAX: usize = 100;
/// How long a connection may be without a stream; as in HTTP/1.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long streams have to close their entries when their connection is over.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The scheme of every request.
const SCHEME: &str = "https";

/// Why a stream did not come to its end.
enum Failure {
    /// The program gave it up, or its connection broke.
    Client,
    /// The server gave it up; with the reason, which tells a program whether it may try again.
    Server(Reason, String),
    /// Policy holds back what streams past.
    Held(String),
    /// The run's budget is used up.
    Budget,
}

/// What the streams of one connection share.
struct Shared<'a> {
    upstream: SendRequest<Bytes>,
    address: SocketAddr,
    meter: &'a Meter<'a>,
    resets: AtomicUsize,
    completed: AtomicUsize,
}

fn server_side() -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(Some(ERRORS_MAX));
    builder
}

fn client_side() -> client::Builder {
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_local_error_reset_streams(Some(ERRORS_MAX));
    builder
}

impl Flow<'_> {
    /// Serves the connection to its end.
    pub(crate) async fn streams<C, S>(&self, client: C, server: S, address: SocketAddr, meter: &Meter<'_>) -> Ended
    where
        C: AsyncRead + AsyncWrite + Unpin,
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shaken = tokio::select! {
            shaken = async { tokio::join!(server_side().handshake::<_, Bytes>(client), client_side().handshake(server)) } => shaken,
            ended = self.given_up(None) => return ended,
            () = tokio::time::sleep(crate::secure::HANDSHAKE_TIMEOUT) => return stopped("HTTP/2 was agreed on, and no preface of it came"),
        };
        let (mut incoming, (upstream, connection)) = match shaken {
            (Ok(incoming), Ok(upstream)) => (incoming, upstream),
            (Err(error), _) => return broken(&format!("in HTTP/2: {error}")),
            (_, Err(error)) => return failed(format!("the server broke off in HTTP/2: {error}")),
        };
        let shared = Shared { upstream, address, meter, resets: AtomicUsize::new(0), completed: AtomicUsize::new(0) };
        let mut connection = Some(Box::pin(connection));
        let mut streams: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = FuturesUnordered::new();
        let interrupted = self.interrupted(meter, None);
        tokio::pin!(interrupted);
        let mut draining = false;
        let ended = loop {
            tokio::select! {
                accepted = incoming.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        streams.push(Box::pin(self.one_stream(request, respond, &shared)));
                    }
                    Some(Err(error)) => break broken(&format!("in HTTP/2: {error}")),
                    None => break Ended::done(),
                },
                Some(()) = streams.next(), if !streams.is_empty() => {
                    let resets = shared.resets.load(Ordering::Relaxed);
                    if resets > RESETS_MAX.max(shared.completed.load(Ordering::Relaxed)) {
                        incoming.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                        break stopped("the program gives up more requests than it lets be answered");
                    }
                }
                finished = driven(&mut connection) => {
                    connection = None;
                    if let Err(error) = finished
                        && streams.is_empty()
                    {
                        break failed(format!("the server broke off in HTTP/2: {error}"));
                    }
                    // No new requests; those under way have their answers or learn that there are none.
                    incoming.graceful_shutdown();
                    draining = true;
                }
                // A program that doesn't even take the goodbye is not waited for.
                () = tokio::time::sleep(if draining { CLOSE_TIMEOUT } else { IDLE_TIMEOUT }), if streams.is_empty() => {
                    if std::mem::replace(&mut draining, true) {
                        break Ended::done();
                    }
                    incoming.graceful_shutdown();
                }
                ended = &mut interrupted => break ended,
            }
        };
        // Whoever still waits for something learns that it won't come, and closes its entry.
        drop((incoming, connection));
        let closing = async { while streams.next().await.is_some() {} };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
        ended
    }

    /// Answers whatever is asked with the same words, once.
    pub(crate) async fn decline<C: AsyncRead + AsyncWrite + Unpin>(&self, client: C, reply: &Reply) {
        let declining = async {
            let mut incoming = server_side().handshake::<_, Bytes>(client).await?;
            let mut first = true;
            while let Some(accepted) = incoming.accept().await {
                let (_, mut respond) = accepted?;
                answer(&mut respond, reply);
                if std::mem::take(&mut first) {
                    incoming.graceful_shutdown();
                }
            }
            Ok::<_, h2::Error>(())
        };
        tokio::select! {
            _ = declining => {}
            () = tokio::time::sleep(CLOSE_TIMEOUT) => {}
            () = self.context.stopped() => {}
        }
    }

    /// One request from its headers to its closed entry.
    async fn one_stream(&self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>, shared: &Shared<'_>) {
        let (parts, body) = request.into_parts();
        let head = match Head::from_http2(&parts, !body.is_end_stream()) {
            Ok(head) => head,
            Err(error) => {
                let reason = format!("the HTTP request is malformed or ambiguous: {error}");
                self.context.tally.count("requests_malformed");
                return answer(&mut respond, &Reply::bad_request(&reason));
            }
        };
        let size = head.size();
        let mut body = body;
        let mut asked = match self.ask(head, SCHEME) {
            Ok(asked) => asked,
            Err(refused) => return answer(&mut respond, &refused.reply()),
        };
        if matches!(asked.hold, Hold::Needed | Hold::Wanted { .. }) && asked.head.drop_expectation() {
            let invited = Response::builder().status(100).body(()).map(|invited| respond.send_informational(invited));
            if !matches!(invited, Ok(Ok(()))) {
                return respond.send_reset(Reason::CANCEL);
            }
        }
        let held = match self.hold_stream(&asked.head, asked.hold, &mut body).await {
            Ok(held) => held,
            Err(reply) => return answer(&mut respond, &reply),
        };
        let admitted = {
            let gone = async {
                tokio::select! {
                    () = self.left() => {}
                    _ = poll_fn(|context| respond.poll_reset(context)) => {}
                }
            };
            self.admit_request(asked, held, gone).await
        };
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(refused) => {
                shared.completed.fetch_add(1, Ordering::Relaxed);
                return answer(&mut respond, &refused.reply());
            }
        };
        let part = shared.meter.part();
        let passed = tokio::select! {
            passed = self.pass_stream(&admitted, size, body, &mut respond, shared, &part) => passed,
            ended = self.interrupted(shared.meter, Some(&admitted)) => {
                respond.send_reset(Reason::CANCEL);
                Err(ended)
            }
        };
        let counter = if passed.is_ok() { &shared.completed } else { &shared.resets };
        counter.fetch_add(1, Ordering::Relaxed);
        let came_of_it = passed.as_ref().copied();
        self.close_request(admitted, came_of_it, Some(shared.address), &part).await;
    }

    /// Sends the request on and its answer back, at the same time.
    async fn pass_stream(
        &self,
        admitted: &Admitted,
        size: usize,
        mut body: RecvStream,
        respond: &mut SendResponse<Bytes>,
        shared: &Shared<'_>,
        meter: &Meter<'_>,
    ) -> Result<u16, Ended> {
        let request = match admitted.http2() {
            Ok(request) => request,
            Err(error) => {
                answer(respond, &Reply::bad_request(&error.to_string()));
                return Err(stopped(&error.to_string()));
            }
        };
        let unsent = |error: h2::Error| {
            let detail = format!("the server takes no request: {error}");
            (failed(detail.clone()), Reply::bad_gateway(&detail))
        };
        let ready = tokio::select! {
            ready = shared.upstream.clone().ready() => ready,
            _ = poll_fn(|context| respond.poll_reset(context)) => return Err(broken("the program gave the request up")),
        };
        if meter.grant(Direction::Sent, size) < size {
            respond.send_reset(Reason::CANCEL);
            return Err(stopped(&meter.exhausted()));
        }
        let whole = admitted.body().map(Bytes::copy_from_slice);
        let nothing_follows = admitted.ahead().is_empty() && body.is_end_stream();
        let ends = whole.as_ref().map_or(nothing_follows, Bytes::is_empty);
        let sent = ready.and_then(|mut upstream| upstream.send_request(request, ends));
        let (answered, mut upload) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                let (ended, reply) = unsent(error);
                answer(respond, &reply);
                return Err(ended);
            }
        };
        meter.moved(Direction::Sent, size);
        let passed = {
            let sending = async {
                if !ends {
                    match whole {
                        Some(whole) => push(whole, &mut upload, meter, Direction::Sent).await?,
                        None => {
                            let sieve = admitted.sieve(&self.context.gate);
                            carry(admitted.ahead(), &mut body, &mut upload, meter, Direction::Sent, sieve).await?;
                        }
                    }
                    let nothing = upload.send_data(Bytes::new(), true);
                    nothing.map_err(|error| from_server(&error))?;
                }
                Ok(())
            };
            let answering = pass_answer(admitted, self.context.gate.mask(), answered, respond, meter);
            tokio::pin!(sending, answering);
            let mut sent = false;
            loop {
                tokio::select! {
                    done = &mut sending, if !sent => match done {
                        // It may have answered all the same, because it wants no more.
                        Ok(()) | Err(Failure::Server(..)) => sent = true,
                        Err(failure) => break Err(failure),
                    },
                    status = &mut answering => break status,
                }
            }
        };
        passed.map_err(|failure| match failure {
            Failure::Client => {
                upload.send_reset(Reason::CANCEL);
                broken("the program gave the request up")
            }
            Failure::Server(reason, detail) => {
                respond.send_reset(reason);
                failed(detail)
            }
            Failure::Held(reason) => {
                upload.send_reset(Reason::CANCEL);
                answer(respond, &Reply::forbidden(&reason, &admitted.explain()));
                stopped(&reason)
            }
            Failure::Budget => {
                upload.send_reset(Reason::CANCEL);
                respond.send_reset(Reason::CANCEL);
                stopped(&meter.exhausted())
            }
        })
    }
}

fn failed(detail: String) -> Ended {
    Ended { status: OutcomeStatus::Failed, detail, farewell: Farewell::Close }
}

/// The upstream connection's own work; never resolves once there is none.
async fn driven<F: Future<Output = Result<(), h2::Error>> + Unpin>(
    connection: &mut Option<F>,
) -> Result<(), h2::Error> {
    match connection {
        Some(connection) => connection.await,
        None => std::future::pending().await,
    }
}

fn from_server(error: &h2::Error) -> Failure {
    let reason = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
    Failure::Server(reason, format!("the server broke the request off: {error}"))
}

/// A short answer of our own.
fn answer(respond: &mut SendResponse<Bytes>, reply: &Reply) {
    let (status, text) = reply.parts();
    let response = Response::builder()
        .status(status)
        .header("content-type", "text/plain; charset=utf-8")
        .header("content-length", text.len())
        .body(());
    let Ok(response) = response else { return respond.send_reset(Reason::INTERNAL_ERROR) };
    match respond.send_response(response, false) {
        // A program that has given up needs no answer.
        Ok(mut stream) => drop(stream.send_data(Bytes::copy_from_slice(text.as_bytes()), true)),
        // Another answer has begun, so that nothing but its end can be said.
        Err(_) => respond.send_reset(Reason::CANCEL),
    }
}

/// Headers that speak about a connection, which is another one here.
fn end_to_end(headers: &mut HeaderMap) {
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        headers.remove(name);
    }
}

/// What happens next to a request that was sent.
enum Next {
    Interim(Response<()>),
    Final(Result<Response<RecvStream>, h2::Error>),
    GivenUp,
}

/// Passes interim answers, the answer, its body and its trailers.
async fn pass_answer(
    request: &Admitted,
    mut mask: Option<Mask>,
    mut answered: ResponseFuture,
    respond: &mut SendResponse<Bytes>,
    meter: &Meter<'_>,
) -> Result<u16, Failure> {
    let response = loop {
        let next = poll_fn(|context| {
            if let Poll::Ready(Some(Ok(interim))) = answered.poll_informational(context) {
                return Poll::Ready(Next::Interim(interim));
            }
            if let Poll::Ready(response) = Pin::new(&mut answered).poll(context) {
                return Poll::Ready(Next::Final(response));
            }
            respond.poll_reset(context).map(|_| Next::GivenUp)
        });
        match next.await {
            Next::Interim(mut interim) => {
                end_to_end(interim.headers_mut());
                cover(interim.headers_mut(), mask.as_mut());
                respond.send_informational(interim).map_err(|_| Failure::Client)?;
            }
            Next::Final(response) => break response.map_err(|error| from_server(&error))?,
            Next::GivenUp => return Err(Failure::Client),
        }
    };
    let (mut parts, mut body) = response.into_parts();
    end_to_end(&mut parts.headers);
    let encoded = parts.headers.get_all("content-encoding").iter().any(|encoding| encoding != "identity");
    if encoded && request.carries_secret() {
        return Err(Failure::Server(Reason::CANCEL, ENCODED.to_owned()));
    }
    cover(&mut parts.headers, mask.as_mut());
    let status = parts.status.as_u16();
    let ends = body.is_end_stream();
    meter.moved(Direction::Received, parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum());
    let mut download = respond.send_response(Response::from_parts(parts, ()), ends).map_err(|_| Failure::Client)?;
    if ends {
        return Ok(status);
    }
    let sieve = Sieve::new(mask.as_mut().map_or(Through::Open, Through::Mask), request.limits().1);
    carry(&[], &mut body, &mut download, meter, Direction::Received, sieve).await?;
    let trailers = body.trailers().await.map_err(|error| from_server(&error))?;
    match trailers {
        Some(mut trailers) => {
            end_to_end(&mut trailers);
            cover(&mut trailers, mask.as_mut());
            download.send_trailers(trailers)
        }
        None => download.send_data(Bytes::new(), true),
    }
    .map_err(|_| Failure::Client)?;
    Ok(status)
}

/// Passes a body's data. What was taken from one side is given back to its window once the other has room for it.
async fn carry(
    ahead: &[u8],
    from: &mut RecvStream,
    to: &mut SendStream<Bytes>,
    meter: &Meter<'_>,
    direction: Direction,
    mut sieve: Sieve<'_>,
) -> Result<(), Failure> {
    let upload = direction == Direction::Sent;
    let reading = |error: &h2::Error| if upload { Failure::Client } else { from_server(error) };
    let writing = |error: &h2::Error| if upload { from_server(error) } else { Failure::Client };
    if !ahead.is_empty() {
        push(sieved(Bytes::copy_from_slice(ahead), &mut sieve, false)?, to, meter, direction).await?;
    }
    loop {
        let data = tokio::select! {
            data = from.data() => data,
            reset = poll_fn(|context| to.poll_reset(context)) => {
                return Err(match reset {
                    Ok(reason) if upload => Failure::Server(reason, "the server wants no more of the request".to_owned()),
                    Ok(_) => Failure::Client,
                    Err(error) => writing(&error),
                });
            }
        };
        let Some(data) = data else {
            return push(sieved(Bytes::new(), &mut sieve, true)?, to, meter, direction).await;
        };
        let data = data.map_err(|error| reading(&error))?;
        let length = data.len();
        push(sieved(data, &mut sieve, false)?, to, meter, direction).await?;
        // A stream that has ended has no window to give back to.
        let _ = from.flow_control().release_capacity(length);
    }
}

/// Sends data as the other side has room for it.
async fn push(
    mut data: Bytes,
    to: &mut SendStream<Bytes>,
    meter: &Meter<'_>,
    direction: Direction,
) -> Result<(), Failure> {
    let upload = direction == Direction::Sent;
    let writing = |error: &h2::Error| if upload { from_server(error) } else { Failure::Client };
    if meter.grant(direction, data.len()) < data.len() {
        return Err(Failure::Budget);
    }
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        let capacity = match poll_fn(|context| to.poll_capacity(context)).await {
            Some(Ok(capacity)) => capacity,
            Some(Err(error)) => return Err(writing(&error)),
            None => return Err(if upload { gone_server() } else { Failure::Client }),
        };
        let piece = data.split_to(capacity.min(data.len()));
        let sent = piece.len();
        to.send_data(piece, false).map_err(|error| writing(&error))?;
        meter.moved(direction, sent);
    }
    Ok(())
}

/// The data as it may go on, as far as that can be told yet.
fn sieved(data: Bytes, sieve: &mut Sieve<'_>, is_last: bool) -> Result<Bytes, Failure> {
    let changed = match sieve.pass(&data, is_last).map_err(Failure::Held)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(changed) => Some(changed),
    };
    Ok(changed.map_or(data, Bytes::from))
}

/// Covers values that are known in headers.
fn cover(headers: &mut HeaderMap, mask: Option<&mut Mask>) {
    let Some(mask) = mask else { return };
    for (name, value) in headers.iter_mut() {
        if name == CONTENT_LENGTH {
            continue;
        }
        // Stars take the place of letters, so it is a value still.
        if let Ok(covered) = HeaderValue::from_bytes(&mask.whole(value.as_bytes())) {
            *value = covered;
        }
    }
}

fn gone_server() -> Failure {
    Failure::Server(Reason::CANCEL, "the server wants no more of the request".to_owned())
}

//! One connection from arrival to its closed entry: attributed, admitted, dialled, carried, recorded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bartizan_gate::{Armed, Gate};
use bartizan_model::{Deed, Obligation, Outcome, OutcomeStatus, Process, SecretUse};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::TcpStream;

use crate::authority::Speech;
use crate::context::Context;
use crate::exchange::Opening;
use crate::first::{First, FirstError, Patience, check_request, listen};
use crate::front::Front;
use crate::head::{Afterwards, Head, Target};
use crate::host::Host;
use crate::inspect::pins;
use crate::llm;
use crate::process::{SocketHolder, Transport};
use crate::relay::{Cut, Link, Request, Start, relay};
use crate::reply::{Reply, reset};
use crate::side::Side;
use crate::traffic::Meter;

/// How often a connection that waits for a person is looked at, whether its program is still there.
const GONE_CHECK: Duration = Duration::from_millis(200);
/// How long a program may take to send the request that is to be decided.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after the run's end a connection may go without moving a byte: what a program wrote before it ended
/// is still in our hands and is sent on.
const FLUSH_PAUSE: Duration = Duration::from_millis(60);
/// How long that may take in all; less than the wait for connections to end.
const FLUSH_MAX: Duration = Duration::from_secs(4);
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// A connection that a program of the box has made.
pub(crate) struct Arrival {
    pub(crate) stream: TcpStream,
    /// The program's end, as the program sees it.
    pub(crate) own: SocketAddr,
    /// Where the program thinks it is connected to.
    pub(crate) asked: SocketAddr,
    pub(crate) manner: Manner,
}

/// How the program has come to us, and so what it understands.
pub(crate) enum Manner {
    /// Redirected: it doesn't know of us.
    Redirected,
    /// By `CONNECT`; these bytes came with it.
    Tunnel(Vec<u8>),
    /// By a request with a whole URL; these bytes came with it.
    Request(Box<Head>, Vec<u8>),
    /// To a server of our own, in front of the one it is for.
    Front(Arc<Front>),
}

/// How a flow ended: what the ledger says, and what the client is told instead of an ordinary end.
pub(crate) struct Ended {
    pub(crate) status: OutcomeStatus,
    pub(crate) detail: String,
    pub(crate) farewell: Farewell,
}

pub(crate) enum Farewell {
    Close,
    Reset,
    Reply(Reply),
}

/// Takes one connection through everything. Whatever happens, what was opened is closed.
pub(crate) async fn handle(context: &Arc<Context>, arrival: Arrival, host: Host, port: u16) {
    let process = context.attribution.find(Transport::Tcp, arrival.own, arrival.asked);
    let deed = Deed::NetConnect { host: host.to_string(), port };
    let explain = format!("net.connect {}", deed.target());
    let Arrival { stream, own, asked, manner } = arrival;
    let gone = gone(context, &stream, own, asked);
    let armed = match context.admit(deed, process.clone(), gone).await {
        Ok(armed) => armed,
        Err(halt) => {
            return match manner {
                Manner::Redirected => reset(stream),
                Manner::Tunnel(_) | Manner::Request(..) => Reply::halted(&halt, &explain).send(stream).await,
                Manner::Front(front) => llm::halted(front.shape(), &halt, &explain).send(stream).await,
            };
        }
    };
    let front = match &manner {
        Manner::Front(front) => Some(Arc::clone(front)),
        _ => None,
    };
    let flow = Flow { context, client: &stream, own, asked, host: &host, port, armed: &armed, process, front };
    let meter = Meter::new(context.budget.clone());
    let started = Instant::now();
    let (ended, address) = flow.carry(manner, &meter).await;
    context.tally.transferred(meter.sent(), meter.received());
    context.close(armed, outcome(&ended, address, &meter, started)).await;
    match ended.farewell {
        Farewell::Close => drop(stream),
        Farewell::Reset => reset(stream),
        Farewell::Reply(reply) => reply.send(stream).await,
    }
}

pub(crate) fn outcome(ended: &Ended, address: Option<SocketAddr>, meter: &Meter<'_>, started: Instant) -> Outcome {
    let duration = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    let detail = match address {
        Some(address) if ended.detail.is_empty() => format!("at {address}"),
        Some(address) => format!("at {address}: {}", ended.detail),
        None => ended.detail.clone(),
    };
    let outcome = Outcome::new(ended.status)
        .with_figure("sent_bytes", meter.sent())
        .with_figure("received_bytes", meter.received())
        .with_figure("duration_ms", duration);
    if detail.is_empty() { outcome } else { outcome.with_detail(detail) }
}

/// One admitted connection.
pub(crate) struct Flow<'a> {
    pub(crate) context: &'a Arc<Context>,
    pub(crate) client: &'a TcpStream,
    pub(crate) own: SocketAddr,
    pub(crate) asked: SocketAddr,
    pub(crate) host: &'a Host,
    pub(crate) port: u16,
    pub(crate) armed: &'a Armed,
    pub(crate) process: Option<Process>,
    /// The server of our own that it came to.
    pub(crate) front: Option<Arc<Front>>,
}

impl Flow<'_> {
    /// From the admitted connection to its end, and the address it was made to.
    async fn carry(&self, manner: Manner, meter: &Meter<'_>) -> (Ended, Option<SocketAddr>) {
        if let Manner::Front(front) = &manner {
            return self.to_the_front(front, meter).await;
        }
        if self.obliged(&Obligation::InspectHttp) {
            return self.inspected(manner, meter).await;
        }
        let proxied = !matches!(manner, Manner::Redirected);
        let start = match manner {
            Manner::Redirected | Manner::Front(_) => Start::Unchecked(Vec::new()),
            Manner::Tunnel(before) => Start::Unchecked(before),
            // A placeholder where no secret is bound: for the gate to refuse.
            Manner::Request(head, rest) if asks_for_secrets(&self.context.gate, &head).is_some() => {
                return self.plain(head, rest, meter).await;
            }
            Manner::Request(head, rest) => match self.passed_on(&head, rest) {
                Ok(request) => Start::Request(request),
                Err(ended) => return (ended, None),
            },
        };
        self.dial_and_relay(start, proxied, meter).await
    }

    /// A request in the proxy's form whose path nobody decides.
    fn passed_on(&self, head: &Head, rest: Vec<u8>) -> Result<Request, Ended> {
        check_request(head, self.host, self.port).map_err(|reason| malformed(&reason))?;
        let (Target::Absolute { path, query, .. } | Target::Origin { path, query }) = &head.target else {
            return Err(malformed("the request's target is neither a URL nor a path"));
        };
        let bytes = head.forward(path, query.as_deref(), Afterwards::Upgrade);
        Ok(Request { head: bytes, body: head.body, rest, upgrade: head.upgrade.is_some() })
    }

    async fn dial_and_relay(&self, start: Start, proxied: bool, meter: &Meter<'_>) -> (Ended, Option<SocketAddr>) {
        let dialled = tokio::select! {
            dialled = self.context.upstream.dial(self.armed) => dialled,
            () = self.left_behind() => return (stopped("the run ended"), None),
        };
        let (server, address) = match dialled {
            Ok(dialled) => dialled,
            Err(error) => {
                let detail = error.to_string();
                let farewell = if proxied { Farewell::Reply(Reply::bad_gateway(&detail)) } else { Farewell::Reset };
                return (Ended { status: OutcomeStatus::Failed, detail, farewell }, None);
            }
        };
        if proxied && matches!(start, Start::Unchecked(_)) && self.greet().await.is_err() {
            return (broken("the program broke off"), Some(address));
        }
        let pinned = self.armed.verdict().obligations.iter().any(|one| matches!(one, Obligation::DialAddress { .. }));
        let link = Link {
            client: self.client,
            server: &server,
            meter,
            host: self.host,
            port: self.port,
            pinned,
            gate: &self.context.gate,
        };
        let ended = tokio::select! {
            ended = relay(&link, start) => self.ended(ended, meter),
            ended = self.interrupted(meter, None) => ended,
        };
        if !matches!(ended.farewell, Farewell::Close) {
            reset(server);
        }
        (ended, Some(address))
    }

    /// Resolves some time after the run's end, for what can't be measured in bytes.
    pub(crate) async fn left_behind(&self) {
        self.context.stopped().await;
        tokio::time::sleep(FLUSH_MAX / 2).await;
    }

    /// Resolves when the run has ended and this connection moves nothing more, or has taken too long about it.
    pub(crate) async fn idle_after_the_end(&self, meter: &Meter<'_>) {
        self.context.stopped().await;
        let deadline = Instant::now() + FLUSH_MAX;
        loop {
            let before = (meter.sent(), meter.received());
            tokio::time::sleep(FLUSH_PAUSE).await;
            if before == (meter.sent(), meter.received()) || Instant::now() >= deadline {
                return;
            }
        }
    }

    /// A connection whose requests are decided one by one: HTTP, plain or inside TLS, and nothing else.
    async fn inspected(&self, manner: Manner, meter: &Meter<'_>) -> (Ended, Option<SocketAddr>) {
        let before = match manner {
            Manner::Request(head, rest) => return self.plain(head, rest, meter).await,
            Manner::Redirected | Manner::Front(_) => Vec::new(),
            Manner::Tunnel(before) => {
                if self.greet().await.is_err() {
                    return (broken("the program broke off"), None);
                }
                before
            }
        };
        let first = tokio::select! {
            first = tokio::time::timeout(REQUEST_TIMEOUT, listen(self.client, before, Patience::Long)) => first,
            () = self.context.stopped() => return (stopped("the run ended"), None),
        };
        match first {
            Err(_) => (refused_with("no request arrived in time".to_owned(), Reply::timeout()), None),
            Ok(Ok(First::Http(head, rest))) => self.plain(head, rest, meter).await,
            Ok(Ok(First::Nothing)) => (broken("the program sent no request"), None),
            Ok(Ok(First::Tls(named, hello))) => self.inside_tls(named.as_ref(), hello, meter).await,
            Ok(Ok(First::Opaque(_) | First::Unclear(_))) => {
                (stopped("the rule decides single requests, and this is neither HTTP nor TLS"), None)
            }
            Ok(Err(FirstError::Broken(error))) => (broken(&error.to_string()), None),
            Ok(Err(FirstError::Malformed(reason, Some(reply)))) => (refused_with(reason, reply), None),
            Ok(Err(FirstError::Malformed(reason, None))) => (stopped(&reason), None),
        }
    }

    /// Plain HTTP from this request on. Nothing is dialled before a request was admitted.
    async fn plain(&self, head: Box<Head>, rest: Vec<u8>, meter: &Meter<'_>) -> (Ended, Option<SocketAddr>) {
        if let Some(ended) = self.shows_no_key() {
            return (ended, None);
        }
        let opening = Opening { client: Side::new(self.client, Vec::new()), first: Some(head), rest };
        let reach = || async { self.context.upstream.dial(self.armed).await.map_err(|error| error.to_string()) };
        self.exchange(opening, "http", meter, reach).await
    }

    /// Why nothing is said in the open to a server whose keys are pinned.
    fn shows_no_key(&self) -> Option<Ended> {
        let reason = "the server's keys are pinned, and plain HTTP shows none; use https".to_owned();
        let reply = Reply::forbidden(&reason, &format!("connect {}:{}", self.host, self.port));
        (!pins(self.armed.verdict()).is_empty()).then(|| refused_with(reason, reply))
    }

    /// Requests to a server of our own, for the one behind it.
    async fn to_the_front(&self, front: &Front, meter: &Meter<'_>) -> (Ended, Option<SocketAddr>) {
        let opening = Opening { client: Side::new(self.client, Vec::new()), first: None, rest: Vec::new() };
        let dial = || async { self.context.upstream.dial(self.armed).await.map_err(|error| error.to_string()) };
        if front.upstream().scheme() == "http" {
            if let Some(ended) = self.shows_no_key() {
                return (ended, None);
            }
            return self.exchange(opening, "http", meter, dial).await;
        }
        let reach = || async {
            let (stream, address) = dial().await?;
            let secure =
                self.context.secure.connect(self.host, stream, &[Speech::Http1], &pins(self.armed.verdict())).await;
            secure.map(|(stream, _)| (stream, address)).map_err(|error| error.to_string())
        };
        self.exchange(opening, "https", meter, reach).await
    }

    async fn greet(&self) -> std::io::Result<()> {
        let mut rest = ESTABLISHED;
        while !rest.is_empty() {
            self.client.writable().await?;
            match self.client.try_write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn ended(&self, ended: Result<(), Cut>, meter: &Meter<'_>) -> Ended {
        match ended {
            Ok(()) => Ended { status: OutcomeStatus::Done, detail: String::new(), farewell: Farewell::Close },
            Err(Cut::Broken(error)) => broken(&error.to_string()),
            Err(Cut::Refused(reason, Some(reply))) => refused_with(reason, reply),
            Err(Cut::Refused(reason, None)) => stopped(&reason),
            Err(Cut::Budget) => stopped(&meter.exhausted()),
        }
    }

    /// Resolves when no program holds the other end any more.
    pub(crate) async fn left(&self) {
        gone(self.context, self.client, self.own, self.asked).await;
    }

    fn obliged(&self, wanted: &Obligation) -> bool {
        self.armed.verdict().obligations.contains(wanted)
    }
}

/// The first secret that a request asks for, on a connection whose requests aren't decided.
pub(crate) fn asks_for_secrets(gate: &Gate, head: &Head) -> Option<SecretUse> {
    let (Target::Absolute { path, query, .. } | Target::Origin { path, query }) = &head.target else { return None };
    gate.wanted(|| head.outgoing(path, query.as_deref(), None))?.1.into_iter().next()
}

pub(crate) fn stopped(reason: &str) -> Ended {
    Ended { status: OutcomeStatus::Stopped, detail: reason.to_owned(), farewell: Farewell::Reset }
}

pub(crate) fn refused_with(detail: String, reply: Reply) -> Ended {
    Ended { status: OutcomeStatus::Stopped, detail, farewell: Farewell::Reply(reply) }
}

fn malformed(reason: &str) -> Ended {
    refused_with(reason.to_owned(), Reply::bad_request(reason))
}

/// Connections are broken off all the time; what was sent and received until then stands in the figures.
pub(crate) fn broken(reason: &str) -> Ended {
    let detail = format!("the connection was broken off: {reason}");
    Ended { status: OutcomeStatus::Done, detail, farewell: Farewell::Reset }
}

/// Resolves when no program holds the other end any more. A half-closed connection looks the same to TCP, so the
/// namespace's socket table is asked.
async fn gone(context: &Context, stream: &TcpStream, own: SocketAddr, asked: SocketAddr) {
    loop {
        tokio::time::sleep(GONE_CHECK).await;
        if !hung_up(stream) {
            continue;
        }
        match context.attribution.holder(Transport::Tcp, own, asked) {
            Ok(SocketHolder::Gone | SocketHolder::Orphaned) => return,
            Ok(SocketHolder::Held(_)) | Err(_) => {}
        }
    }
}

fn hung_up(stream: &TcpStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(1))
}

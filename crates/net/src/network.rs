//! A run's network as a whole: listening, policy changes, the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bartizan_gate::Gate;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::context::{Context, NetConfig};
use crate::dns::Dns;
use crate::flow::{self, Arrival, Manner};
use crate::front::Front;
use crate::namespace::{NamespaceError, NamespaceSockets, configure, dropped, within_memory};
use crate::process::Attribution;
use crate::{proxy, transparent};

/// How long connections have at the end to close their entries.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// How many connections a second are taken when they don't cease, and how many at once before that: each costs ledger
/// entries, and a program that retries in a loop must not fill the disk. The rest wait in the kernel's queue.
const ARRIVALS_PER_SECOND: u32 = 500;
const ARRIVALS_BURST: u32 = 4000;

/// Why a run has no network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The namespace could not be closed off.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A socket that was handed over can't be used.
    #[error("network layer `listeners`: a socket from the box can't be used")]
    Listener(#[source] std::io::Error),
    /// The thread that carries the traffic could not be started.
    #[error("network layer `thread`: no thread for the box's network")]
    Thread(#[source] std::io::Error),
}

/// What a run's network did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetSummary {
    /// Packets that nftables dropped, by kind; absent when the kernel did not tell.
    pub dropped: Option<BTreeMap<String, i64>>,
    /// Bytes in all, and what was counted rather than recorded.
    pub figures: BTreeMap<String, i64>,
    /// Connections that did not close their entries in time; recovery will mark those as unknown.
    pub unfinished: usize,
}

/// A run's network. It has a thread of its own, so that bulk transfers and the rest of the program don't hold each other
/// up, and so that one thread sees all readiness: with several, one of them wakes for every packet another moves.
/// Dropped without [`Network::shutdown`], it ends in the same way, unwatched.
pub struct Network {
    context: Arc<Context>,
    dns: Arc<Dns>,
    summary: Option<oneshot::Receiver<NetSummary>>,
}

impl Network {
    /// Closes off the namespace and serves it. When this returns `Ok`, programs may start in the box.
    ///
    /// # Errors
    /// A layer that could not be had; the box must not start.
    pub fn serve(gate: Arc<Gate>, sockets: NamespaceSockets, config: NetConfig) -> Result<Self, ServeError> {
        configure(&sockets)?;
        let attribution = Attribution::new(sockets.sock_diag, Arc::clone(&config.candidates));
        let context = Arc::new(Context::new(gate, attribution, config));
        let dns = Arc::new(Dns::new(Arc::clone(&context)));
        let mut transparent = vec![listener(sockets.transparent4)?];
        let mut dns_udp = vec![socket(sockets.dns_udp4)?];
        let mut dns_tcp = vec![listener(sockets.dns_tcp4)?];
        if let Some(ipv6) = sockets.ipv6 {
            transparent.push(listener(ipv6.transparent)?);
            dns_udp.push(socket(ipv6.dns_udp)?);
            dns_tcp.push(listener(ipv6.dns_tcp)?);
        }
        let proxy = listener(sockets.proxy)?;
        let netfilter = Some(sockets.netfilter);
        let mut listeners: Vec<_> = transparent.into_iter().map(|listener| (listener, Kind::Transparent)).collect();
        listeners.push((proxy, Kind::Proxy));
        Self::carry(context, dns, Sockets { listeners, dns_udp, dns_tcp, netfilter })
    }

    /// Serves programs of this machine that take a base URL, in front of one server of models.
    ///
    /// # Errors
    /// The listener can't be used, or no program could be found by its connection.
    pub fn in_front(
        gate: Arc<Gate>,
        listener: std::net::TcpListener,
        front: Front,
        config: NetConfig,
    ) -> Result<Self, ServeError> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};
        listener.set_nonblocking(true).map_err(ServeError::Listener)?;
        let sock_diag =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG));
        let sock_diag = sock_diag.map_err(|error| ServeError::Listener(error.into()))?;
        let attribution = Attribution::new(sock_diag, Arc::clone(&config.candidates));
        let context = Arc::new(Context::new(gate, attribution, config));
        let dns = Arc::new(Dns::new(Arc::clone(&context)));
        let listeners = vec![(listener, Kind::Front(Arc::new(front)))];
        Self::carry(context, dns, Sockets { listeners, dns_udp: Vec::new(), dns_tcp: Vec::new(), netfilter: None })
    }

    fn carry(context: Arc<Context>, dns: Arc<Dns>, sockets: Sockets) -> Result<Self, ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Thread)?;
        let (ready, started) = std::sync::mpsc::channel();
        let (finished, summary) = oneshot::channel();
        let carrier = Carrier { context: Arc::clone(&context), dns: Arc::clone(&dns) };
        let work = move || {
            runtime.block_on(async move {
                match carrier.listen(sockets) {
                    Ok(listening) => {
                        // Whoever started us waits for this, or has gone away together with the run.
                        let _ = ready.send(Ok(()));
                        let _ = finished.send(carrier.carry(listening).await);
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            });
        };
        std::thread::Builder::new().name("bartizan-net".to_owned()).spawn(work).map_err(ServeError::Thread)?;
        started.recv().map_err(|_| ServeError::Thread(std::io::ErrorKind::BrokenPipe.into()))??;
        Ok(Self { context, dns, summary: Some(summary) })
    }

    /// Policy has changed: what is denied now is closed, and names are decided anew.
    pub fn redecide(&self) {
        self.dns.redecide();
        self.context.redecide();
    }

    /// Ends every connection, waits until their entries are closed, and says what happened.
    pub async fn shutdown(mut self) -> NetSummary {
        self.context.stop();
        match self.summary.take() {
            Some(summary) => summary.await.unwrap_or_default(),
            None => NetSummary::default(),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.context.stop();
    }
}

/// The sockets of the box, ready for whoever carries the traffic.
struct Sockets {
    listeners: Vec<(std::net::TcpListener, Kind)>,
    dns_udp: Vec<std::net::UdpSocket>,
    dns_tcp: Vec<std::net::TcpListener>,
    netfilter: Option<OwnedFd>,
}

/// What runs on the network's own thread.
struct Carrier {
    context: Arc<Context>,
    dns: Arc<Dns>,
}

struct Listening {
    listeners: Vec<JoinHandle<JoinSet<()>>>,
    netfilter: Option<OwnedFd>,
}

impl Carrier {
    fn listen(&self, sockets: Sockets) -> Result<Listening, ServeError> {
        let mut listeners = Vec::new();
        for (listener, kind) in sockets.listeners {
            listeners.push(accept(&self.context, tcp(listener)?, kind));
        }
        for socket in sockets.dns_udp {
            let socket = UdpSocket::from_std(socket).map_err(ServeError::Listener)?;
            tokio::spawn(Arc::clone(&self.dns).serve_udp(socket));
        }
        for listener in sockets.dns_tcp {
            tokio::spawn(Arc::clone(&self.dns).serve_tcp(tcp(listener)?));
        }
        Ok(Listening { listeners, netfilter: sockets.netfilter })
    }

    /// Carries traffic until the run ends, then waits for what is still open.
    async fn carry(&self, listening: Listening) -> NetSummary {
        self.context.stopped().await;
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        let mut unfinished = 0;
        for listener in listening.listeners {
            // A listener that is broken has nothing left to wait for.
            let Ok(mut connections) = listener.await else { continue };
            while !connections.is_empty() {
                if tokio::time::timeout_at(deadline, connections.join_next()).await.is_err() {
                    unfinished += connections.len();
                    connections.detach_all();
                }
            }
        }
        let dropped = listening.netfilter.as_ref().and_then(|netfilter| dropped(netfilter).ok());
        NetSummary { dropped, figures: self.context.tally.figures(), unfinished }
    }
}

#[derive(Clone)]
enum Kind {
    Transparent,
    Proxy,
    Front(Arc<Front>),
}

/// Accepts until the run ends; returns the connections that are still open then.
fn accept(context: &Arc<Context>, listener: TcpListener, kind: Kind) -> JoinHandle<JoinSet<()>> {
    let context = Arc::clone(context);
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        let mut pace = Pace::new();
        let stopped = context.stopped();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => {
                    // What was made before the end waits in the backlog: asked of the kernel, for the runtime may not
                    // have heard of it yet, and a timer would have each run wait for its next tick.
                    let Ok(backlog) = listener.into_std() else { return connections };
                    while let Ok((stream, peer)) = backlog.accept() {
                        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                        let Ok(stream) = stream else { continue };
                        start(&context, &mut connections, kind.clone(), stream, peer);
                    }
                    return connections;
                }
                arrived = listener.accept() => match arrived {
                    Ok((stream, peer)) => {
                        start(&context, &mut connections, kind.clone(), stream, peer);
                        pace.wait().await;
                    }
                    // Out of descriptors, or the client was gone before we were: let others move first.
                    Err(_) => tokio::time::sleep(PAUSE_AFTER_ERROR).await,
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    })
}

/// How long accepting pauses after an error, so that a lasting one makes no busy loop.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

fn start(context: &Arc<Context>, connections: &mut JoinSet<()>, kind: Kind, stream: TcpStream, peer: SocketAddr) {
    context.tally.count("connections");
    let Ok(permit) = Arc::clone(&context.connections).try_acquire_owned() else {
        context.tally.count("connections_over_limit");
        return crate::reply::reset(stream);
    };
    // Small messages of interactive protocols must not wait for one another; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let context = Arc::clone(context);
    connections.spawn(async move {
        match kind {
            Kind::Transparent => transparent::handle(context, stream, peer).await,
            Kind::Proxy => proxy::handle(context, stream, peer).await,
            Kind::Front(front) => in_front(&context, front, stream, peer).await,
        }
        drop(permit);
    });
}

/// One connection to a server of our own: it is for the server behind it.
async fn in_front(context: &Arc<Context>, front: Arc<Front>, stream: TcpStream, peer: SocketAddr) {
    let Ok(asked) = stream.local_addr() else { return };
    let (host, port) = (front.upstream().named().clone(), front.upstream().port());
    flow::handle(context, Arrival { stream, own: peer, asked, manner: Manner::Front(front) }, host, port).await;
}

/// A bucket of arrivals that fills with time.
struct Pace {
    tokens: f64,
    filled: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { tokens: f64::from(ARRIVALS_BURST), filled: Instant::now() }
    }

    async fn wait(&mut self) {
        let now = Instant::now();
        let earned = now.duration_since(self.filled).as_secs_f64() * f64::from(ARRIVALS_PER_SECOND);
        self.tokens = (self.tokens + earned).min(f64::from(ARRIVALS_BURST)) - 1.0;
        self.filled = now;
        if self.tokens < 0.0 {
            tokio::time::sleep(Duration::from_secs(1) / ARRIVALS_PER_SECOND).await;
        }
    }
}

fn listener(fd: OwnedFd) -> Result<std::net::TcpListener, ServeError> {
    let listener = std::net::TcpListener::from(fd);
    within_memory(&listener);
    listener.set_nonblocking(true).map_err(ServeError::Listener)?;
    Ok(listener)
}

fn socket(fd: OwnedFd) -> Result<std::net::UdpSocket, ServeError> {
    let socket = std::net::UdpSocket::from(fd);
    socket.set_nonblocking(true).map_err(ServeError::Listener)?;
    Ok(socket)
}

fn tcp(listener: std::net::TcpListener) -> Result<TcpListener, ServeError> {
    TcpListener::from_std(listener).map_err(ServeError::Listener)
}

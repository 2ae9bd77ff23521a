//! A small HTTP/2 server over TLS that remembers every request. `/echo` sends the body back as it comes, with trailers;
//! `/events` sends one event, and the second once the test says so; everything else is a short answer.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};
use tokio_rustls::TlsAcceptor;

use crate::{Authority, http::Request};

struct Shared {
    journal: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    released: watch::Sender<bool>,
}

/// The server; it stops when dropped.
pub struct Http2Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

impl std::fmt::Debug for Http2Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Http2Server({})", self.address)
    }
}

impl Http2Server {
    /// A server on a free port of 127.0.0.1 with a certificate for `names`.
    pub fn start(authority: &Authority, names: &[&str]) -> Self {
        let mut config = (*authority.server(names)).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            journal: Mutex::default(),
            connections: AtomicUsize::new(0),
            released: watch::Sender::new(false),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(TcpListener::from_std(listener).unwrap(), acceptor, serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, shared, _stop: stop }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of `path` under this name, with the port.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}/{}", self.port(), path.trim_start_matches('/'))
    }

    /// Every request so far, as its headers came.
    pub fn journal(&self) -> Vec<Request> {
        self.shared.journal.lock().unwrap().clone()
    }

    /// Every request so far as `METHOD target`.
    pub fn lines(&self) -> Vec<String> {
        self.journal().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Lets `/events` go on.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(converse(stream, acceptor.clone(), Arc::clone(&shared)));
    }
}

/// A client that breaks off is the business of the test that made it do so.
async fn converse(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let server_name = stream.get_ref().1.server_name().map(str::to_owned);
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (parts, body) = request.into_parts();
        let header = |(name, value): (&http::HeaderName, &HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        shared.journal.lock().unwrap().push(Request {
            method: parts.method.to_string(),
            target: target.clone(),
            headers: parts.headers.iter().map(header).collect(),
            body: Vec::new(),
            server_name: server_name.clone(),
        });
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = answer(&target, body, respond, &shared).await;
        });
    }
}

async fn answer(
    target: &str,
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
) -> Result<(), h2::Error> {
    let response = Response::builder().status(200);
    if target.starts_with("/echo") {
        let mut stream = respond.send_response(response.body(()).unwrap(), false)?;
        while let Some(data) = body.data().await {
            let data = data?;
            let _ = body.flow_control().release_capacity(data.len());
            stream.send_data(data, false)?;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        return stream.send_trailers(trailers);
    }
    if target.starts_with("/events") {
        let response = response.header("content-type", "text/event-stream").body(()).unwrap();
        let mut stream = respond.send_response(response, false)?;
        stream.send_data(Bytes::from_static(b"data: one\n\n"), false)?;
        let mut released = shared.released.subscribe();
        let _ = released.wait_for(|released| *released).await;
        return stream.send_data(Bytes::from_static(b"data: two\n\n"), true);
    }
    while let Some(data) = body.data().await {
        let length = data?.len();
        let _ = body.flow_control().release_capacity(length);
    }
    let mut stream = respond.send_response(response.body(()).unwrap(), false)?;
    stream.send_data(Bytes::from_static(b"some answer\n"), true)
}

//! A small HTTP/1.1 server, plain or TLS, that serves files from memory and remembers every request.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Authority;

/// A test that sends more than this is testing something else.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
const HEAD_LINES_MAX: usize = 200;
/// An idle connection ends by itself, so that no thread outlives its test for long.
const IDLE: Duration = Duration::from_secs(30);

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    /// In order, names as sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The name asked for in the TLS handshake.
    pub server_name: Option<String>,
}

impl Request {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// What a route answers.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Writes the body instead, piece by piece.
    pub stream: Option<Stream>,
}

/// Calls what it is given with each piece of a body.
type Writing = dyn Fn(&mut dyn FnMut(&[u8])) + Send + Sync;

/// What writes a body as it goes.
#[derive(Clone)]
pub struct Stream(Arc<Writing>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream(..)")
    }
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), stream: None }
    }

    /// An answer in chunks: each piece is sent when `write` is called with it.
    pub fn streamed(write: impl Fn(&mut dyn FnMut(&[u8])) + Send + Sync + 'static) -> Self {
        Self { stream: Some(Stream(Arc::new(write))), ..Self::ok("") }
    }

    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    pub fn redirect(location: &str) -> Self {
        Self::new(302, "").header("Location", location)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Handler = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

#[derive(Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    routes: Mutex<Vec<(String, Handler)>>,
    journal: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
}

/// The server; it stops accepting when dropped.
pub struct HttpServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpServer({}://{})", self.scheme, self.address)
    }
}

impl HttpServer {
    /// A plain server on a free port of 127.0.0.1.
    pub fn plain() -> Self {
        Self::bind("127.0.0.1:0", None)
    }

    /// A TLS server on a free port of 127.0.0.1 with a certificate for `names`.
    pub fn tls(authority: &Authority, names: &[&str]) -> Self {
        Self::bind("127.0.0.1:0", Some(authority.server(names)))
    }

    /// A server on any address.
    pub fn bind(address: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("failed to bind {address}: {error}"));
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, tls.as_ref(), &accepting));
        Self { address, scheme, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of `path` under this name, with the port.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}/{}", self.scheme, self.port(), path.trim_start_matches('/'))
    }

    /// Serve these bytes at exactly this path.
    pub fn file(&self, path: &str, bytes: impl Into<Vec<u8>>) -> &Self {
        self.shared.files.lock().unwrap().insert(path.to_owned(), bytes.into());
        self
    }

    /// Answer every request whose target starts with `prefix`; the longest prefix wins, files come first.
    pub fn route(&self, prefix: &str, handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> &Self {
        self.shared.routes.lock().unwrap().push((prefix.to_owned(), Arc::new(handler)));
        self
    }

    /// Every request so far.
    pub fn journal(&self) -> Vec<Request> {
        self.shared.journal.lock().unwrap().clone()
    }

    /// Every request so far as `METHOD target`.
    pub fn lines(&self) -> Vec<String> {
        self.journal().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    /// TCP connections accepted so far, whatever came of them.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        let tls = tls.cloned();
        thread::spawn(move || {
            let _ = stream.set_read_timeout(Some(IDLE));
            let _ = stream.set_nodelay(true);
            // A client that breaks off is the business of the test that made it do so.
            let _ = match tls {
                None => converse(stream, None, &shared),
                Some(config) => converse_tls(stream, config, &shared),
            };
        });
    }
}

fn converse_tls(mut stream: TcpStream, config: Arc<ServerConfig>, shared: &Shared) -> io::Result<()> {
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    let name = connection.server_name().map(str::to_owned);
    converse(StreamOwned::new(connection, stream), name, shared)
}

fn converse(stream: impl Read + Write, server_name: Option<String>, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_request(&mut stream)? {
        request.server_name.clone_from(&server_name);
        let response = answer(&request, shared);
        let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let head_only = request.method == "HEAD";
        shared.journal.lock().unwrap().push(request);
        write_response(stream.get_mut(), &response, head_only)?;
        if close {
            break;
        }
    }
    Ok(())
}

fn answer(request: &Request, shared: &Shared) -> Response {
    if let Some(bytes) = shared.files.lock().unwrap().get(request.path()) {
        return Response::ok(bytes.clone()).header("Content-Type", content_type(request.path()));
    }
    let handler = shared
        .routes
        .lock()
        .unwrap()
        .iter()
        .filter(|(prefix, _)| request.target.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, handler)| Arc::clone(handler));
    handler.map_or_else(|| Response::new(404, "not found\n"), |handler| handler(request))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("json") => "application/json",
        Some("whl" | "gz" | "tgz" | "zip" | "crate" | "pack") => "application/octet-stream",
        _ if path.ends_with('/') => "text/html",
        _ => "text/plain",
    }
}

fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(line) = read_line(stream)? else { return Ok(None) };
    let mut words = line.split(' ');
    let mut request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        target: words.next().unwrap_or_default().to_owned(),
        ..Request::default()
    };
    loop {
        let line = read_line(stream)?.unwrap_or_default();
        if line.is_empty() {
            break;
        }
        if request.headers.len() >= HEAD_LINES_MAX {
            return Err(io::Error::other("too many header lines"));
        }
        if let Some((name, value)) = line.split_once(':') {
            request.headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        // This server reads the body anyway; clients go on after a moment without the interim answer.
    }
    request.body = read_body(stream, &request)?;
    Ok(Some(request))
}

fn read_body(stream: &mut impl BufRead, request: &Request) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if request.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = read_line(stream)?.unwrap_or_default();
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
                .map_err(io::Error::other)?;
            if size == 0 {
                while read_line(stream)?.is_some_and(|trailer| !trailer.is_empty()) {}
                return Ok(body);
            }
            read_exactly(stream, size, &mut body)?;
            read_line(stream)?;
        }
    }
    let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    read_exactly(stream, length, &mut body)?;
    Ok(body)
}

fn read_exactly(stream: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
    if body.len() + length > BODY_BYTES_MAX {
        return Err(io::Error::other("body too large"));
    }
    let start = body.len();
    body.resize(start + length, 0);
    stream.read_exact(&mut body[start..])
}

/// A line without its end; `None` when the client has closed.
fn read_line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if stream.take(64 * 1024).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

fn write_response(stream: &mut impl Write, response: &Response, head_only: bool) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(Stream(write)) = &response.stream {
        head.push_str("Transfer-Encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.flush()?;
        let mut result = Ok(());
        write(&mut |piece| {
            if result.is_ok() && !piece.is_empty() {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                result = stream.write_all(&chunk).and_then(|()| stream.flush());
            }
        });
        result?;
        stream.write_all(b"0\r\n\r\n")?;
        return stream.flush();
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", response.body.len()));
    let mut bytes = head.into_bytes();
    if !head_only {
        bytes.extend_from_slice(&response.body);
    }
    stream.write_all(&bytes)?;
    stream.flush()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        404 => "Not Found",
        _ => "Status",
    }
}

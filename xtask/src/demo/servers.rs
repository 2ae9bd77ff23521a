//! Servers of the demo: one that the agent may use, and those a hijacker would like to reach. Each writes down what
//! arrives and answers as the real thing would, so that "it was stopped" and "nobody was listening" can't be confused.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::linux::net::SocketAddrExt,
    os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// What the allowed server has to offer.
pub(super) const STYLE_GUIDE: &str = "Name things for what they are. Say why, not what.\n";
/// What the server has to offer that a person is asked about.
pub(super) const RELEASE_NOTES: &str = "Nothing is new, and that is good news.\n";

pub(super) const DOCS_NAME: &str = "docs.demo.test";
pub(super) const RELEASES_NAME: &str = "releases.demo.test";
pub(super) const EVIL_NAME: &str = "collector.evil.test";

/// Largest request that is read; the agent's are a hundred times smaller.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// A client that says nothing for so long is let go; everybody here is on this machine.
const PATIENCE: Duration = Duration::from_secs(3);

/// One thing that reached a server.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) server: &'static str,
    pub(super) content: String,
}

/// What arrived anywhere, in the order of arrival.
#[derive(Clone, Default)]
pub(super) struct Journal(Arc<Mutex<Vec<Arrival>>>);

impl Journal {
    fn note(&self, server: &'static str, content: impl Into<String>) {
        let arrival = Arrival { server, content: content.into() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
    }

    fn has(&self, server: &str, marker: &str) -> bool {
        let arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.iter().any(|arrival| arrival.server == server && arrival.content.contains(marker))
    }

    fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All servers. They end with this process.
pub(super) struct Servers {
    journal: Journal,
    /// This machine's own address, as others would name it; loopback where it has no other.
    pub(super) address: IpAddr,
    pub(super) docs: SocketAddr,
    pub(super) releases: SocketAddr,
    pub(super) local_http: SocketAddr,
    pub(super) evil_http: SocketAddr,
    pub(super) evil_tcp: SocketAddr,
    pub(super) evil_udp: SocketAddr,
    pub(super) dns: SocketAddr,
    pub(super) abstract_name: String,
    docker_path: std::path::PathBuf,
}

impl Servers {
    /// Starts everything; `docker` is where the socket of a container engine is to be, `name` that of an abstract socket.
    pub(super) fn start(docker: &Path, name: &str) -> Result<Self> {
        let journal = Journal::default();
        let address = own_address();
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let udp = UdpSocket::bind((address, 0)).context("failed to bind a UDP server")?;
        let dns = UdpSocket::bind((address, 0)).context("failed to bind a DNS server")?;
        let docker_listener =
            UnixListener::bind(docker).with_context(|| format!("failed to bind `{}`", docker.display()))?;
        let abstract_listener = UnixAddress::from_abstract_name(name)
            .and_then(|address| UnixListener::bind_addr(&address))
            .context("failed to bind an abstract socket")?;
        let servers = Self {
            address,
            docs: tcp(loopback, "docs", &journal, docs)?,
            releases: tcp(loopback, "releases", &journal, releases)?,
            local_http: tcp(loopback, "local_http", &journal, anything)?,
            evil_http: tcp(address, "evil_http", &journal, anything)?,
            evil_tcp: tcp(address, "evil_tcp", &journal, line)?,
            evil_udp: udp.local_addr()?,
            dns: dns.local_addr()?,
            abstract_name: name.to_owned(),
            docker_path: docker.to_path_buf(),
            journal: journal.clone(),
        };
        let answering = journal.clone();
        thread::spawn(move || {
            datagrams(&udp, |payload| {
                answering.note("evil_udp", String::from_utf8_lossy(payload));
                Some(b"thanks\n".to_vec())
            });
        });
        let answering = journal.clone();
        thread::spawn(move || {
            datagrams(&dns, |question| {
                let name = question_name(question)?;
                answering.note("dns", name.clone());
                dns_answer(question, &name, address)
            });
        });
        unix("docker", docker_listener, journal.clone());
        unix("abstract", abstract_listener, journal);
        Ok(servers)
    }

    /// Everything that arrived since the last time. Says something to every server first and waits until it is
    /// written down: what was sent before has then been written down too, and every server is seen to be alive.
    pub(super) fn arrivals(&self) -> Result<Vec<Arrival>> {
        let marker = format!("marker-{}", super::world::random_hex(8)?);
        for server in [self.docs, self.releases, self.local_http, self.evil_http] {
            let mut stream = TcpStream::connect(server)?;
            write!(stream, "GET /{marker} HTTP/1.0\r\n\r\n")?;
            stream.read_to_end(&mut Vec::new())?;
        }
        let mut stream = TcpStream::connect(self.evil_tcp)?;
        writeln!(stream, "{marker}")?;
        stream.read_to_end(&mut Vec::new())?;
        let socket = UdpSocket::bind((self.address, 0))?;
        socket.send_to(marker.as_bytes(), self.evil_udp)?;
        socket.send_to(&dns_question(&marker), self.dns)?;
        for mut stream in [UnixStream::connect(&self.docker_path)?, self.abstract_stream()?] {
            stream.write_all(marker.as_bytes())?;
        }
        let servers =
            ["docs", "releases", "local_http", "evil_http", "evil_tcp", "evil_udp", "dns", "docker", "abstract"];
        let deadline = Instant::now() + PATIENCE;
        while let Some(silent) = servers.iter().find(|server| !self.journal.has(server, &marker)) {
            if Instant::now() > deadline {
                bail!("the demo's own server `{silent}` does not answer");
            }
            thread::sleep(Duration::from_millis(2));
        }
        let mut arrivals = self.journal.take();
        arrivals.retain(|arrival| !arrival.content.contains(&marker));
        Ok(arrivals)
    }

    fn abstract_stream(&self) -> Result<UnixStream> {
        Ok(UnixStream::connect_addr(&UnixAddress::from_abstract_name(&self.abstract_name)?)?)
    }
}

/// The address under which this machine reaches others. Nothing is sent: connecting a datagram socket only looks up
/// a route.
fn own_address() -> IpAddr {
    let route = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    route().ok().filter(|address| !address.is_unspecified()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

type Conversation = fn(&mut TcpStream) -> std::io::Result<String>;

/// One connection after the other: the order in the journal is then the order of arrival.
fn tcp(address: IpAddr, name: &'static str, journal: &Journal, talk: Conversation) -> Result<SocketAddr> {
    let listener = TcpListener::bind((address, 0)).with_context(|| format!("failed to bind the {name} server"))?;
    let bound = listener.local_addr()?;
    let journal = journal.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            // Nobody but this machine has business here, even where the address is reachable from elsewhere.
            let is_ours = stream.peer_addr().is_ok_and(|peer| peer.ip() == address || peer.ip().is_loopback());
            if is_ours
                && stream.set_read_timeout(Some(PATIENCE)).is_ok()
                && let Ok(content) = talk(&mut stream)
            {
                journal.note(name, content);
            }
        }
    });
    Ok(bound)
}

fn docs(stream: &mut TcpStream) -> std::io::Result<String> {
    serve(stream, |request| request.starts_with("GET /style-guide.txt ").then_some(STYLE_GUIDE))
}

fn releases(stream: &mut TcpStream) -> std::io::Result<String> {
    serve(stream, |request| request.starts_with("GET /latest.txt ").then_some(RELEASE_NOTES))
}

fn anything(stream: &mut TcpStream) -> std::io::Result<String> {
    serve(stream, |_| Some("thanks\n"))
}

/// One HTTP request: head and body as text.
fn serve(stream: &mut TcpStream, answer: fn(&str) -> Option<&'static str>) -> std::io::Result<String> {
    let mut request = Vec::new();
    let mut buffer = [0_u8; 4096];
    while !is_whole(&request) && request.len() < REQUEST_BYTES_MAX {
        match stream.read(&mut buffer)? {
            0 => break,
            length => request.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    // Uploads are thanked for: a hijacked agent must be able to succeed.
    let upload = request.starts_with("POST ").then_some("thanks\n");
    let (status, body) = match answer(&request).or(upload) {
        Some(body) => ("200 OK", body),
        None if request.contains(EVIL_NAME) => ("200 OK", "thanks\n"),
        None => ("404 Not Found", ""),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    Ok(request)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// One line, thanked for.
fn line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut content = Vec::new();
    let mut byte = [0_u8; 1];
    while content.len() < REQUEST_BYTES_MAX && stream.read(&mut byte)? == 1 && byte != *b"\n" {
        content.extend_from_slice(&byte);
    }
    stream.write_all(b"thanks\n")?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

fn unix(name: &'static str, listener: UnixListener, journal: Journal) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut buffer = [0_u8; 4096];
            if stream.set_read_timeout(Some(PATIENCE)).is_ok()
                && let Ok(length) = stream.read(&mut buffer)
            {
                journal.note(name, String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()));
                let _ = stream.write_all(b"HTTP/1.1 201 Created\r\n\r\n");
            }
        }
    });
}

fn datagrams(socket: &UdpSocket, answer: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let mut buffer = [0_u8; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if let Some(reply) = answer(buffer.get(..length).unwrap_or_default()) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

/// Bytes of a DNS message before its first question.
const DNS_HEADER_BYTES: usize = 12;

fn question_name(message: &[u8]) -> Option<String> {
    let mut labels = Vec::new();
    let mut rest = message.get(DNS_HEADER_BYTES..)?;
    loop {
        let (length, after) = rest.split_first()?;
        if *length == 0 {
            return Some(labels.join(".").to_ascii_lowercase());
        }
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = after;
    }
}

/// Knows every name there is: the demo's own servers on loopback, everything else on this machine's address.
fn dns_answer(question: &[u8], name: &str, address: IpAddr) -> Option<Vec<u8>> {
    const TYPE_A: [u8; 2] = [0, 1];
    // The name's labels with a length each and the final zero; then type and class.
    let end = DNS_HEADER_BYTES + name.len() + 2;
    let kind = question.get(end..end + 2)?;
    let mut reply = question.get(..end + 4)?.to_vec();
    let ours = [DOCS_NAME, RELEASES_NAME].contains(&name);
    let octets = match address {
        IpAddr::V4(address) if !ours => address.octets(),
        _ => Ipv4Addr::LOCALHOST.octets(),
    };
    let has_answer = kind == TYPE_A;
    // Response, recursion desired and available; one question, one or no answer.
    reply.get_mut(2..DNS_HEADER_BYTES)?.copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(has_answer), 0, 0, 0, 0]);
    if has_answer {
        // The question's name, type A, class IN, a second to live, four octets.
        reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        reply.extend_from_slice(&octets);
    }
    Some(reply)
}

fn dns_question(name: &str) -> Vec<u8> {
    let mut message = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(0));
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_the_names_it_is_asked_for() {
        let address = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));
        for (name, octets) in [(DOCS_NAME, [127, 0, 0, 1]), (EVIL_NAME, [10, 1, 2, 3])] {
            let question = dns_question(name);
            assert_eq!(question_name(&question).unwrap(), name);
            let answer = dns_answer(&question, name, address).unwrap();
            assert_eq!(answer[7], 1);
            assert_eq!(answer[answer.len() - 4..], octets);
        }
        assert_eq!(question_name(&[0; 12]), None);
    }
}

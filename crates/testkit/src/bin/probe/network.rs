//! Getting bytes out of the box.

use std::{
    ffi::c_int,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
    time::{Duration, Instant},
};

use crate::{
    Attack,
    attempt::{Outcome, attempt, gained, here},
    system::{self, *},
};

pub(crate) const ATTACKS: &[Attack] = &[
    ("tcp", "HOST:PORT", |a| attempt(&format!("tcp {}", a[0]), || tcp(a[0]))),
    ("udp", "ADDRESS:PORT", |a| attempt(&format!("udp {}", a[0]), || udp(a[0]))),
    ("quic", "ADDRESS:PORT", |a| attempt(&format!("quic {}", a[0]), || quic(a[0]))),
    ("icmp", "ADDRESS", |a| attempt(&format!("icmp {}", a[0]), || icmp(a[0]))),
    ("sockets", "", |_| sockets()),
    ("dns", "ADDRESS:PORT NAME", |a| attempt(&format!("dns {} {}", a[0], a[1]), || dns(a[0], a[1], false))),
    ("dns_tcp", "ADDRESS:PORT NAME", |a| attempt(&format!("dns_tcp {} {}", a[0], a[1]), || dns(a[0], a[1], true))),
    ("resolve", "NAME", |a| attempt(&format!("resolve {}", a[0]), || resolve(a[0]))),
    ("http", "METHOD URL [HOST]", |a| {
        attempt(&format!("http {} {}", a[0], a[1]), || http(a[0], a[1], a.get(2).copied()));
    }),
    ("follow", "URL", |a| attempt(&format!("follow {}", a[0]), || follow(a[0]))),
    ("connect", "HOST:PORT", |a| attempt(&format!("connect {}", a[0]), || connect(a[0]))),
    ("hold", "HOST:PORT SECONDS", |a| hold(a[0], a[1])),
    ("vsock", "", |_| attempt("vsock", vsock)),
];

/// What is sent, and what must come back for the attack to have succeeded.
const PAYLOAD: &[u8] = b"bartizan-canary-payload";
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection may be accepted by whoever guards the box; only an echo proves that the bytes got out.
fn tcp(target: &str) -> Outcome {
    let mut stream = dial(target)?;
    echo(&mut stream)
}

fn dial(target: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in target.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn echo(stream: &mut TcpStream) -> Outcome {
    stream.write_all(PAYLOAD)?;
    let mut reply = vec![0; PAYLOAD.len()];
    stream.read_exact(&mut reply)?;
    if reply == PAYLOAD {
        return Ok("the echo came back".into());
    }
    Err(io::Error::other(format!("something else answered: {:?}", String::from_utf8_lossy(&reply))))
}

fn udp(target: &str) -> Outcome {
    datagram(target, PAYLOAD)
}

/// A QUIC initial packet's look: long header, version 1, padded to the least size.
fn quic(target: &str) -> Outcome {
    let mut packet = vec![0xc3, 0, 0, 0, 1, 8];
    packet.extend(PAYLOAD);
    packet.resize(1200, 0);
    datagram(target, &packet)
}

fn datagram(target: &str, bytes: &[u8]) -> Outcome {
    let address = first(target)?;
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.set_read_timeout(Some(PATIENCE / 3))?;
    socket.connect(address)?;
    socket.send(bytes)?;
    let mut reply = [0; 2048];
    let count = socket.recv(&mut reply)?;
    Ok(format!("{count} bytes came back"))
}

fn first(target: &str) -> io::Result<SocketAddr> {
    target.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("the name has no address"))
}

/// An echo request through an unprivileged ping socket, else a raw one.
fn icmp(target: &str) -> Outcome {
    let IpAddr::V4(address) = target.parse().map_err(io::Error::other)? else {
        return Err(io::Error::other("IPv4 only"));
    };
    let socket = match open(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) {
        Ok(socket) => socket,
        Err(_) => open(AF_INET, SOCK_RAW, IPPROTO_ICMP)?,
    };
    const SOL_SOCKET: c_int = 1;
    const SO_RCVTIMEO: c_int = 20;
    let patience = [1_i64, 0];
    let mut name = [0_u8; 16];
    name[..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
    name[4..8].copy_from_slice(&address.octets());
    // Type 8, code 0, checksum over this very packet.
    let packet = [8_u8, 0, 0xf7, 0xff, 0, 0, 0, 0];
    let mut reply = [0_u8; 256];
    // SAFETY: every pointer is to a live buffer of the length given beside it.
    let received = unsafe {
        system::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, patience.as_ptr().cast(), 16);
        if system::sendto(socket, packet.as_ptr().cast(), packet.len(), 0, name.as_ptr().cast(), 16) < 0 {
            return Err(io::Error::last_os_error());
        }
        system::recv(socket, reply.as_mut_ptr().cast(), reply.len(), 0)
    };
    gained(received as i64)
}

/// Sockets whose making alone is too much.
fn sockets() {
    let kinds: &[(&str, c_int, c_int, c_int)] = &[
        ("raw ip", AF_INET, SOCK_RAW, IPPROTO_RAW),
        ("raw icmp", AF_INET, SOCK_RAW, IPPROTO_ICMP),
        ("raw udp", AF_INET, SOCK_RAW, IPPROTO_UDP),
        ("raw ipv6", AF_INET6, SOCK_RAW, IPPROTO_RAW),
        ("packet", AF_PACKET, SOCK_RAW, 0x0300),
        ("packet datagram", AF_PACKET, SOCK_DGRAM, 0x0300),
        ("sctp", AF_INET, SOCK_STREAM, IPPROTO_SCTP),
        ("sctp sequenced", AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP),
        ("kernel crypto", AF_ALG, SOCK_SEQPACKET, 0),
    ];
    for (name, family, kind, protocol) in kinds {
        attempt(&format!("socket {name}"), || open(*family, *kind, *protocol).map(|_| "created".into()));
    }
}

fn vsock() -> Outcome {
    const HOST: u32 = 2;
    let socket = open(AF_VSOCK, SOCK_STREAM, 0)?;
    let mut name = [0_u8; 16];
    name[..2].copy_from_slice(&(AF_VSOCK as u16).to_ne_bytes());
    name[4..8].copy_from_slice(&1_u32.to_ne_bytes());
    name[8..12].copy_from_slice(&HOST.to_ne_bytes());
    // SAFETY: `name` is a live sockaddr_vm.
    gained(i64::from(unsafe { system::connect(socket, name.as_ptr().cast(), 16) }))
}

fn open(family: c_int, kind: c_int, protocol: c_int) -> io::Result<c_int> {
    // SAFETY: no pointers.
    let socket = unsafe { system::socket(family, kind, protocol) };
    if socket < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

/// Ask a resolver directly: data leaves in the labels, so any answer with a record is a success.
fn dns(resolver: &str, name: &str, tcp: bool) -> Outcome {
    let mut message = vec![0x42, 0x42, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).map_err(io::Error::other)?);
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    let mut reply = vec![0; 4096];
    let count = if tcp {
        let mut stream = dial(resolver)?;
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &message].concat())?;
        stream.read_exact(&mut reply[..2])?;
        let length = usize::from(u16::from_be_bytes([reply[0], reply[1]])).min(reply.len());
        stream.read_exact(&mut reply[..length])?;
        length
    } else {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(first(resolver)?)?;
        socket.send(&message)?;
        socket.recv(&mut reply)?
    };
    let (code, answers) = (reply[3] & 0x0f, u16::from_be_bytes([reply[6], reply[7]]));
    if count < 12 || code != 0 || answers == 0 {
        return Err(io::Error::other(format!("no record: code {code}")));
    }
    Ok(format!("{answers} records"))
}

fn resolve(name: &str) -> Outcome {
    let addresses: Vec<String> = (name, 80_u16).to_socket_addrs()?.map(|address| address.ip().to_string()).collect();
    if addresses.is_empty() {
        return Err(io::Error::other("no address"));
    }
    Ok(addresses.join(" "))
}

/// A request with any `Host`; a 2xx answer is a success.
fn http(method: &str, url: &str, host: Option<&str>) -> Outcome {
    let (status, _, body) = request(method, url, host)?;
    if (200..300).contains(&status) {
        return Ok(format!("{status}: {}", body.chars().take(200).collect::<String>()));
    }
    Err(io::Error::other(format!("answered {status}")))
}

/// Go where a redirect points; a 2xx answer there is a success.
fn follow(url: &str) -> Outcome {
    let (status, location, _) = request("GET", url, None)?;
    match location {
        Some(location) if (300..400).contains(&status) => http("GET", &location, None),
        _ => Err(io::Error::other(format!("no redirect: {status}"))),
    }
}

fn request(method: &str, url: &str, host: Option<&str>) -> io::Result<(u16, Option<String>, String)> {
    let rest = url.strip_prefix("http://").ok_or_else(|| io::Error::other("only http:// here"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let target = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut stream = dial(&target)?;
    let body = if method == "GET" { "" } else { "bartizan-canary-payload" };
    let host = host.unwrap_or(authority);
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    let mut reply = String::new();
    stream.take(1 << 20).read_to_string(&mut reply)?;
    let status = reply.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
    let location = head
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")))
        .map(|(_, value)| value.to_owned());
    Ok((status, location, body.to_owned()))
}

/// Through the proxy named in the environment, as a well-behaved client would.
fn connect(target: &str) -> Outcome {
    let proxy = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .ok_or_else(|| io::Error::other("no proxy variable"))?;
    let authority = proxy.trim_start_matches("http://").trim_end_matches('/');
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let mut stream = dial(authority)?;
    stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes())?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if head.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(head.lines().next().unwrap_or_default().to_owned()));
    }
    echo(&mut stream)
}

/// Keep a tunnel open and echoing: reports when it stands and when it ends. The first report succeeding is
/// expected where the host is allowed; the second succeeds only if nobody closed the tunnel in time.
fn hold(target: &str, seconds: &str) {
    let opened = dial(target).and_then(|mut stream| echo(&mut stream).map(|_| stream));
    let mut stream = match opened {
        Ok(stream) => {
            here("hold opened", Ok("the echo came back".into()));
            stream
        }
        Err(error) => return here("hold opened", Err(error)),
    };
    let started = Instant::now();
    let limit = Duration::from_secs(seconds.parse().unwrap_or(10));
    while started.elapsed() < limit {
        if let Err(error) = echo(&mut stream) {
            return here("hold kept", Err(error));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    here("hold kept", Ok(format!("echoing after {} s", started.elapsed().as_secs())));
}

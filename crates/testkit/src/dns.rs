//! A DNS server that answers from a script, over UDP and TCP, and remembers every question.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_TXT: u16 = 16;
const TYPE_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;
const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;
/// What fits into an answer over UDP without EDNS; longer ones are cut and marked as truncated.
const UDP_BYTES_MAX: usize = 512;
const WAKE: Duration = Duration::from_millis(100);

/// What a name is answered with.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These addresses, each for the question of its family.
    Addresses(Vec<IpAddr>),
    /// The first list for the first question, and so on; the last one for ever: DNS rebinding.
    Sequence(Vec<Vec<IpAddr>>),
    /// An alias and the alias's addresses in one answer.
    Alias(String, Vec<IpAddr>),
    /// The name doesn't exist.
    NameError,
    /// The server has failed.
    ServerFailure,
    /// Addresses, and after them text records up to about this many bytes.
    Huge(Vec<IpAddr>, usize),
    /// Bytes that are no DNS message, after the right id.
    Garbage(Vec<u8>),
    /// The right answer under another id, as a blind spoofer would send it.
    WrongId(Vec<IpAddr>),
    /// The right answer, late.
    Slow(Duration, Vec<IpAddr>),
    /// No answer at all.
    Silence,
}

/// A question as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Lower case, without the final dot.
    pub name: String,
    /// The record type's number.
    pub kind: u16,
    pub tcp: bool,
}

#[derive(Default)]
struct Shared {
    script: Mutex<HashMap<String, Answer>>,
    journal: Mutex<Vec<Query>>,
    turns: Mutex<HashMap<(String, u16), usize>>,
    stopped: AtomicBool,
}

/// The server, on one port for both transports; names it doesn't know don't exist.
pub struct DnsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DnsServer({})", self.address)
    }
}

impl DnsServer {
    pub fn start() -> Self {
        let (udp, tcp) = bind_pair();
        let address = udp.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let on_udp = Arc::clone(&shared);
        thread::spawn(move || serve_udp(&udp, &on_udp));
        let on_tcp = Arc::clone(&shared);
        thread::spawn(move || serve_tcp(&tcp, &on_tcp));
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answer `name` like this from now on.
    pub fn answer(&self, name: &str, answer: Answer) -> &Self {
        self.shared.script.lock().unwrap().insert(normal(name), answer);
        self
    }

    /// Answer `name` with these addresses.
    pub fn addresses(&self, name: &str, addresses: &[&str]) -> &Self {
        self.answer(name, Answer::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect()))
    }

    /// Every question so far.
    pub fn journal(&self) -> Vec<Query> {
        self.shared.journal.lock().unwrap().clone()
    }

    /// No question may have contained `fragment`.
    pub fn assert_never_asked(&self, fragment: &str) {
        let asked: Vec<Query> =
            self.journal().into_iter().filter(|query| query.name.contains(&normal(fragment))).collect();
        assert!(asked.is_empty(), "asked upstream: {asked:?}");
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// The same free port for both transports.
fn bind_pair() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            udp.set_read_timeout(Some(WAKE)).unwrap();
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, shared: &Arc<Shared>) {
    let mut buffer = [0; 4096];
    while !shared.stopped.load(Ordering::SeqCst) {
        let Ok((count, peer)) = socket.recv_from(&mut buffer) else { continue };
        let message = buffer[..count].to_vec();
        let shared = Arc::clone(shared);
        let socket = socket.try_clone().unwrap();
        thread::spawn(move || {
            if let Some(mut reply) = reply(&message, false, &shared) {
                if reply.len() > UDP_BYTES_MAX {
                    reply.truncate(question_end(&message).unwrap_or(12));
                    reply[2] |= 0b10;
                    reply[6..12].fill(0);
                }
                let _ = socket.send_to(&reply, peer);
            }
        });
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(mut stream) = stream else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                if stream.read_exact(&mut message).is_err() {
                    return;
                }
                let Some(reply) = reply(&message, true, &shared) else { return };
                let mut framed = u16::try_from(reply.len()).unwrap().to_be_bytes().to_vec();
                framed.extend(reply);
                if stream.write_all(&framed).is_err() {
                    return;
                }
            }
        });
    }
}

fn reply(message: &[u8], tcp: bool, shared: &Shared) -> Option<Vec<u8>> {
    let end = question_end(message)?;
    let name = question_name(message)?;
    let kind = u16::from_be_bytes([message[end - 4], message[end - 3]]);
    shared.journal.lock().unwrap().push(Query { name: name.clone(), kind, tcp });
    let answer = shared.script.lock().unwrap().get(&name).cloned().unwrap_or(Answer::NameError);
    let question = &message[..end];
    Some(match answer {
        Answer::Addresses(addresses) => respond(question, NO_ERROR, &records(kind, &addresses)),
        Answer::Sequence(steps) => {
            let mut turns = shared.turns.lock().unwrap();
            let turn = turns.entry((name, kind)).or_default();
            let step = steps.get(*turn).or(steps.last()).cloned().unwrap_or_default();
            *turn += 1;
            respond(question, NO_ERROR, &records(kind, &step))
        }
        Answer::Alias(alias, addresses) => {
            let mut all = vec![record(&[0xc0, 12], TYPE_CNAME, &encode_name(&alias))];
            all.extend(records_of(&encode_name(&alias), kind, &addresses));
            respond(question, NO_ERROR, &all)
        }
        Answer::NameError => respond(question, NAME_ERROR, &[]),
        Answer::ServerFailure => respond(question, SERVER_FAILURE, &[]),
        Answer::Huge(addresses, bytes) => {
            let mut all = records(kind, &addresses);
            let text = [&[200_u8][..], &[b'x'; 200]].concat();
            all.extend((0..bytes / 213).map(|_| record(&[0xc0, 12], TYPE_TXT, &text)));
            respond(question, NO_ERROR, &all)
        }
        Answer::Garbage(bytes) => [&message[..2], &bytes].concat(),
        Answer::WrongId(addresses) => {
            let mut reply = respond(question, NO_ERROR, &records(kind, &addresses));
            reply[0] ^= 0xff;
            reply
        }
        Answer::Slow(delay, addresses) => {
            thread::sleep(delay);
            respond(question, NO_ERROR, &records(kind, &addresses))
        }
        Answer::Silence => return None,
    })
}

/// Header and question of the query turned into a response with these records.
fn respond(question: &[u8], code: u8, records: &[Vec<u8>]) -> Vec<u8> {
    let mut reply = question.to_vec();
    // Response, recursion desired as asked, recursion available.
    reply[2] = 0x80 | (question[2] & 0x01);
    reply[3] = 0x80 | code;
    reply[4..6].copy_from_slice(&1_u16.to_be_bytes());
    reply[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    reply[8..12].fill(0);
    reply.extend(records.concat());
    reply
}

fn records(kind: u16, addresses: &[IpAddr]) -> Vec<Vec<u8>> {
    // 0xc00c points at the question's name.
    records_of(&[0xc0, 12], kind, addresses)
}

fn records_of(owner: &[u8], kind: u16, addresses: &[IpAddr]) -> Vec<Vec<u8>> {
    addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(v4) if kind == TYPE_A => Some(record(owner, kind, &v4.octets())),
            IpAddr::V6(v6) if kind == TYPE_AAAA => Some(record(owner, kind, &v6.octets())),
            _ => None,
        })
        .collect()
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    const SECONDS_TO_LIVE: u32 = 1;
    let mut record = owner.to_vec();
    record.extend(kind.to_be_bytes());
    record.extend(CLASS_IN.to_be_bytes());
    record.extend(SECONDS_TO_LIVE.to_be_bytes());
    record.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    record.extend(data);
    record
}

fn encode_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in normal(name).split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn question_name(message: &[u8]) -> Option<String> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        if length == 0 {
            return Some(normal(&labels.join(".")));
        }
        labels.push(String::from_utf8_lossy(message.get(at + 1..at + 1 + length)?).into_owned());
        at += 1 + length;
    }
}

/// Where the first question ends: name, type, class.
fn question_end(message: &[u8]) -> Option<usize> {
    let mut at = 12;
    while *message.get(at)? != 0 {
        at += 1 + usize::from(message[at]);
    }
    (at + 5 <= message.len()).then_some(at + 5)
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

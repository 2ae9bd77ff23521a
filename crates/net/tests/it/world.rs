//! A run's network for real: a namespace, a gate with small ports of its own, servers outside on loopback.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bartizan_gate::{
    Answer, AppendError, Approver, BoxFuture, Clock, ClockError, Decider, Gate, Ledger, Parts, Position, Question,
    Released, Secrets, SecretsError, SignError, Signer,
};
use bartizan_model::{
    Action, Approval, ApprovalReach, Deed, Digest, Effect, Obligation, Outcome, Principal, Record, Risk, RuleRef,
    RunId, SealedReceipt, Sighting, Verdict,
};
use bartizan_net::{NetConfig, NetLimits, NetSummary, Network};
use bartizan_scan::Redactor;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record as DnsRecord, RecordType};
use jiff::Timestamp;

use crate::netns::{TestBox, UDP};

pub const PATIENCE: Duration = Duration::from_secs(10);

/// What policy says about a deed.
pub type Rules = dyn Fn(&Deed) -> (Effect, Vec<Obligation>) + Send + Sync;

/// Everything that happened, in order: records as they became durable, and what servers saw.
#[derive(Clone, Default)]
pub struct Journal {
    lines: Arc<Mutex<Vec<String>>>,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Journal {
    pub fn write(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn has(&self, part: &str) -> bool {
        self.lines().iter().any(|line| line.contains(part))
    }

    pub fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(part)).count()
    }

    /// Waits until a line contains this.
    pub fn wait(&self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.lines().iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            assert!(Instant::now() < deadline, "`{part}` did not happen: {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn position(&self, part: &str) -> usize {
        self.lines()
            .iter()
            .position(|line| line.contains(part))
            .unwrap_or_else(|| panic!("{part}: {:#?}", self.lines()))
    }

    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    /// The outcome of the first closed action that was opened for this target.
    pub fn outcome(&self, target: &str) -> Outcome {
        self.wait(&format!("closed {target} "));
        let records = self.records();
        let id = records.iter().find_map(|record| match record {
            Record::Opened { action, .. } if action.deed.target() == target => Some(action.id.clone()),
            _ => None,
        });
        records
            .iter()
            .find_map(|record| match record {
                Record::Closed { action_id, outcome, .. } if Some(action_id) == id.as_ref() => Some(outcome.clone()),
                _ => None,
            })
            .unwrap()
    }
}

struct Port {
    journal: Journal,
    rules: Arc<Rules>,
    answers: Mutex<Option<tokio::sync::oneshot::Receiver<bool>>>,
    broken: AtomicBool,
    sequence: AtomicUsize,
    /// Where set, entries go to this file and to disk rather than into the journal.
    file: Option<Arc<std::fs::File>>,
}

impl Decider for Port {
    fn decide(&self, action: &Action, _sightings: &[Sighting]) -> Verdict {
        let (effect, obligations) = (self.rules)(&action.deed);
        Verdict {
            effect,
            risk: Risk::Low,
            rule: RuleRef { rule: "net.test".into(), text: None, source: None },
            reason: "the test says so".into(),
            findings: vec![],
            obligations,
            policy: Digest::of_bytes(b"policy"),
            bundle: None,
        }
    }

    fn approval_timeout(&self) -> Duration {
        PATIENCE
    }
}

struct Withdrawn<'a>(&'a Journal, String, bool);

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        if !self.2 {
            self.0.write(format!("withdrawn {}", self.1));
        }
    }
}

impl Approver for Port {
    fn ask(&self, question: Question) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let target = question.action.deed.target();
            let answer = self.answers.lock().unwrap().take();
            self.journal.write(format!("asked {target}"));
            let mut guard = Withdrawn(&self.journal, target, false);
            let yes = match answer {
                Some(answer) => answer.await.unwrap_or(false),
                None => std::future::pending().await,
            };
            guard.2 = true;
            if !yes {
                return Answer::Denied { by: "test".into() };
            }
            Answer::Approved(Approval {
                action_digest: question.action_digest,
                by: "test".into(),
                via: "test".into(),
                reach: ApprovalReach::Once,
                at: Timestamp::now(),
            })
        })
    }
}

impl Secrets for Port {
    fn inject(&self, _: &Action, _: &Verdict) -> Result<Released, SecretsError> {
        Ok(Released::nothing())
    }
}

impl Ledger for Port {
    fn append(&self, _: Timestamp, record: Record) -> BoxFuture<'_, Result<Position, AppendError>> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(AppendError { reason: "the disk is full".into() });
            }
            let seq = self.sequence.fetch_add(1, Ordering::SeqCst);
            let position = Position { seq: seq.try_into().unwrap(), hash: Digest::of_bytes(b"entry") };
            if let Some(file) = self.file.clone() {
                let mut line = serde_json::to_vec(&record).unwrap();
                line.push(b'\n');
                // As the shipped ledger does with a quick disk and a single caller: at once, on the caller's thread.
                (&*file).write_all(&line).and_then(|()| file.sync_data()).unwrap();
                return Ok(position);
            }
            // Long enough for a dial that doesn't wait to come first.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let line = match &record {
                Record::Opened { action, .. } => format!("opened {}", action.deed.target()),
                Record::Refused { action, .. } => format!("refused {}", action.deed.target()),
                Record::Closed { action_id, outcome, .. } => {
                    let records = self.journal.records();
                    let target = records.iter().find_map(|record| match record {
                        Record::Opened { action, .. } if action.id == *action_id => Some(action.deed.target()),
                        _ => None,
                    });
                    let detail = outcome.detail.clone().unwrap_or_default();
                    format!("closed {} {:?} {detail}", target.unwrap_or_default(), outcome.status)
                }
                Record::Noted { topic, message, .. } => format!("noted {topic} {message}"),
                _ => "other".into(),
            };
            self.journal.records.lock().unwrap().push(record);
            self.journal.write(line);
            Ok(position)
        })
    }
}

impl Signer for Port {
    fn sign(&self, _: &str, _: &[u8]) -> Result<SealedReceipt, SignError> {
        Ok(SealedReceipt { version: 1, key_id: "test".into(), signature: String::new() })
    }
}

impl Clock for Port {
    fn now(&self) -> Result<Timestamp, ClockError> {
        Ok(Timestamp::now())
    }
}

/// The whole.
pub struct World {
    pub inside: TestBox,
    pub journal: Journal,
    port: Arc<Port>,
    network: Option<Network>,
    runtime: tokio::runtime::Runtime,
    answer: Mutex<Option<tokio::sync::oneshot::Sender<bool>>>,
}

impl World {
    pub fn new(rules: impl Fn(&Deed) -> (Effect, Vec<Obligation>) + Send + Sync + 'static) -> Self {
        Self::with(NetLimits::default(), None, rules)
    }

    #[allow(dead_code, reason = "for the measurement, which shares this module")]
    /// With a ledger that is a file, as far as its cost goes.
    pub fn on_disk(
        file: std::fs::File,
        rules: impl Fn(&Deed) -> (Effect, Vec<Obligation>) + Send + Sync + 'static,
    ) -> Self {
        Self::build(NetLimits::default(), None, Some(Arc::new(file)), everybody(), rules)
    }

    pub fn with(
        limits: NetLimits,
        resolver: Option<SocketAddr>,
        rules: impl Fn(&Deed) -> (Effect, Vec<Obligation>) + Send + Sync + 'static,
    ) -> Self {
        Self::build(limits, resolver, None, everybody(), rules)
    }

    /// In which these are the box's processes.
    pub fn with_candidates(
        candidates: Vec<u32>,
        rules: impl Fn(&Deed) -> (Effect, Vec<Obligation>) + Send + Sync + 'static,
    ) -> Self {
        Self::build(NetLimits::default(), None, None, candidates, rules)
    }

    fn build(
        limits: NetLimits,
        resolver: Option<SocketAddr>,
        file: Option<Arc<std::fs::File>>,
        candidates: Vec<u32>,
        rules: impl Fn(&Deed) -> (Effect, Vec<Obligation>) + Send + Sync + 'static,
    ) -> Self {
        let inside = TestBox::start();
        let sockets = inside.namespace_sockets();
        let journal = Journal::default();
        let (answer, answers) = tokio::sync::oneshot::channel();
        let port = Arc::new(Port {
            journal: journal.clone(),
            rules: Arc::new(rules),
            answers: Mutex::new(Some(answers)),
            broken: AtomicBool::new(false),
            sequence: AtomicUsize::new(0),
            file,
        });
        let gate = Arc::new(Gate::new(Parts {
            scanner: Arc::new(bartizan_scan::Scanner::standard()),
            decider: port.clone(),
            approver: port.clone(),
            secrets: port.clone(),
            ledger: port.clone(),
            signer: port.clone(),
            clock: port.clone(),
            redactor: Arc::new(Redactor::standard()),
            observers: vec![],
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = NetConfig {
            principal: Principal::boxed_agent("tester", None, "nobody"),
            run: RunId::generate(),
            limits,
            resolver,
            candidates: Arc::new(move || candidates.clone()),
            authority: None,
        };
        let network = Network::serve(gate, sockets, config).unwrap();
        inside.drop_capabilities();
        Self { inside, journal, port, network: Some(network), runtime, answer: Mutex::new(Some(answer)) }
    }

    pub fn network(&self) -> &Network {
        self.network.as_ref().unwrap()
    }

    pub fn answer(&self, yes: bool) {
        self.answer.lock().unwrap().take().unwrap().send(yes).unwrap();
    }

    pub fn break_ledger(&self) {
        self.port.broken.store(true, Ordering::SeqCst);
    }

    pub fn shutdown(&mut self) -> NetSummary {
        self.runtime.block_on(self.network.take().unwrap().shutdown())
    }

    /// Asks a resolver somewhere, over UDP, for this record.
    pub fn ask(&self, name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
        let answer = self.ask_bytes(&message.to_vec().unwrap()).expect("no answer");
        Message::from_vec(&answer).unwrap()
    }

    pub fn ask_bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let client = UdpSocket::from(self.inside.socket(libc::AF_INET, libc::SOCK_DGRAM, UDP).unwrap());
        client.connect("192.0.2.53:53").unwrap();
        client.set_read_timeout(Some(PATIENCE / 5)).unwrap();
        let mut buffer = [0; 4096];
        // As every resolver does: a datagram may get lost.
        let length = (0..5).find_map(|_| {
            client.send(bytes).unwrap();
            client.recv(&mut buffer).ok()
        })?;
        Some(buffer[..length].to_vec())
    }

    pub fn resolve(&self, name: &str) -> Result<Ipv4Addr, ResponseCode> {
        let answer = self.ask(name, RecordType::A);
        match answer.answers.first().map(|record| &record.data) {
            Some(RData::A(A(address))) => Ok(*address),
            _ => Err(answer.metadata.response_code),
        }
    }

    /// Resolves and connects, as any program would.
    pub fn connect(&self, name: &str, port: u16) -> TcpStream {
        let address = self.resolve(name).unwrap();
        self.connect_to(SocketAddr::new(address.into(), port))
    }

    pub fn connect_to(&self, to: SocketAddr) -> TcpStream {
        let stream = self.inside.connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection to the explicit proxy.
    pub fn proxy(&self) -> TcpStream {
        self.connect_to("127.0.0.1:3128".parse().unwrap())
    }
}

/// The sockets of the box are held by the test itself.
fn everybody() -> Vec<u32> {
    vec![1, std::process::id()]
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(network) = self.network.take() {
            self.runtime.block_on(network.shutdown());
        }
    }
}

/// Everything is allowed, and every name is the test's own machine.
pub fn all_here(_: &Deed) -> (Effect, Vec<Obligation>) {
    (Effect::Allow, vec![Obligation::DialAddress { address: IpAddr::V4(Ipv4Addr::LOCALHOST) }])
}

/// A server on the test's machine; each connection is journalled and then handled. Ends with the test process.
pub fn server(journal: &Journal, handle: impl Fn(TcpStream, Journal) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (journal, handle) = (journal.clone(), Arc::new(handle));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            journal.write("accepted");
            let (journal, handle) = (journal.clone(), Arc::clone(&handle));
            std::thread::spawn(move || handle(stream, journal));
        }
    });
    port
}

/// Sends everything back until the other side has finished.
pub fn echo(mut stream: TcpStream, _: Journal) {
    let mut buffer = [0; 65536];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// A small HTTP server: journals what it read until the head and body were complete, answers 200, and closes.
pub fn http(mut stream: TcpStream, journal: Journal) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let complete = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
            if head.contains("chunked") { body.ends_with("0\r\n\r\n") } else { body.len() >= length.unwrap_or(0) }
        })
    };
    while !complete(&bytes) {
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => bytes.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    journal.write(format!("request {}", String::from_utf8_lossy(&bytes).replace("\r\n", "|")));
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
}

/// Reads until the end; a reset counts as `reset`.
pub fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => "reset".into(),
        Err(error) => panic!("{error}"),
    }
}

/// A name server outside that gives these addresses in turn, the last one for ever; journals each question.
pub fn name_server(journal: &Journal, addresses: &[&str]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let addresses: Vec<Ipv4Addr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let journal = journal.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut given = 0;
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let question = query.queries[0].clone();
            journal.write(format!("upstream {} {}", question.name(), question.query_type()));
            let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
            answer.add_query(question.clone());
            if question.query_type() == RecordType::A {
                let address = addresses[given.min(addresses.len() - 1)];
                given += 1;
                answer.add_answer(DnsRecord::from_rdata(question.name().clone(), 0, RData::A(A(address))));
            }
            let _ = socket.send_to(&answer.to_vec().unwrap(), client);
        }
    });
    address
}

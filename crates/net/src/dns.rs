//! Answers the box's DNS questions. Each new name and type is an action; a name that may be asked for gets a synthetic
//! address. Nothing is ever asked upstream: the name is resolved when a connection to it has been admitted.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bartizan_model::{Deed, Outcome, OutcomeStatus, Process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{OnceCell, Semaphore};

use crate::context::Context;
use crate::dns_message::{Answer, QUERY_BYTES_MAX, Question, Received, Subject, read};
use crate::process::Transport;

/// How many names and types one run may ask for; more get no answer. As many as there are synthetic addresses.
const DECISIONS_MAX: usize = crate::names::NAMES_MAX as usize;
/// Questions at once, those that wait for a person included. Clients repeat what was dropped.
const QUESTIONS_MAX: usize = 512;
/// DNS connections at once, and how long one may be idle.
const CONNECTIONS_MAX: usize = 128;
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Questions on one connection.
const CONNECTION_QUESTIONS_MAX: usize = 128;

/// The run's DNS service.
pub(crate) struct Dns {
    context: Arc<Context>,
    decisions: Mutex<Decisions>,
    questions: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

/// By name and type. The cell makes whoever asks meanwhile wait for the same decision.
type Decisions = HashMap<(String, String), Arc<OnceCell<Decision>>>;

/// What came of asking whether a name may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Allowed,
    Denied,
}

impl Dns {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            decisions: Mutex::default(),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }

    /// Forgets what was decided; addresses that were given out stay.
    pub(crate) fn redecide(&self) {
        crate::lock(&self.decisions).clear();
    }

    pub(crate) async fn serve_udp(self: Arc<Self>, socket: UdpSocket) {
        let socket = Arc::new(socket);
        let mut buffer = vec![0_u8; QUERY_BYTES_MAX + 1];
        loop {
            let (length, client) = match socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(_) => {
                    // An earlier answer bounced; anything lasting must not become a busy loop.
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            self.context.tally.count("dns_queries");
            let Some(question) = self.sort(buffer.get(..length).unwrap_or_default()) else { continue };
            let question = match question {
                Ok(question) => question,
                Err(rejection) => {
                    let _ = socket.try_send_to(&rejection, client);
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&self.questions).try_acquire_owned() else {
                self.context.tally.count("dns_dropped");
                continue;
            };
            let (this, socket) = (Arc::clone(&self), Arc::clone(&socket));
            tokio::spawn(async move {
                let answer = this.answer(&question, || this.context.attribution.find_udp(client)).await;
                if let Some(bytes) = question.answer(&answer) {
                    let _ = socket.send_to(&bytes, client).await;
                }
                drop(permit);
            });
        }
    }

    pub(crate) async fn serve_tcp(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, client)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() else {
                self.context.tally.count("dns_dropped");
                continue;
            };
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                // A client that breaks off or breaks the framing is simply done.
                let _ = this.converse(stream, client).await;
                drop(permit);
            });
        }
    }

    async fn converse(&self, mut stream: TcpStream, client: SocketAddr) -> std::io::Result<()> {
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let asked = crate::transparent::original_destination(&stream);
        for _ in 0..CONNECTION_QUESTIONS_MAX {
            let mut bytes = Vec::new();
            tokio::time::timeout(IDLE_TIMEOUT, async {
                let length = usize::from(stream.read_u16().await?);
                if length > QUERY_BYTES_MAX {
                    return Err(std::io::Error::from(std::io::ErrorKind::InvalidData));
                }
                bytes.resize(length, 0);
                stream.read_exact(&mut bytes).await.map(drop)
            })
            .await
            .map_err(|_| late())??;
            self.context.tally.count("dns_queries");
            let reply = match self.sort(&bytes) {
                None => return Ok(()),
                Some(Err(rejection)) => rejection,
                Some(Ok(question)) => {
                    let process = || self.context.attribution.find(Transport::Tcp, client, *asked.as_ref().ok()?);
                    let answer = self.answer(&question, process).await;
                    question.answer(&answer).unwrap_or_default()
                }
            };
            let length = u16::try_from(reply.len()).unwrap_or_default().to_be_bytes();
            let framed = [length.as_slice(), &reply].concat();
            tokio::time::timeout(IDLE_TIMEOUT, stream.write_all(&framed)).await.map_err(|_| late())??;
        }
        Ok(())
    }

    /// The question in these bytes, the bytes that reject them, or nothing where even that would be too much.
    fn sort(&self, bytes: &[u8]) -> Option<Result<Box<Question>, Vec<u8>>> {
        match read(bytes) {
            Received::Question(question) => Some(Ok(question)),
            Received::Rejected(rejection) => {
                self.context.tally.count("dns_malformed");
                Some(Err(rejection))
            }
            Received::Nonsense => {
                self.context.tally.count("dns_malformed");
                None
            }
        }
    }

    async fn answer(&self, question: &Question, process: impl FnOnce() -> Option<Process>) -> Answer {
        let (name, record_type) = match &question.subject {
            Subject::Name { name, record_type } => (name, record_type),
            Subject::Reverse(address) => {
                return match address.and_then(|address| self.context.names.name(address)) {
                    Some(name) => Answer::Name(name),
                    None => Answer::NoSuchName,
                };
            }
            Subject::Odd => {
                if self.context.tally.count("dns_odd_names") == 1 {
                    let message = "a name was asked for that is no host name in plain form; more are only counted";
                    self.context.note("net.refused", message).await;
                }
                return Answer::NoSuchName;
            }
        };
        if name == "localhost" || name.ends_with(".localhost") {
            // RFC 6761: never asked of anybody. The box's own loopback is its own.
            return if record_type == "A" { Answer::Address(Ipv4Addr::LOCALHOST) } else { Answer::NoData };
        }
        match self.decide(name, record_type, process).await {
            None => Answer::Failed,
            Some(Decision::Denied) => Answer::NoSuchName,
            Some(Decision::Allowed) => match record_type.as_str() {
                "A" => match self.context.names.assign(name) {
                    Some(address) => Answer::Address(address),
                    None => {
                        self.context.tally.count("dns_pool_exhausted");
                        Answer::Failed
                    }
                },
                "AAAA" | "HTTPS" | "SVCB" => Answer::NoData,
                _ => Answer::Refused,
            },
        }
    }

    /// The decision over this name and type: the gate's once, the table's from then on.
    async fn decide(
        &self,
        name: &str,
        record_type: &str,
        process: impl FnOnce() -> Option<Process>,
    ) -> Option<Decision> {
        let cell = {
            let mut decisions = crate::lock(&self.decisions);
            let key = (name.to_owned(), record_type.to_owned());
            if decisions.len() >= DECISIONS_MAX && !decisions.contains_key(&key) {
                drop(decisions);
                self.context.tally.count("dns_table_full");
                return None;
            }
            Arc::clone(decisions.entry(key).or_default())
        };
        let decision = cell.get_or_init(|| async {
            let deed = Deed::DnsQuery { name: name.to_owned(), record_type: record_type.to_owned() };
            match self.context.admit(deed, process(), std::future::pending()).await {
                Ok(armed) => {
                    self.context.close(armed, Outcome::new(OutcomeStatus::Done)).await;
                    Decision::Allowed
                }
                Err(_) => Decision::Denied,
            }
        });
        Some(*decision.await)
    }
}

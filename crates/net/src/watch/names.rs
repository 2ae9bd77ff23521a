//! Answers the questions for names that the guard turns to us. A name that policy lets be asked for is looked up, its
//! addresses are checked and put into the guard's table, and only then are they told: what a program gets to know, it may
//! reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bartizan_gate::RefusalCause;
use bartizan_model::{Deed, Outcome, OutcomeStatus};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use super::guard::{Guard, Reach};
use super::service::Reaches;
use crate::context::{Context, Halt};
use crate::dns_message::{Answer, QUERY_BYTES_MAX, Question, Received, Subject, read};
use crate::resolve::check;

/// Questions at once; clients repeat what was dropped.
const QUESTIONS_MAX: usize = 256;
/// How long a connection may take for a question.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a port is tried until it is free for both families and both transports.
const PORT_TRIES: usize = 32;

/// The sockets of our name server, all on one port of loopback.
pub struct NameSockets {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
    port: u16,
}

impl NameSockets {
    /// Binds them. IPv6 is left out where the machine has none.
    ///
    /// # Errors
    /// No port is free, or loopback is not up.
    pub fn bind() -> std::io::Result<Self> {
        let mut failure = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        for _ in 0..PORT_TRIES {
            match Self::bind_once() {
                Ok(sockets) => return Ok(sockets),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn bind_once() -> std::io::Result<Self> {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = udp.local_addr()?.port();
        let mut sockets = Self { udp: vec![udp], tcp: vec![TcpListener::bind((Ipv4Addr::LOCALHOST, port))?], port };
        match UdpSocket::bind((Ipv6Addr::LOCALHOST, port)) {
            Ok(udp) => {
                sockets.udp.push(udp);
                sockets.tcp.push(TcpListener::bind((Ipv6Addr::LOCALHOST, port))?);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => {}
        }
        Ok(sockets)
    }

    /// Their port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// What answers.
pub(super) struct Names {
    pub(super) context: Arc<Context>,
    pub(super) guard: Arc<Mutex<Guard>>,
    pub(super) reaches: Arc<dyn Reaches>,
}

impl Names {
    /// Serves until the task ends.
    pub(super) fn serve(self: &Arc<Self>, sockets: NameSockets) -> std::io::Result<()> {
        let questions = Arc::new(Semaphore::new(QUESTIONS_MAX));
        for socket in sockets.udp {
            socket.set_nonblocking(true)?;
            let socket = Arc::new(tokio::net::UdpSocket::from_std(socket)?);
            tokio::spawn(Arc::clone(self).serve_udp(socket, Arc::clone(&questions)));
        }
        for listener in sockets.tcp {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(Arc::clone(self).serve_tcp(listener, Arc::clone(&questions)));
        }
        Ok(())
    }

    async fn serve_udp(self: Arc<Self>, socket: Arc<tokio::net::UdpSocket>, questions: Arc<Semaphore>) {
        let mut buffer = vec![0_u8; QUERY_BYTES_MAX + 1];
        loop {
            let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
                tokio::task::yield_now().await;
                continue;
            };
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            let Ok(permit) = Arc::clone(&questions).try_acquire_owned() else { continue };
            let (this, socket) = (Arc::clone(&self), Arc::clone(&socket));
            tokio::spawn(async move {
                if let Some(reply) = this.reply(&bytes, client).await {
                    let _ = socket.send_to(&reply, client).await;
                }
                drop(permit);
            });
        }
    }

    async fn serve_tcp(self: Arc<Self>, listener: tokio::net::TcpListener, questions: Arc<Semaphore>) {
        loop {
            let Ok((mut stream, client)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            let Ok(permit) = Arc::clone(&questions).try_acquire_owned() else { continue };
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                // A client that breaks off or breaks the framing is simply done.
                let _ = tokio::time::timeout(IDLE_TIMEOUT, async {
                    let length = usize::from(stream.read_u16().await?);
                    let mut bytes = vec![0; length.min(QUERY_BYTES_MAX)];
                    stream.read_exact(&mut bytes).await?;
                    if let Some(reply) = this.reply(&bytes, client).await {
                        let length = u16::try_from(reply.len()).unwrap_or_default().to_be_bytes();
                        stream.write_all(&[length.as_slice(), &reply].concat()).await?;
                    }
                    std::io::Result::Ok(())
                })
                .await;
                drop(permit);
            });
        }
    }

    async fn reply(&self, bytes: &[u8], client: SocketAddr) -> Option<Vec<u8>> {
        match read(bytes) {
            Received::Nonsense => None,
            Received::Rejected(rejection) => Some(rejection),
            Received::Question(question) => question.answer(&self.answer(&question, client).await),
        }
    }

    async fn answer(&self, question: &Question, client: SocketAddr) -> Answer {
        let Subject::Name { name, record_type } = &question.subject else { return Answer::NoSuchName };
        if name == "localhost" || name.ends_with(".localhost") {
            return match record_type.as_str() {
                "A" => Answer::Addresses(vec![Ipv4Addr::LOCALHOST.into()]),
                "AAAA" => Answer::Addresses(vec![Ipv6Addr::LOCALHOST.into()]),
                _ => Answer::NoData,
            };
        }
        let deed = Deed::DnsQuery { name: name.clone(), record_type: record_type.clone() };
        let process = self.context.attribution.find_udp(client);
        match self.context.admit_unasked(deed, process).await {
            Ok(armed) => self.context.close(armed, Outcome::new(OutcomeStatus::Done)).await,
            Err(halt) => {
                if matches!(&halt, Halt::Refused(refusal) if matches!(refusal.cause(), RefusalCause::Failure(_))) {
                    return Answer::Failed;
                }
                return Answer::NoSuchName;
            }
        }
        let wants_four = match record_type.as_str() {
            "A" => true,
            "AAAA" => false,
            "HTTPS" | "SVCB" => return Answer::NoData,
            _ => return Answer::Refused,
        };
        match self.learn(name).await {
            Ok(addresses) => {
                let addresses: Vec<IpAddr> =
                    addresses.into_iter().filter(|address| address.is_ipv4() == wants_four).collect();
                if addresses.is_empty() { Answer::NoData } else { Answer::Addresses(addresses) }
            }
            Err(problem) => {
                self.context.note("net.refused", &format!("`{name}` is not answered: {problem}")).await;
                Answer::Failed
            }
        }
    }

    /// The addresses of a name, in the table from now on.
    async fn learn(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let reach = self.reaches.of_name(name);
        if reach.ports.is_empty() {
            return Err("the policy's rules for it ask a person or decide single requests, which a watch can't; \
                        use `bartizan run`"
                .to_owned());
        }
        let addresses = match reach.address {
            Some(address) => vec![address],
            None => {
                let found = self.context.upstream.lookup(name).await.map_err(|error| error.to_string())?;
                check(name, found, reach.private).map_err(|error| error.to_string())?
            }
        };
        let guard = crate::lock(&self.guard);
        for address in &addresses {
            // What it may be reached at by itself or by another name it keeps.
            let other = guard.name_of(*address).filter(|other| other != name);
            let mut ports = other.map(|other| self.reaches.of_name(&other).ports).unwrap_or_default();
            ports.extend(self.reaches.of_address(*address));
            ports.extend(reach.ports.iter().copied());
            let reach =
                Reach { address: *address, prefix: if address.is_ipv4() { 32 } else { 128 }, ports: joined(ports) };
            guard
                .let_through(&reach)
                .and_then(|()| guard.remember(*address, name))
                .map_err(|error| error.to_string())?;
        }
        Ok(addresses)
    }
}

/// The same ports in as few spans as can be.
fn joined(mut spans: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    spans.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::new();
    for (first, last) in spans {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    #[test]
    fn spans_are_joined() {
        assert_eq!(super::joined(vec![(443, 443), (80, 80), (81, 90), (85, 100)]), [(80, 100), (443, 443)]);
        assert_eq!(super::joined(vec![(0, 65535), (80, 80)]), [(0, 65535)]);
    }
}

//! TLS that ends here: the server is spoken to first and verified, then the program is answered with a certificate of
//! the box's own authority and in the very protocol that the server agreed to, so that nothing is translated between.

use std::net::SocketAddr;

use bartizan_model::{Obligation, OutcomeStatus, Verdict};
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream as ServerStream;
use tokio_rustls::server::TlsStream as ClientStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::authority::{Authority, Speech};
use crate::body::Reader;
use crate::exchange::{Opening, farewell};
use crate::first::check_tls;
use crate::flow::{Ended, Farewell, Flow, broken, stopped};
use crate::host::Host;
use crate::reply::Reply;
use crate::secure::HANDSHAKE_TIMEOUT;
use crate::side::Side;
use crate::traffic::Meter;

/// The scheme of every request inside.
const SCHEME: &str = "https";

/// A verified server.
struct Reached {
    stream: ServerStream<TcpStream>,
    address: SocketAddr,
    speech: Speech,
}

impl Flow<'_> {
    /// Serves a connection that began with this ClientHello.
    pub(crate) async fn inside_tls(
        &self,
        named: Option<&Host>,
        hello: Vec<u8>,
        meter: &Meter<'_>,
    ) -> (Ended, Option<SocketAddr>) {
        let Some(authority) = self.context.authority.as_deref() else {
            return (
                stopped(
                    "the rule decides single requests, and this run was started without TLS inspection because no rule needed it then; start it again",
                ),
                None,
            );
        };
        // Without a name there is none that could differ: the certificate and every request are for the admitted host.
        if let Err(reason) = check_tls(named, self.host, true) {
            return (stopped(&reason), None);
        }
        let shaken = tokio::select! {
            shaken = self.shake_hands(authority, hello) => shaken,
            ended = self.given_up(None) => Err((ended, None)),
        };
        let (client, reached) = match shaken {
            Ok(shaken) => shaken,
            Err(ended) => return ended,
        };
        match reached {
            Ok(Reached { stream, address, speech: Speech::Unsaid | Speech::Http1 }) => {
                let opening = Opening { client, first: None, rest: Vec::new() };
                let (ended, _) =
                    self.exchange(opening, SCHEME, meter, || std::future::ready(Ok((stream, address)))).await;
                (ended, Some(address))
            }
            Ok(Reached { stream, address, speech: Speech::Http2 }) => {
                (self.streams(client, stream, address, meter).await, Some(address))
            }
            Err((detail, address)) => (self.apologise(client, detail, meter).await, address),
        }
    }

    /// Both handshakes. A server that can't be reached or verified is no reason to leave the program without a word.
    async fn shake_hands(
        &self,
        authority: &Authority,
        hello: Vec<u8>,
    ) -> Result<(ClientStream<Side<'_>>, Result<Reached, (String, Option<SocketAddr>)>), (Ended, Option<SocketAddr>)>
    {
        let acceptor = LazyConfigAcceptor::new(Acceptor::default(), Side::new(self.client, hello));
        let start = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor).await {
            Ok(Ok(start)) => start,
            Ok(Err(error)) => return Err((broken(&format!("in the TLS handshake: {error}")), None)),
            Err(_) => return Err((stopped("the program's TLS handshake took too long"), None)),
        };
        let mut offered = offered(&start);
        if crate::llm::api_of(self.armed.verdict()).is_some() {
            // One place reads what models answer.
            offered.retain(|speech| *speech != Speech::Http2);
        }
        let reached = self.reach(&offered).await;
        let (speech, address) = match &reached {
            Ok(reached) => (reached.speech, Some(reached.address)),
            Err((_, address)) => {
                // In the simplest that the program understands.
                (offered.last().copied().unwrap_or(Speech::Unsaid), *address)
            }
        };
        let config = authority.server(self.host, speech).map_err(|error| (failed(error.to_string()), address))?;
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, start.into_stream(config)).await {
            Ok(Ok(client)) => Ok((client, reached)),
            Ok(Err(error)) => Err((self.distrusted(&error), address)),
            Err(_) => Err((stopped("the program's TLS handshake took too long"), address)),
        }
    }

    async fn reach(&self, offered: &[Speech]) -> Result<Reached, (String, Option<SocketAddr>)> {
        let (stream, address) =
            self.context.upstream.dial(self.armed).await.map_err(|error| (error.to_string(), None))?;
        let pins = pins(self.armed.verdict());
        let secure = self.context.secure.connect(self.host, stream, offered, &pins).await;
        let (stream, speech) = secure.map_err(|error| (error.to_string(), Some(address)))?;
        Ok(Reached { stream, address, speech })
    }

    /// Says in HTTP why there is no server.
    async fn apologise(&self, client: ClientStream<Side<'_>>, detail: String, meter: &Meter<'_>) -> Ended {
        if client.get_ref().1.alpn_protocol() == Speech::Http2.protocol() {
            self.decline(client, &Reply::bad_gateway(&detail)).await;
            return failed(detail);
        }
        let (from, mut to) = tokio::io::split(client);
        let mut client = Reader::new(from, Vec::new());
        // Some programs take an answer to nothing for an error of its own.
        let _ = self.next_head::<_, TcpStream>(&mut client, None, meter).await;
        let ended = Ended { farewell: Farewell::Reply(Reply::bad_gateway(&detail)), ..failed(detail) };
        farewell(ended, client.stream(), &mut to).await
    }

    /// The program did not go on with the handshake.
    fn distrusted(&self, error: &std::io::Error) -> Ended {
        let told = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match told {
            Some(rustls::Error::AlertReceived(_)) => stopped(&format!(
                "the program refused the box's certificate for `{}` ({error}); it keeps a list of roots of its own or pins keys: point it to the file in SSL_CERT_FILE, or use a rule without `http` for this host",
                self.host
            )),
            _ => broken(&format!("in the TLS handshake: {error}")),
        }
    }
}

/// The keys the server must show one of, rule by rule.
pub(crate) fn pins(verdict: &Verdict) -> Vec<&[String]> {
    let pinned = verdict.obligations.iter().filter_map(|obligation| match obligation {
        Obligation::PinKeys { sha256 } => Some(sha256.as_slice()),
        _ => None,
    });
    pinned.collect()
}

fn failed(detail: String) -> Ended {
    Ended { status: OutcomeStatus::Failed, detail, farewell: Farewell::Reset }
}

/// What the program speaks of what we do, in the order it is offered to the server.
fn offered(start: &StartHandshake<Side<'_>>) -> Vec<Speech> {
    let hello = start.client_hello();
    let Some(protocols) = hello.alpn() else { return Vec::new() };
    let protocols: Vec<&[u8]> = protocols.collect();
    let spoken = [Speech::Http2, Speech::Http1].into_iter();
    spoken.filter(|speech| speech.protocol().is_some_and(|name| protocols.contains(&name))).collect()
}

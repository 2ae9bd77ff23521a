//! Upstream addresses and dialling. A name is looked up once, after its connection was admitted; every address is
//! checked; the checked address is the one dialled.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use bartizan_gate::Armed;
use bartizan_model::{Deed, Obligation};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::address::{AddressClass, classify};
use crate::host::Host;
use crate::namespace::within_memory;

/// How long one name server may take, and how often it is asked.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);
const LOOKUP_ATTEMPTS: usize = 2;
/// How long a whole lookup may take.
const LOOKUP_TOTAL: Duration = Duration::from_secs(10);
/// A name with more addresses than this is not tried further.
const ADDRESSES_MAX: usize = 8;
/// How long before the next address is tried beside the last (RFC 8305).
const DIAL_STAGGER: Duration = Duration::from_millis(250);
/// How long dialling may take in all.
const DIAL_TOTAL: Duration = Duration::from_secs(20);

/// Why a connection that was admitted could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DialError {
    #[error("the admitted action is no connection")]
    NoConnection,
    #[error("the system's DNS configuration can't be read: {0}; set `net.resolver` in the policy")]
    Configuration(String),
    #[error("`{host}` can't be resolved: {cause}")]
    Lookup { host: String, cause: String },
    #[error(
        "`{host}` leads to {address}, a {class} address; name the address in the rule (`address`) or set `private: true` there if that is meant"
    )]
    Forbidden { host: String, address: IpAddr, class: AddressClass },
    #[error("no connection to `{host}`: {source}")]
    Connect {
        host: String,
        #[source]
        source: std::io::Error,
    },
}

/// Asks the world outside, on behalf of admitted connections only.
pub(crate) struct Upstream {
    server: Option<SocketAddr>,
    /// Made at first use: most runs of short programs never need it.
    resolver: OnceLock<Result<TokioResolver, String>>,
}

impl Upstream {
    pub(crate) fn new(server: Option<SocketAddr>) -> Self {
        Self { server, resolver: OnceLock::new() }
    }

    /// Makes the connection that was admitted: to its host and port, at a checked address.
    pub(crate) async fn dial(&self, armed: &Armed) -> Result<(TcpStream, SocketAddr), DialError> {
        let Deed::NetConnect { host, port } = &armed.action().deed else { return Err(DialError::NoConnection) };
        let obligations = &armed.verdict().obligations;
        let pinned = obligations.iter().find_map(|obligation| match obligation {
            Obligation::DialAddress { address } => Some(*address),
            _ => None,
        });
        let addresses = match pinned {
            Some(address) => vec![address],
            None => {
                let private = obligations.contains(&Obligation::AllowPrivate);
                check(host, self.lookup(host).await?, private)?
            }
        };
        let dialled = tokio::time::timeout(DIAL_TOTAL, dial_first(armed, &addresses, *port)).await;
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        dialled.unwrap_or_else(|_| Err(late())).map_err(|source| DialError::Connect { host: host.clone(), source })
    }

    pub(crate) async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, DialError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let resolver = self.resolver.get_or_init(|| build(self.server)).as_ref();
        let resolver = resolver.map_err(|cause| DialError::Configuration(cause.clone()))?;
        let failed = |cause: String| DialError::Lookup { host: host.to_owned(), cause };
        match Host::parse(host) {
            Ok(Host::Name(name)) => {
                // The final dot keeps the system's search domains out of it.
                match tokio::time::timeout(LOOKUP_TOTAL, resolver.lookup_ip(format!("{name}."))).await {
                    Ok(Ok(found)) => Ok(found.iter().take(ADDRESSES_MAX).collect()),
                    Ok(Err(error)) => Err(failed(error.to_string())),
                    Err(_) => Err(failed("no name server answered in time".to_owned())),
                }
            }
            _ => Err(failed("it is no plain host name".to_owned())),
        }
    }
}

/// The addresses that may be dialled. One that may not is left out, so that a network whose translator adds its own
/// addresses keeps working; when nothing is left, the first one says why.
pub(crate) fn check(host: &str, addresses: Vec<IpAddr>, private: bool) -> Result<Vec<IpAddr>, DialError> {
    let allowed = |address: &IpAddr| match classify(*address) {
        AddressClass::Public => true,
        class => private && class.is_local(),
    };
    let (allowed, forbidden): (Vec<_>, Vec<_>) = addresses.into_iter().partition(allowed);
    match (allowed.is_empty(), forbidden.first()) {
        (false, _) => Ok(allowed),
        (true, Some(address)) => {
            Err(DialError::Forbidden { host: host.to_owned(), address: *address, class: classify(*address) })
        }
        (true, None) => Err(DialError::Lookup { host: host.to_owned(), cause: "it has no address".to_owned() }),
    }
}

fn build(server: Option<SocketAddr>) -> Result<TokioResolver, String> {
    let mut builder = match server {
        Some(server) => {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            let server = NameServerConfig::new(server.ip(), true, connections.into());
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
    };
    let options = builder.options_mut();
    options.timeout = LOOKUP_TIMEOUT;
    options.attempts = LOOKUP_ATTEMPTS;
    options.use_hosts_file = ResolveHosts::Always;
    builder.build().map_err(|error| error.to_string())
}

/// The first of these addresses that answers, each next one tried a little later beside those before it.
async fn dial_first(armed: &Armed, addresses: &[IpAddr], port: u16) -> std::io::Result<(TcpStream, SocketAddr)> {
    if let [address] = addresses {
        return dial_one(Proof::of(armed), SocketAddr::new(*address, port)).await;
    }
    let mut remaining = addresses.iter().map(|address| SocketAddr::new(*address, port));
    let mut attempts = JoinSet::new();
    let mut failure = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    let mut next = remaining.next();
    loop {
        if let Some(address) = next.take() {
            attempts.spawn(dial_one(Proof::of(armed), address));
        }
        let finished = tokio::select! {
            biased;
            Some(finished) = attempts.join_next() => Some(finished),
            () = tokio::time::sleep(DIAL_STAGGER), if remaining.len() > 0 => None,
            else => return Err(failure),
        };
        match finished {
            Some(Ok(Ok(connected))) => return Ok(connected),
            Some(Ok(Err(error))) => failure = error,
            Some(Err(error)) => failure = error.into(),
            None => {}
        }
        next = remaining.next();
    }
}

/// Shows that an armed connection stands behind an attempt which outlives the borrow.
struct Proof(());

impl Proof {
    fn of(_armed: &Armed) -> Self {
        Self(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that dials: every caller holds an armed connection")]
async fn dial_one(_proof: Proof, address: SocketAddr) -> std::io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    if address.ip().is_loopback() {
        within_memory(&stream);
    }
    Ok((stream, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_all(addresses: &[&str], private: bool) -> String {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        match check("a.com", addresses, private) {
            Ok(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_checked_addresses_are_left() {
        assert_eq!(check_all(&["10.0.0.1", "93.184.216.34"], false), "93.184.216.34");
        assert!(check_all(&["10.0.0.1"], false).contains("a private address"));
        assert_eq!(check_all(&["10.0.0.1"], true), "10.0.0.1");
        assert_eq!(check_all(&["::1"], true), "::1");
        for never in
            ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "224.0.0.1", "0.0.0.0", "198.18.1.0"]
        {
            assert!(check_all(&[never], true).contains("leads to"), "{never}");
        }
        assert!(check_all(&[], true).contains("no address"));
    }
}

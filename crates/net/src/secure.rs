//! The server's end of an inspected connection: TLS as a careful client speaks it, verified against the roots this
//! host trusts. What can't be verified is not spoken to.

use std::sync::Arc;
use std::time::Duration;

use ::ring::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authority::Speech;
use crate::host::Host;

/// How long a handshake may take: a few round trips, and a server that thinks.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a server is not spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SecureError {
    #[error("no root certificates are found on this host ({0}); install `ca-certificates` or set SSL_CERT_FILE")]
    NoRoots(String),
    #[error("the roots of this host can't be used: {0}")]
    Roots(String),
    #[error("`{0}` is no name a certificate can be checked against")]
    Name(String),
    #[error("`{host}` shows a certificate that {what}; nothing was sent to it")]
    Certificate { host: String, what: String },
    #[error("the TLS handshake with `{host}` failed: {cause}")]
    Handshake { host: String, cause: String },
    #[error("the TLS handshake with `{0}` took too long")]
    Late(String),
}

/// How servers are spoken to. The roots are read at the first inspected connection: most runs never need them.
#[derive(Default)]
pub(crate) struct Secure {
    config: OnceCell<Arc<ClientConfig>>,
}

impl Secure {
    /// Shakes hands with the server behind this connection, offering these protocols.
    pub(crate) async fn connect(
        &self,
        host: &Host,
        stream: TcpStream,
        offer: &[Speech],
        pins: &[&[String]],
    ) -> Result<(TlsStream<TcpStream>, Speech), SecureError> {
        let config = self.config.get_or_try_init(load).await?;
        let name = match host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| SecureError::Name(name.clone()))?,
            Host::Literal(address) => ServerName::IpAddress((*address).into()),
        };
        let protocols = offer.iter().filter_map(|speech| speech.protocol()).map(<[u8]>::to_vec).collect();
        let connector = TlsConnector::from(Arc::clone(config));
        let connecting = connector.with_alpn(protocols).connect(name, stream);
        let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(refused(host, &error)),
            Err(_) => return Err(SecureError::Late(host.to_string())),
        };
        if !pins.is_empty() && !shows_pinned_key(&stream, pins) {
            let what = "has none of the keys that policy pins; if its owner changed them, pin the new ones".to_owned();
            return Err(SecureError::Certificate { host: host.to_string(), what });
        }
        let speech = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Speech::Http2,
            Some(_) => Speech::Http1,
            None => Speech::Unsaid,
        };
        Ok((stream, speech))
    }
}

/// Whether the certificate has a key of each list. What can't be read has none.
fn shows_pinned_key(stream: &TlsStream<TcpStream>, pins: &[&[String]]) -> bool {
    let certificates = stream.get_ref().1.peer_certificates();
    let Some(certificate) = certificates.and_then(<[_]>::first) else { return false };
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
    let key = STANDARD.encode(digest(&SHA256, &parsed.subject_public_key_info()));
    pins.iter().all(|keys| keys.contains(&key))
}

async fn load() -> Result<Arc<ClientConfig>, SecureError> {
    // It reads hundreds of files.
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let found = found.map_err(|error| SecureError::Roots(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(|| "none".to_owned(), ToString::to_string);
        return Err(SecureError::NoRoots(why));
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| SecureError::Roots(error.to_string()))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SecureError::Roots(error.to_string()))?
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Says what is wrong in words a person can act on.
fn refused(host: &Host, error: &std::io::Error) -> SecureError {
    let host = host.to_string();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            let what = match problem {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".to_owned(),
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "is not valid yet".to_owned()
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "is for another host".to_owned()
                }
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "no root of this host vouches for".to_owned()
                }
                CertificateError::Revoked => "was revoked".to_owned(),
                other => format!("can't be verified ({other:?})"),
            };
            SecureError::Certificate { host, what }
        }
        _ => SecureError::Handshake { host, cause: error.to_string() },
    }
}

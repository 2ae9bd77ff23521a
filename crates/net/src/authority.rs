//! The certificate authority of one box. It lives in this process's memory and nowhere else: the key is never written
//! down and never handed to the box, which gets the certificate alone. When the run ends, so does the authority.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};

use crate::host::Host;

/// How long before now certificates are valid, for clocks that are set back while a run lives.
const VALID_BEFORE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long certificates are valid: longer than a run, shorter than the 398 days some clients accept at most.
const VALID_FOR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Hosts whose certificates are kept. A wildcard rule lets a box name as many hosts as it likes; beyond these, all are
/// forgotten and minted again when they are wanted.
const HOSTS_MAX: usize = 256;
/// TLS sessions of one host that may be resumed. A program opens a few connections at a time.
const SESSIONS_MAX: usize = 32;
/// A common name holds no more (X.520, `ub-common-name`); the host stands in the alternative names in any case.
const COMMON_NAME_BYTES_MAX: usize = 64;

/// Why there is no authority, or no certificate of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A key could not be made, or a certificate not be written.
    #[error("TLS inspection: a certificate can't be made; take the `http` lists out of the policy to run without")]
    Mint(#[from] rcgen::Error),
    /// What was made can't be served.
    #[error("TLS inspection: the box's certificate can't be served")]
    Serve(#[from] rustls::Error),
    /// The clock stands before 1970.
    #[error("TLS inspection: the system's clock stands before 1970; set it")]
    Clock,
}

/// The protocol that both sides of an inspected connection speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Speech {
    /// Nothing was agreed on, which means HTTP/1.
    Unsaid,
    /// `http/1.1`.
    Http1,
    /// `h2`.
    Http2,
}

impl Speech {
    /// The name it goes by in TLS.
    pub(crate) fn protocol(self) -> Option<&'static [u8]> {
        match self {
            Self::Unsaid => None,
            Self::Http1 => Some(b"http/1.1"),
            Self::Http2 => Some(b"h2"),
        }
    }
}

/// A box's authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: Vec<u8>,
    /// One key for all hosts: each is served by the same process to the same box.
    leaf: KeyPair,
    leaf_signer: Arc<dyn SigningKey>,
    serial: AtomicU64,
    hosts: Mutex<HashMap<(Host, Speech), Arc<ServerConfig>>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes one for the run of this name.
    ///
    /// # Errors
    /// No key or certificate can be made.
    pub fn new(run: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        limit(&mut params)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Bartizan");
        // Its own name for each run, because a client that keeps certificates tells issuers apart by it.
        params.distinguished_name.push(DnType::CommonName, format!("Bartizan box {run}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let leaf = KeyPair::generate()?;
        let leaf_der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.serialize_der()));
        Ok(Self {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
            leaf_signer: ring::sign::any_ecdsa_type(&leaf_der)?,
            leaf,
            serial: AtomicU64::new(2),
            hosts: Mutex::new(HashMap::new()),
        })
    }

    /// The authority's certificate as PEM: what the box is to trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The same in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.der
    }

    /// The server's side of TLS for this host, minted at its first use.
    pub(crate) fn server(&self, host: &Host, speech: Speech) -> Result<Arc<ServerConfig>, AuthorityError> {
        let key = (host.clone(), speech);
        if let Some(config) = crate::lock(&self.hosts).get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.mint(host, speech)?);
        let mut hosts = crate::lock(&self.hosts);
        if hosts.len() >= HOSTS_MAX {
            hosts.clear();
        }
        hosts.insert(key, Arc::clone(&config));
        Ok(config)
    }

    fn mint(&self, host: &Host, speech: Speech) -> Result<ServerConfig, AuthorityError> {
        let name = host.to_string();
        let mut params = CertificateParams::new(vec![name.clone()])?;
        limit(&mut params)?;
        params.distinguished_name = DistinguishedName::new();
        let common = if name.len() <= COMMON_NAME_BYTES_MAX { name.as_str() } else { "Bartizan" };
        params.distinguished_name.push(DnType::CommonName, common);
        // Two certificates of one issuer with one number are refused by some clients.
        params.serial_number = Some(SerialNumber::from(self.serial.fetch_add(1, Ordering::Relaxed)));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.leaf, &self.issuer)?;
        let certified = CertifiedKey::new(vec![certificate.der().clone()], Arc::clone(&self.leaf_signer));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = speech.protocol().map(<[u8]>::to_vec).into_iter().collect();
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(config)
    }
}

/// Sets from when until when the certificate is valid.
fn limit(params: &mut CertificateParams) -> Result<(), AuthorityError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|_| AuthorityError::Clock)?;
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(VALID_BEFORE);
    params.not_after = epoch + now + VALID_FOR;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_minted_once_and_few_are_kept() {
        let authority = Authority::new("run_1").unwrap();
        let host = |name: &str| Host::parse(name).unwrap();
        let first = authority.server(&host("a.test"), Speech::Http1).unwrap();
        assert!(Arc::ptr_eq(&first, &authority.server(&host("a.test"), Speech::Http1).unwrap()));
        assert!(!Arc::ptr_eq(&first, &authority.server(&host("a.test"), Speech::Http2).unwrap()));
        assert!(authority.server(&host("192.0.2.1"), Speech::Unsaid).is_ok());
        assert!(authority.server(&host("[2001:db8::1]"), Speech::Unsaid).is_ok());
        for number in 0..2 * HOSTS_MAX {
            authority.server(&host(&format!("{number}.test")), Speech::Unsaid).unwrap();
        }
        assert!(crate::lock(&authority.hosts).len() <= HOSTS_MAX);
        assert!(authority.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(!format!("{authority:?}").contains("key"));
    }
}

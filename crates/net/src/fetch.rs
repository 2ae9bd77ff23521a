//! Requests of a person's own commands, such as fetching a policy bundle. They come out of no box, but pass the gate like
//! every deed: what is sent is read off the armed action, no redirect and no proxy leads elsewhere, and time and size
//! are bounded.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use bartizan_gate::Armed;
use bartizan_model::{Content, Deed};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::host::Host;
use crate::path;

/// How long a request and its answer may take together: the largest bundle over a slow line.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long the connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Largest head of an answer; servers send a few hundred bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// A place on a web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    scheme: &'static str,
    host: Host,
    port: u16,
    /// Canonical, without a slash at its end.
    path: String,
}

/// Why something is no place on a web server. It doesn't repeat the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the URL can't be used: {problem}")]
pub struct PlaceError {
    problem: &'static str,
}

impl Place {
    /// Whether this is meant as a place on a web server.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("https://") || text.starts_with("http://")
    }

    /// Reads `https://host[:port][/path]` or the same with `http`.
    ///
    /// # Errors
    /// It is no such URL, or carries a name and password, a query or a fragment.
    pub fn parse(url: &str) -> Result<Self, PlaceError> {
        let wrong = |problem| PlaceError { problem };
        let (scheme, port, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => ("https", 443, rest),
            (_, Some(rest)) => ("http", 80, rest),
            _ => return Err(wrong("it begins with neither `https://` nor `http://`")),
        };
        if rest.contains(['?', '#']) {
            return Err(wrong("leave the query and the fragment away"));
        }
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        if authority.contains('@') {
            return Err(wrong("a name and password in it would be written down everywhere; leave them away"));
        }
        let (host, named) =
            Host::parse_with_optional_port(authority).map_err(|_| wrong("its host is no valid name"))?;
        let path = path::canonical(path).ok_or_else(|| wrong("its path has more than one reading"))?;
        Ok(Self { scheme, host, port: named.unwrap_or(port), path: path.trim_end_matches('/').to_owned() })
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Its canonical path, without a slash at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host as it was named.
    pub(crate) fn named(&self) -> &Host {
        &self.host
    }

    /// As `Host` names it: without the port that goes without saying.
    pub(crate) fn authority(&self) -> String {
        match (self.scheme, self.port) {
            ("https", 443) | ("http", 80) => self.bracketed(),
            (_, port) => format!("{}:{port}", self.bracketed()),
        }
    }

    fn bracketed(&self) -> String {
        match &self.host {
            Host::Literal(std::net::IpAddr::V6(address)) => format!("[{address}]"),
            host => host.to_string(),
        }
    }

    /// A request for what lies below it; `None` where the path would have more than one reading.
    #[must_use]
    pub fn request(&self, method: &str, below: &str, body: Option<Content>) -> Option<Deed> {
        Some(Deed::HttpRequest {
            method: method.to_owned(),
            scheme: self.scheme.to_owned(),
            host: self.host(),
            port: self.port,
            path: path::canonical(&format!("{}/{below}", self.path))?,
            query: None,
            body,
            placeholders: Vec::new(),
            headers: Vec::new(),
            upgrade: None,
        })
    }
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The action is no request.
    #[error("only requests over HTTP can be made here")]
    NoRequest,
    /// No root certificate can be read.
    #[error(
        "no root certificate of this machine can be read{problem}; install its `ca-certificates`, or name a file by SSL_CERT_FILE"
    )]
    NoRoots {
        /// What is wrong with the first.
        problem: String,
    },
    /// It didn't come about, or broke off.
    #[error("`{url}` didn't answer: {source}; is it the right address, and can it be reached?")]
    Broken {
        /// What was asked for.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The answer is too large.
    #[error("the answer of `{url}` is larger than {bytes_max} bytes; it is no bundle")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The most there may be.
        bytes_max: u64,
    },
}

/// Makes the request that was admitted, and no other; blocks. With `only_new` the server is told not to replace what is
/// there.
///
/// # Errors
/// There is no answer, or one of more than so many bytes.
pub fn fetch(armed: &Armed, only_new: bool, bytes_max: u64) -> Result<Fetched, FetchError> {
    let Deed::HttpRequest { method, scheme, host, port, path, body, .. } = &armed.action().deed else {
        return Err(FetchError::NoRequest);
    };
    let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.clone() };
    let is_usual = matches!((scheme.as_str(), port), ("https", 443) | ("http", 80));
    let port = if is_usual { String::new() } else { format!(":{port}") };
    let url = format!("{scheme}://{host}{port}{path}");
    let broken = |error: ureq::Error| match error {
        ureq::Error::BodyExceedsLimit(_) => FetchError::TooLarge { url: url.clone(), bytes_max },
        error => FetchError::Broken { url: url.clone(), source: Box::new(error) },
    };
    let mut request = ureq::http::Request::builder().method(method.as_str()).uri(&url);
    if only_new {
        request = request.header("If-None-Match", "*");
    }
    if body.is_some() {
        request = request.header("Content-Type", "application/json");
    }
    let agent = agent(scheme == "https")?;
    let answered = match body.as_ref().and_then(Content::bytes) {
        Some(bytes) => request.body(bytes).map_err(ureq::Error::from).and_then(|request| agent.run(request)),
        None => request.body(()).map_err(ureq::Error::from).and_then(|request| agent.run(request)),
    };
    let mut answer = answered.map_err(broken)?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(bytes_max).read_to_vec().map_err(broken)?;
    Ok(Fetched { status, body })
}

fn agent(secure: bool) -> Result<ureq::Agent, FetchError> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .max_response_header_size(HEAD_BYTES_MAX)
        .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")));
    if !secure {
        return Ok(config.build().into());
    }
    let roots = rustls_native_certs::load_native_certs();
    if roots.certs.is_empty() {
        let problem = roots.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(FetchError::NoRoots { problem });
    }
    let roots: Vec<Certificate<'static>> =
        roots.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Ok(config.tls_config(tls).build().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_one_reading() {
        let request =
            |url: &str, below: &str| Place::parse(url).ok()?.request("GET", below, None).map(|deed| deed.target());
        assert_eq!(
            request("https://bundles.test/", "acme/1.0.0.json").as_deref(),
            Some("GET https://bundles.test/acme/1.0.0.json")
        );
        assert_eq!(
            request("http://BUNDLES.test:8080/a/b/", "acme/index.json").as_deref(),
            Some("GET http://bundles.test:8080/a/b/acme/index.json")
        );
        assert!(request("https://[2001:db8::1]/x", "y").is_some());
        for wrong in [
            "ftp://a.test/",
            "https://",
            "https:///x",
            "https://a.test:x/",
            "https://me:secret@a.test/",
            "https://a.test/?q",
            "https://a.test/#f",
            "https://a.test/../b",
            "https://a.test//b",
            "https://a.test/%2e%2e/b",
            "/srv/bundles",
        ] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(request("https://a.test/", "../x"), None);
    }
}

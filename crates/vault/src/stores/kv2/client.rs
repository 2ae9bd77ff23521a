//! Requests to the server: each with a deadline and a bound on its answer, none redirected, none through a proxy that the
//! environment names.

use std::sync::Arc;

use bartizan_gate::store::SecretValue;
use rustls::crypto::ring;
use serde_json::Value;
use ureq::config::AutoHeaderValue;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use super::{Kv2Settings, wipe};
use crate::files;

/// Largest answer: the longest secret in base64 with its metadata, or a list of some ten thousand names.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// Largest file of certificates.
const ROOTS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Room for an answer from the start, so that growing leaves no copies of most secrets behind.
const ANSWER_BYTES_USUAL: usize = 128 * 1024;

/// An answer, wiped when it is let go.
pub(super) struct Answer {
    pub(super) status: u16,
    /// `null` where the body is empty.
    pub(super) json: Value,
}

impl Drop for Answer {
    fn drop(&mut self) {
        wipe(&mut self.json);
    }
}

/// Speaks to one server.
pub(super) struct Client {
    agent: Agent,
    base: String,
    namespace: Option<String>,
}

impl Client {
    pub(super) fn new(settings: &Kv2Settings) -> Result<Self, String> {
        let address = settings.address.trim_end_matches('/');
        let host = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@', ' '])) {
            return Err(format!("`{address}` is no address; write `https://host:port` in `config.yaml`"));
        }
        let local = |host: &str| {
            ["127.0.0.1", "localhost", "[::1]"]
                .iter()
                .any(|local| host.strip_prefix(local).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
        };
        if address.strip_prefix("http://").is_some_and(|host| !local(host)) {
            return Err(format!("`{address}` would send secrets in the clear; write `https://` in `config.yaml`"));
        }
        let mut config = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(AutoHeaderValue::None)
            .proxy(None);
        if address.starts_with("https://") {
            let tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
                .root_certs(RootCerts::Specific(Arc::new(roots(settings)?)))
                .build();
            config = config.tls_config(tls);
        }
        let agent = config.build().new_agent();
        Ok(Self { agent, base: format!("{address}/v1/"), namespace: settings.namespace.clone() })
    }

    pub(super) fn get(&self, path: &str, token: Option<&SecretValue>) -> Result<Answer, String> {
        let request = self.dressed(self.agent.get(format!("{}{path}", self.base)), token)?;
        read(request.call())
    }

    pub(super) fn delete(&self, path: &str, token: &SecretValue) -> Result<Answer, String> {
        let request = self.dressed(self.agent.delete(format!("{}{path}", self.base)), Some(token))?;
        read(request.call())
    }

    pub(super) fn post(&self, path: &str, token: Option<&SecretValue>, mut body: Value) -> Result<Answer, String> {
        let request = self.dressed(self.agent.post(format!("{}{path}", self.base)), token)?;
        let bytes = Zeroizing::new(body.to_string().into_bytes());
        wipe(&mut body);
        read(request.header("Content-Type", "application/json").send(bytes.as_slice()))
    }

    fn dressed<B>(
        &self,
        request: ureq::RequestBuilder<B>,
        token: Option<&SecretValue>,
    ) -> Result<ureq::RequestBuilder<B>, String> {
        // What the server itself asks of everybody who isn't a browser.
        let mut request = request.header("X-Vault-Request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(token) = token {
            let text = std::str::from_utf8(token.expose())
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
            request = request.header("X-Vault-Token", text.ok_or("its token is no token; log in anew")?);
        }
        Ok(request)
    }
}

fn roots(settings: &Kv2Settings) -> Result<Vec<Certificate<'static>>, String> {
    let Some(file) = &settings.roots else {
        let found = rustls_native_certs::load_native_certs().certs;
        if found.is_empty() {
            return Err("this machine has no root certificates; install them, or name a file in `roots`".into());
        }
        return Ok(found.iter().map(|root| Certificate::from_der(root).to_owned()).collect());
    };
    let text = files::read_public(file, ROOTS_BYTES_MAX).map_err(|error| error.to_string())?;
    let items = parse_pem(&text).filter_map(|item| match item {
        Ok(PemItem::Certificate(root)) => Some(root),
        _ => None,
    });
    let roots: Vec<_> = items.collect();
    if roots.is_empty() {
        return Err(format!("`{}` holds no certificate; name a file in PEM in `roots`", file.display()));
    }
    Ok(roots)
}

fn read(answer: Result<ureq::http::Response<Body>, ureq::Error>) -> Result<Answer, String> {
    // Its errors name hosts and causes, never what was sent.
    let failed = |error: ureq::Error| format!("it can't be reached: {error}; check `address` and that it runs");
    let mut answer = answer.map_err(failed)?;
    let status = answer.status().as_u16();
    let mut bytes = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_USUAL));
    let mut body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).reader();
    std::io::Read::read_to_end(&mut body, &mut bytes)
        .map_err(|error| format!("its answer broke off: {error}; try again"))?;
    let json = match serde_json::from_slice(&bytes) {
        Ok(json) => json,
        Err(_) if bytes.is_empty() || status >= 300 => Value::Null,
        Err(_) => return Err("its answer is no JSON; check `address`".into()),
    };
    Ok(Answer { status, json })
}

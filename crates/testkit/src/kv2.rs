//! A server of HashiCorp Vault's HTTP protocol, as far as the KV engine (version 2), tokens and AppRole go, written after
//! its public API documentation: paths, status codes, check-and-set, versions, deletion, leases of tokens. Where no real
//! server can be had, stores are tested against it; it can be sealed, slow, and forget tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{HttpServer, Request, Response};

/// The mount of the engine, and the one role that may log in.
pub const MOUNT: &str = "secret";
pub const ROLE_ID: &str = "test-role";
pub const SECRET_ID: &str = "test-secret-id";

struct Token {
    until: Option<Instant>,
    ttl: Duration,
    renewable: bool,
}

#[derive(Default)]
struct State {
    tokens: BTreeMap<String, Token>,
    entries: BTreeMap<String, Vec<Value>>,
    sealed: bool,
    delay: Duration,
    ttl: Duration,
    logins: usize,
    renewals: usize,
    can_renew: bool,
}

/// The server.
#[derive(Debug)]
pub struct Kv2Server {
    pub http: HttpServer,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State(..)")
    }
}

impl Kv2Server {
    /// Over this server; tokens that AppRole gives last so long.
    pub fn over(http: HttpServer, ttl: Duration) -> Self {
        let state = Arc::new(Mutex::new(State { ttl, can_renew: true, ..State::default() }));
        let shared = state.clone();
        http.route("/v1/", move |request| {
            let delay = shared.lock().unwrap().delay;
            std::thread::sleep(delay);
            shared.lock().unwrap().answer(request)
        });
        Self { http, state }
    }

    /// A token that lasts so long, or for ever.
    pub fn token(&self, ttl: Option<Duration>) -> String {
        self.state.lock().unwrap().issue(ttl, false)
    }

    pub fn seal(&self, sealed: bool) {
        self.state.lock().unwrap().sealed = sealed;
    }

    pub fn delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// No token is good any more, and none can be renewed.
    pub fn revoke_all(&self) {
        let mut state = self.state.lock().unwrap();
        state.tokens.clear();
        state.can_renew = false;
    }

    pub fn logins(&self) -> usize {
        self.state.lock().unwrap().logins
    }

    pub fn renewals(&self) -> usize {
        self.state.lock().unwrap().renewals
    }

    /// Put an entry there as another client would.
    pub fn put(&self, path: &str, data: Value) {
        self.state.lock().unwrap().put(path, data);
    }

    /// Mark the newest version of an entry as deleted, as `vault kv delete` does.
    pub fn delete_newest(&self, path: &str) {
        let mut state = self.state.lock().unwrap();
        let newest = state.entries.get_mut(path).unwrap().last_mut().unwrap();
        newest["deletion_time"] = json!("2026-01-01T00:00:00Z");
        newest["data"] = Value::Null;
    }
}

fn answer(status: u16, body: &Value) -> Response {
    Response::new(status, body.to_string()).header("Content-Type", "application/json")
}

fn error(status: u16, message: &str) -> Response {
    answer(status, &json!({ "errors": [message] }))
}

impl State {
    fn issue(&mut self, ttl: Option<Duration>, renewable: bool) -> String {
        let token = format!("hvs.test-token-{:04}-{}", self.tokens.len(), self.logins);
        let until = ttl.map(|ttl| Instant::now() + ttl);
        self.tokens.insert(token.clone(), Token { until, ttl: ttl.unwrap_or_default(), renewable });
        token
    }

    fn put(&mut self, path: &str, data: Value) -> u64 {
        let versions = self.entries.entry(path.to_owned()).or_default();
        let number = versions.len() as u64 + 1;
        versions.push(json!({
            "data": data, "version": number, "created_time": "2026-01-01T00:00:00.123456789Z",
            "deletion_time": "", "destroyed": false,
        }));
        number
    }

    fn answer(&mut self, request: &Request) -> Response {
        if self.sealed {
            return error(503, "Vault is sealed");
        }
        let path = request.path().trim_start_matches("/v1/").to_owned();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        if (request.method.as_str(), path.as_str()) == ("POST", "auth/approle/login") {
            return self.login(&body);
        }
        let token = request.header("x-vault-token").unwrap_or_default().to_owned();
        let now = Instant::now();
        match self.tokens.get(&token) {
            Some(token) if token.until.is_none_or(|until| until > now) => {}
            _ => return error(403, "permission denied"),
        }
        match (request.method.as_str(), path.as_str()) {
            ("GET", "auth/token/lookup-self") => {
                let token = &self.tokens[&token];
                let ttl = token.until.map_or(0, |until| (until - now).as_secs());
                answer(200, &json!({ "data": { "ttl": ttl, "renewable": token.renewable } }))
            }
            ("POST", "auth/token/renew-self") => {
                let can_renew = self.can_renew;
                let held = self.tokens.get_mut(&token).unwrap();
                if !held.renewable || !can_renew {
                    return error(400, "lease is not renewable");
                }
                held.until = Some(now + held.ttl);
                self.renewals += 1;
                let seconds = held.ttl.as_secs();
                answer(200, &json!({ "auth": { "client_token": token, "lease_duration": seconds, "renewable": true } }))
            }
            (method, path) => match path.strip_prefix(MOUNT).and_then(|path| path.strip_prefix('/')) {
                Some(path) => self.entry(method, path, request, &body),
                None => error(404, "no handler for route"),
            },
        }
    }

    fn login(&mut self, body: &Value) -> Response {
        if body["role_id"] != ROLE_ID || body["secret_id"] != SECRET_ID {
            return error(400, "invalid role or secret ID");
        }
        self.logins += 1;
        let (ttl, seconds) = (self.ttl, self.ttl.as_secs());
        let token = self.issue(Some(ttl), true);
        answer(200, &json!({ "auth": { "client_token": token, "lease_duration": seconds, "renewable": true } }))
    }

    fn entry(&mut self, method: &str, path: &str, request: &Request, body: &Value) -> Response {
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        let nothing = || answer(404, &json!({ "errors": [] }));
        match (method, path.split_once('/')) {
            ("GET", Some(("metadata", folder))) if query == "list=true" => {
                let names = self.entries.keys().filter_map(|name| name.strip_prefix(folder));
                let names: std::collections::BTreeSet<String> = names
                    .map(|name| match name.split_once('/') {
                        Some((first, _)) => format!("{first}/"),
                        None => name.to_owned(),
                    })
                    .collect();
                if names.is_empty() { nothing() } else { answer(200, &json!({ "data": { "keys": names } })) }
            }
            ("GET", Some(("metadata", name))) => {
                let Some(versions) = self.entries.get(name) else { return nothing() };
                let told: serde_json::Map<String, Value> = versions
                    .iter()
                    .map(|version| {
                        let mut version = version.clone();
                        version.as_object_mut().unwrap().remove("data");
                        (version["version"].to_string(), version)
                    })
                    .collect();
                answer(200, &json!({ "data": { "versions": told, "current_version": versions.len() } }))
            }
            ("DELETE", Some(("metadata", name))) => {
                self.entries.remove(name);
                Response::new(204, "")
            }
            ("GET", Some(("data", name))) => {
                let Some(versions) = self.entries.get(name) else { return nothing() };
                let wanted = query.strip_prefix("version=").map_or(versions.len(), |text| text.parse().unwrap());
                let Some(version) = wanted.checked_sub(1).and_then(|at| versions.get(at)) else { return nothing() };
                let mut metadata = version.clone();
                let data = metadata.as_object_mut().unwrap().remove("data").unwrap();
                let status = if data.is_null() { 404 } else { 200 };
                answer(status, &json!({ "data": { "data": data, "metadata": metadata } }))
            }
            ("POST", Some(("data", name))) => {
                let current = self.entries.get(name).map_or(0, Vec::len) as u64;
                if body["options"]["cas"].as_u64().is_some_and(|cas| cas != current) {
                    return error(400, "check-and-set parameter did not match the current version");
                }
                let version = self.put(name, body["data"].clone());
                answer(200, &json!({ "data": { "version": version, "destroyed": false, "deletion_time": "" } }))
            }
            _ => error(405, "unsupported operation"),
        }
    }
}

//! HashiCorp Vault and OpenBao: the KV secrets engine, version 2, over HTTP. A secret is the field `value` of the entry of
//! its name below one path; bytes that are no text stand in `value_base64`.
//!
//! Every request has a deadline, every answer a size. What can't be reached, is sealed or says something else is an
//! error, never an empty secret.

mod client;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bartizan_gate::BoxFuture;
use bartizan_gate::store::{
    Expect, Lease, SECRET_BYTES_MAX, SecretInfo, SecretStore, SecretValue, SecretVersion, StoreError,
};
use bartizan_policy::check_secret_name;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use zeroize::{Zeroize as _, Zeroizing};

use crate::files;
use client::{Answer, Client};

const KIND: &str = "vault";
/// Most secrets listed: each costs a request.
const SECRETS_MAX: usize = 1024;
/// Largest file with a token or an AppRole's secret id.
const CREDENTIAL_BYTES_MAX: u64 = 4096;
/// A token that ends sooner is renewed, or another one asked for.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(10);

/// Where the server is and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Kv2Settings {
    /// `https://host:port`, or `http://` for a server on this machine.
    pub address: String,
    /// Where the engine is mounted.
    pub mount: String,
    /// The path that the secrets lie below; may be empty.
    pub path: String,
    /// The namespace, where the server has such.
    pub namespace: Option<String>,
    /// How to log in.
    pub login: Kv2Login,
    /// Certificates to trust instead of the system's.
    pub roots: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// How to log in.
#[derive(Debug, Clone)]
pub enum Kv2Login {
    /// A token in a file.
    Token {
        /// The file, closed to others.
        file: PathBuf,
    },
    /// An AppRole.
    AppRole {
        /// Where the method is mounted, usually `approle`.
        mount: String,
        /// The role.
        role_id: String,
        /// The file with the secret id, closed to others.
        secret_id_file: PathBuf,
    },
}

/// The store.
#[derive(Clone)]
pub struct Kv2Store {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Kv2Settings,
    client: Client,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    text: SecretValue,
    /// `None` for a token that never ends.
    until: Option<Timestamp>,
    renewable: bool,
}

impl Kv2Store {
    /// A store on this server. Nothing is asked of it yet.
    ///
    /// # Errors
    /// The settings make no sense: no address, names that could be read in two ways, certificates that can't be read.
    pub fn new(settings: Kv2Settings) -> Result<Self, StoreError> {
        for part in settings.mount.split('/').chain(settings.path.split('/').filter(|part| !part.is_empty())) {
            check_secret_name(part).map_err(|_| {
                unavailable(format!("`{part}` in its mount or path is no plain name; correct it in `config.yaml`"))
            })?;
        }
        let client = Client::new(&settings).map_err(unavailable)?;
        Ok(Self { shared: Arc::new(Shared { settings, client, token: Mutex::default() }) })
    }

    /// Runs where blocking is fine.
    fn task<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&shared)).await;
            done.unwrap_or_else(|_| Err(unavailable("a request to it broke off; try again".into())))
        })
    }
}

fn unavailable(reason: String) -> StoreError {
    StoreError::Unavailable { store: KIND, reason }
}

fn unexpected() -> StoreError {
    unavailable("its answer is not that of the KV engine, version 2; check `mount` in `config.yaml`".into())
}

impl Shared {
    /// A token that is good for a while.
    fn token(&self) -> Result<Token, StoreError> {
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let soon = Timestamp::now() + RENEW_BEFORE;
        if let Some(token) = held.as_ref().filter(|token| token.until.is_none_or(|until| until > soon)) {
            return Ok(token.clone());
        }
        let token = match held.take().filter(|token| token.renewable) {
            Some(token) => self.renewed(&token).or_else(|_| self.login())?,
            None => self.login()?,
        };
        *held = Some(token.clone());
        Ok(token)
    }

    fn login(&self) -> Result<Token, StoreError> {
        match &self.settings.login {
            Kv2Login::Token { file } => {
                let text = credential(file)?;
                let answer = self.client.get("auth/token/lookup-self", Some(&text)).map_err(unavailable)?;
                let answer = answered(answer)?.ok_or_else(unexpected)?;
                let data = answer.json.get("data").ok_or_else(unexpected)?;
                let seconds = data.get("ttl").and_then(Value::as_u64).ok_or_else(unexpected)?;
                let renewable = data.get("renewable").and_then(Value::as_bool).unwrap_or(false);
                Ok(Token { text, until: until(seconds), renewable })
            }
            Kv2Login::AppRole { mount, role_id, secret_id_file } => {
                let secret_id = credential(secret_id_file)?;
                let secret_id = std::str::from_utf8(secret_id.expose()).map_err(|_| unexpected())?;
                let body = json!({ "role_id": role_id, "secret_id": secret_id });
                let answer = self.client.post(&format!("auth/{mount}/login"), None, body).map_err(unavailable)?;
                token_of(&answered(answer)?.ok_or_else(unexpected)?)
            }
        }
    }

    fn renewed(&self, token: &Token) -> Result<Token, StoreError> {
        let answer = self.client.post("auth/token/renew-self", Some(&token.text), json!({})).map_err(unavailable)?;
        token_of(&answered(answer)?.ok_or_else(unexpected)?)
    }

    fn at(&self, kind: &str, name: &str) -> String {
        let Kv2Settings { mount, path, .. } = &self.settings;
        let path = path.trim_matches('/');
        let separator = if path.is_empty() { "" } else { "/" };
        format!("{mount}/{kind}/{path}{separator}{name}")
    }

    fn get(&self, path: &str) -> Result<Option<Answer>, StoreError> {
        answered(self.client.get(path, Some(&self.token()?.text)).map_err(unavailable)?)
    }

    fn read(&self, name: &str, version: Option<u64>) -> Result<Lease, StoreError> {
        check_secret_name(name).map_err(StoreError::Name)?;
        let mut path = self.at("data", name);
        if let Some(version) = version {
            path.push_str(&format!("?version={version}"));
        }
        let missing = || StoreError::Missing { name: name.to_owned() };
        let Some(answer) = self.get(&path)? else {
            // Gone, or only this version of it.
            return Err(match version {
                Some(version) if self.info(name).is_ok() => {
                    StoreError::MissingVersion { name: name.to_owned(), version }
                }
                _ => missing(),
            });
        };
        let data = answer.json.pointer("/data/data").ok_or_else(unexpected)?;
        let version = answer.json.pointer("/data/metadata/version").and_then(Value::as_u64).ok_or_else(unexpected)?;
        let text = |field: &str| data.get(field).and_then(Value::as_str);
        let bytes = match (text("value"), text("value_base64")) {
            (Some(text), None) => Zeroizing::new(text.as_bytes().to_vec()),
            (None, Some(encoded)) => Zeroizing::new(STANDARD.decode(encoded).map_err(|_| unexpected())?),
            _ if data.is_null() => return Err(missing()),
            _ => {
                let reason = format!("the entry of `{name}` has no field `value`; write the secret there");
                return Err(unavailable(reason));
            }
        };
        Ok(Lease { value: SecretValue::copy(&bytes)?, version, until: self.token()?.until })
    }

    fn info(&self, name: &str) -> Result<SecretInfo, StoreError> {
        check_secret_name(name).map_err(StoreError::Name)?;
        let missing = || StoreError::Missing { name: name.to_owned() };
        let answer = self.get(&self.at("metadata", name))?.ok_or_else(missing)?;
        let versions = answer.json.pointer("/data/versions").and_then(Value::as_object).ok_or_else(unexpected)?;
        let readable = versions.iter().filter_map(|(number, version)| {
            let gone = version.get("destroyed").and_then(Value::as_bool).unwrap_or(false)
                || version.get("deletion_time").and_then(Value::as_str).is_some_and(|time| !time.is_empty());
            let at = version.get("created_time").and_then(Value::as_str).and_then(|time| time.parse().ok());
            Some(SecretVersion { number: number.parse().ok()?, at }).filter(|_| !gone)
        });
        let mut versions: Vec<SecretVersion> = readable.collect();
        versions.sort_by_key(|version| version.number);
        if versions.is_empty() {
            return Err(missing());
        }
        Ok(SecretInfo { name: name.to_owned(), versions })
    }

    fn list(&self) -> Result<Vec<SecretInfo>, StoreError> {
        let Some(answer) = self.get(&format!("{}?list=true", self.at("metadata", "")))? else { return Ok(Vec::new()) };
        let keys = answer.json.pointer("/data/keys").and_then(Value::as_array).ok_or_else(unexpected)?;
        let mut names: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
        // Folders end in a slash; they and other odd names are none of ours.
        names.retain(|name| check_secret_name(name).is_ok());
        names.sort_unstable();
        names.truncate(SECRETS_MAX);
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            match self.info(name) {
                Err(StoreError::Missing { .. }) => {}
                info => found.push(info?),
            }
        }
        Ok(found)
    }

    fn write(&self, name: &str, value: &SecretValue, expect: Expect) -> Result<u64, StoreError> {
        check_secret_name(name).map_err(StoreError::Name)?;
        let bytes = value.expose();
        if !(1..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            return Err(StoreError::Length { bytes: bytes.len() });
        }
        match (self.info(name), expect) {
            (Ok(_), Expect::New) => return Err(StoreError::Exists { name: name.to_owned() }),
            (Ok(_), Expect::Existing) | (Err(StoreError::Missing { .. }), Expect::New) => {}
            (Err(error), _) => return Err(error),
        }
        // Versions that were deleted still count.
        let metadata = self.get(&self.at("metadata", name))?;
        let current = |answer: &Answer| answer.json.pointer("/data/current_version").and_then(Value::as_u64);
        let known = metadata.map_or(Some(0), |answer| current(&answer)).ok_or_else(unexpected)?;
        let data = match std::str::from_utf8(bytes) {
            Ok(text) => json!({ "value": text }),
            Err(_) => json!({ "value_base64": STANDARD.encode(bytes) }),
        };
        // Nobody else's write in between is lost.
        let body = json!({ "options": { "cas": known }, "data": data });
        let token = self.token()?;
        let answer = self.client.post(&self.at("data", name), Some(&token.text), body).map_err(unavailable)?;
        let answer = answered(answer)?.ok_or_else(unexpected)?;
        answer.json.pointer("/data/version").and_then(Value::as_u64).ok_or_else(unexpected)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.info(name)?;
        let token = self.token()?;
        answered(self.client.delete(&self.at("metadata", name), &token.text).map_err(unavailable)?).map(drop)
    }

    /// Makes the token last longer, now.
    fn renew(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let token = match held.as_ref().filter(|token| token.renewable) {
            Some(token) => self.renewed(token).or_else(|_| self.login())?,
            None => self.login()?,
        };
        let until = token.until;
        *held = Some(token);
        Ok(until)
    }
}

fn credential(file: &std::path::Path) -> Result<SecretValue, StoreError> {
    let text = files::read(file, CREDENTIAL_BYTES_MAX).map_err(|error| unavailable(error.to_string()))?;
    Ok(SecretValue::copy(text.trim_ascii())?)
}

/// When so many seconds have passed; 0 is the server's word for never.
fn until(seconds: u64) -> Option<Timestamp> {
    let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).ok()
}

fn token_of(answer: &Answer) -> Result<Token, StoreError> {
    let auth = answer.json.get("auth").ok_or_else(unexpected)?;
    let text = auth.get("client_token").and_then(Value::as_str).ok_or_else(unexpected)?;
    let seconds = auth.get("lease_duration").and_then(Value::as_u64).ok_or_else(unexpected)?;
    let renewable = auth.get("renewable").and_then(Value::as_bool).unwrap_or(false);
    Ok(Token { text: SecretValue::copy(text.as_bytes())?, until: until(seconds), renewable })
}

/// What the server's status says; `None` where there is no such thing.
fn answered(answer: Answer) -> Result<Option<Answer>, StoreError> {
    let reason = match answer.status {
        200..=299 => return Ok(Some(answer)),
        404 => return Ok(None),
        400 => "it refused the request: another version was written meanwhile, or the login is wrong; try again".into(),
        403 => {
            "it denies access: the token ended, was revoked, or its policies don't reach the path; log in anew".into()
        }
        429 | 472 | 473 => "it is a standby or has no more room for requests; name its active node in `address`".into(),
        501 => "it is not initialised; run its `operator init`".into(),
        503 => "it is sealed or under maintenance; unseal it".into(),
        status => format!("it answered with status {status}; look at its logs"),
    };
    Err(unavailable(reason))
}

/// Wipes every text in a value that held a secret.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => {}
    }
}

impl SecretStore for Kv2Store {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SecretInfo>, StoreError>> {
        self.task(Shared::list)
    }

    fn info<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<SecretInfo, StoreError>> {
        let name = name.to_owned();
        self.task(move |shared| shared.info(&name))
    }

    fn read<'a>(&'a self, name: &'a str, version: Option<u64>) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let name = name.to_owned();
        self.task(move |shared| shared.read(&name, version))
    }

    fn write<'a>(
        &'a self,
        name: &'a str,
        value: &'a SecretValue,
        expect: Expect,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        let (name, value) = (name.to_owned(), value.clone());
        self.task(move |shared| shared.write(&name, &value, expect))
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        let name = name.to_owned();
        self.task(move |shared| shared.remove(&name))
    }

    fn renew(&self) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        self.task(Shared::renew)
    }
}

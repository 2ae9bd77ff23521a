//! The vault of a home, for commands and runs: which store keeps the secrets, what was granted, and how every use of it is
//! put on record.

use std::convert::Infallible;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bartizan_api::config::{SecretStoreKind, VaultSettings};
use bartizan_gate::store::{SECRET_BYTES_MAX, SecretStore, SecretValue, StoreError};
use bartizan_policy::{Exposure, Grant, check_secret_name};
use bartizan_scan::Known;
use bartizan_vault::{AgeStore, Broker, EnvironmentStore, GRANTS_FILE, Grants, Kv2Login, Kv2Settings, Kv2Store, Loan};
use jiff::Timestamp;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::home::{Home, read_bounded};
use crate::wiring::note;

/// Most secrets lent to one run: what comes back is searched for every one of them.
const LENT_MAX: usize = 32;
/// Most bytes the kernel passes on in one typed line (`N_TTY_BUF_SIZE`); what is typed beyond them is lost.
const TERMINAL_LINE_BYTES: usize = 4096;
/// Where a home keeps its vault.
const DIRECTORY: &str = "vault";

/// The vault of a home.
pub struct Vault {
    /// Where values are.
    pub store: Box<dyn SecretStore>,
    /// What they are bound to.
    pub grants: Grants,
}

impl Vault {
    /// Opens the vault; from here on this process leaves no core file.
    pub fn open(home: &Home) -> anyhow::Result<Self> {
        forbid_core_files()?;
        let directory = home.private_directory(DIRECTORY)?;
        let grants = Grants::open(&directory)?;
        let settings = home.config()?.secrets;
        let store: Box<dyn SecretStore> = match settings.store {
            SecretStoreKind::Vault => Box::new(server(home, settings.vault)?),
            SecretStoreKind::Age => Box::new(AgeStore::open(&directory)?),
            SecretStoreKind::Environment => Box::new(EnvironmentStore::new(variables())?),
            _ => bail!("this Bartizan doesn't know the secret store that `config.yaml` names"),
        };
        Ok(Self { store, grants })
    }
}

/// The store on a server.
fn server(home: &Home, settings: Option<VaultSettings>) -> anyhow::Result<Kv2Store> {
    let settings =
        settings.context("`config.yaml` says `store: vault` and not where it is; add `vault:` to `secrets:`")?;
    let login = match (settings.token_file, settings.approle) {
        (Some(file), None) => Kv2Login::Token { file: home.path().join(file) },
        (None, Some(role)) => Kv2Login::AppRole {
            mount: role.mount,
            role_id: role.role_id,
            secret_id_file: home.path().join(role.secret_id_file),
        },
        _ => bail!("`secrets.vault` in `config.yaml` needs either `token_file` or `approle` to log in with"),
    };
    if !(1..=60).contains(&settings.timeout_seconds) {
        bail!("`timeout_seconds` in `config.yaml` must be 1 to 60");
    }
    Ok(Kv2Store::new(Kv2Settings {
        address: settings.address,
        mount: settings.mount,
        path: settings.path,
        namespace: settings.namespace,
        login,
        roots: settings.roots.map(|file| home.path().join(file)),
        timeout: Duration::from_secs(settings.timeout_seconds),
    })?)
}

/// The file of grants, whether or not there is one.
pub fn grants_file(home: &Home) -> PathBuf {
    home.path().join(DIRECTORY).join(GRANTS_FILE)
}

/// What these secrets are bound to by their owner.
pub fn grants(home: &Home, names: &[String]) -> anyhow::Result<Vec<(String, Grant)>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let grants = Grants::open(&home.private_directory(DIRECTORY)?)?;
    let mut bound = Vec::new();
    for name in names {
        bound.extend(grants.of(name)?.into_iter().map(|grant| (name.clone(), grant)));
    }
    Ok(bound)
}

/// A secret as `run --secret` asks for it: `NAME` or `NAME=VARIABLE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// The variable of the box that holds its placeholder; empty for none.
    pub variable: String,
    /// Its value is this process's variable of its name, and ends with the run.
    pub is_ephemeral: bool,
}

impl std::str::FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, variable) = text.split_once('=').unwrap_or((text, ""));
        check_secret_name(name)?;
        let variable = match variable {
            "" => name.to_ascii_uppercase().replace(['-', '.'], "_"),
            variable => variable.to_owned(),
        };
        let starts = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!("`{variable}` is no name of a variable; write `NAME=VARIABLE`"));
        }
        Ok(Self { name: name.to_owned(), variable, is_ephemeral: false })
    }
}

/// What a run was lent.
#[derive(Default)]
pub struct Lent {
    /// Fills placeholders in.
    pub broker: Broker,
    /// What must not show anywhere.
    pub known: Known,
    /// The box's variables, with placeholders.
    pub variables: Vec<(String, String)>,
    /// What was lent, in words, for the record.
    pub described: Vec<String>,
    /// Where they came from.
    store: Option<Box<dyn SecretStore>>,
}

impl Lent {
    /// Lends a run what it was asked for, what the box itself is to hold, and what the user's policy binds and the vault
    /// has.
    pub async fn lend(
        home: &Home,
        asked: &[Asked],
        exposed: &[Exposure],
        bound: impl Iterator<Item = &str>,
    ) -> anyhow::Result<Self> {
        let mut asked = asked.to_vec();
        for Exposure { name, .. } in exposed {
            if !asked.iter().any(|one| one.name == *name) {
                asked.push(Asked { name: name.clone(), variable: String::new(), is_ephemeral: false });
            }
        }
        let required = asked.len();
        for name in bound {
            if !asked.iter().any(|one| one.name == name) {
                asked.extend(name.parse::<Asked>().ok());
            }
        }
        if asked.is_empty() {
            return Ok(Self::default());
        }
        if asked.len() > LENT_MAX {
            bail!("a run is lent at most {LENT_MAX} secrets; bind fewer in its policy");
        }
        forbid_core_files()?;
        // What is taken from the environment needs no store, and none is opened for it.
        let stored = asked.iter().any(|asked| !asked.is_ephemeral);
        let store = if stored { Some(Vault::open(home)?.store) } else { None };
        let known = Known::default();
        let (mut loans, mut variables, mut described) = (Vec::new(), Vec::new(), Vec::new());
        for (index, Asked { name, variable, is_ephemeral }) in asked.into_iter().enumerate() {
            let Some(store) = store.as_deref().filter(|_| !is_ephemeral) else {
                let value = self::variable(&name)?;
                described.push(format!(
                    "the secret `{name}`, taken from the environment, is lent to this run and ends with it"
                ));
                loans.push(Loan { name: name.clone(), value, until: None });
                variables.push((name, variable));
                continue;
            };
            let lease = match store.read(&name, None).await {
                // A policy may bind what this person doesn't have; nothing can be filled in then.
                Err(StoreError::Missing { .. }) if index >= required => continue,
                lease => lease?,
            };
            described.push(format!("the secret `{name}`, version {}, is lent to this run", lease.version));
            loans.push(Loan { name: name.clone(), value: lease.value, until: lease.until });
            variables.push((name, variable));
        }
        let broker = Broker::new(loans, &known)?;
        // What only the box itself holds has no variable with a placeholder.
        variables.retain(|(_, variable): &(String, String)| !variable.is_empty());
        let placeholder = |(name, variable): (String, String)| Some((variable, broker.placeholder(&name)?.to_owned()));
        let variables = variables.into_iter().filter_map(placeholder).collect();
        Ok(Self { broker, known, variables, described, store })
    }
}

impl Lent {
    /// Renews leases before they end, for as long as the run lasts. What can't be renewed ends, and is refused from then
    /// on; a store that comes back in time is found again.
    pub async fn keep(&self) -> Infallible {
        let Some(store) = &self.store else { return std::future::pending().await };
        loop {
            let Some(until) = self.broker.until() else { return std::future::pending().await };
            let left = until.duration_since(Timestamp::now()).unsigned_abs();
            tokio::time::sleep((left / 2).clamp(RENEW_PERIOD_MIN, RENEW_PERIOD_MAX)).await;
            if let Ok(until) = store.renew().await {
                self.broker.extend(until);
            }
        }
    }
}

/// How often renewing is tried: a store that is down is not pestered.
const RENEW_PERIOD_MIN: Duration = Duration::from_secs(1);
/// A long lease is renewed from time to time all the same, so that a store that forgot it is noticed before it ends.
const RENEW_PERIOD_MAX: Duration = Duration::from_secs(600);

/// This process's variables, names that are text.
fn variables() -> impl Iterator<Item = (String, Vec<u8>)> {
    let variables = std::env::vars_os();
    variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.as_bytes().to_vec())))
}

/// The value of one of this process's variables.
pub fn variable(name: &str) -> anyhow::Result<SecretValue> {
    let value = std::env::var_os(name).map(|value| Zeroizing::new(value.as_bytes().to_vec()));
    let value = value.filter(|value| !value.is_empty());
    let value = value.with_context(|| format!("the variable `{name}` is not set here; set it, or leave it out"))?;
    Ok(SecretValue::copy(&value)?)
}

/// A process that holds values must not leave them in a core file.
fn forbid_core_files() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .context("core files can't be forbidden, so no secret is read; run `ulimit -c 0` first")
}

/// Puts a use of the vault on record. Before it is done: a use nobody can find out about must not happen.
pub fn record(home: &Home, what: &str, message: &str) -> anyhow::Result<()> {
    note(home, &format!("secret.{what}"), &format!("{message} by {}", Account::current().name))
}

/// Where a value comes from: never an argument, which everybody on the machine could read.
pub enum Source<'a> {
    /// Asked for on the terminal, or else all of standard input.
    Input,
    /// A file.
    File(&'a Path),
}

impl Source<'_> {
    /// Reads a value. The line's end after it is no part of it unless `exact`.
    pub fn read(&self, name: &str, exact: bool) -> anyhow::Result<SecretValue> {
        let bytes_max = SECRET_BYTES_MAX as u64 + 2;
        let mut bytes = match self {
            Self::File(path) => Zeroizing::new(
                read_bounded(path, bytes_max).with_context(|| format!("failed to read `{}`", path.display()))?,
            ),
            Self::Input if io::stdin().is_terminal() => ask(name)?,
            Self::Input => {
                let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 64));
                io::stdin().lock().take(bytes_max).read_to_end(&mut bytes).context("failed to read standard input")?;
                bytes
            }
        };
        if !exact && bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            bail!("the value is empty; give it on standard input, with --file, or at the prompt");
        }
        Ok(SecretValue::copy(&bytes)?)
    }
}

/// Asks on the terminal, which shows nothing of the answer: it is silent before the question stands there.
///
/// Ctrl-C comes as the end of a line while the answer is typed. A signal would end the process and leave the shell with
/// a terminal that shows no keys.
fn ask(name: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let stdin = io::stdin();
    let saved = tcgetattr(&stdin)?;
    let interrupt = saved.special_codes[SpecialCodeIndex::VINTR];
    let mut silent = saved.clone();
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    silent.special_codes[SpecialCodeIndex::VEOL] = interrupt;
    tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
    // Nothing returns from here before the terminal is as it was.
    let mut line = Zeroizing::new(vec![0; TERMINAL_LINE_BYTES]);
    let read = write!(io::stderr(), "value of {name}: ")
        .and_then(|()| rustix::io::retry_on_intr(|| rustix::io::read(&stdin, line.as_mut_slice())).map_err(Into::into));
    tcsetattr(&stdin, OptionalActions::Now, &saved)?;
    writeln!(io::stderr())?;
    line.truncate(read.context("failed to read the terminal")?);
    match line.last() {
        Some(last) if *last == interrupt => bail!("interrupted; nothing was kept"),
        _ if line.len() >= TERMINAL_LINE_BYTES - 1 => {
            bail!("a terminal takes {TERMINAL_LINE_BYTES} bytes in a line at most; give the value with --file")
        }
        _ => Ok(line),
    }
}

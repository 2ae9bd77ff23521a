//! `bartizan secret`: values go in, and come out only where somebody asked for exactly that.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bartizan_gate::store::{Expect, SecretInfo, SecretValue, StoreError};
use bartizan_policy::{Grant as Bound, check_secret_name};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::home::Home;
use crate::output::{self, Style};
use crate::secrets::{Source, Vault, record, variable};

/// Keep secrets that programs in a box use without ever seeing them
///
/// A box gets a placeholder (`bartizan run --secret NAME`). Where a request carries it to a place the secret is bound
/// to, by `grant` or by the policy, the value takes its place outside the box.
#[derive(Subcommand)]
pub enum Secret {
    /// Keep a new secret; its value comes from a prompt, standard input or a file, never from an argument
    Set(Input),
    /// Give a secret a new value; the last versions stay readable
    Rotate(Input),
    /// List the secrets there are
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what is known about a secret: versions, and what it is bound to
    Show(Show),
    /// Forget a secret with all its versions and grants
    Remove {
        /// Its name
        name: String,
    },
    /// Bind a secret to a host and a place in requests, or take a binding back
    Grant(Grant),
    /// Take secrets over from elsewhere
    Import {
        /// Variables of this environment, by name; each becomes a secret of that name
        #[arg(long = "from-env", required = true, num_args = 1.., value_name = "NAME")]
        from_env: Vec<String>,
    },
}

/// A value to keep
#[derive(Args)]
pub struct Input {
    /// Its name, such as GITHUB_TOKEN
    name: String,
    /// Read the value from this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Keep the line's end after the value, too
    #[arg(long)]
    exact: bool,
}

/// What is known about a secret
#[derive(Args)]
#[command(disable_version_flag = true)]
pub struct Show {
    /// Its name
    name: String,
    /// Print the value, and nothing else; on the record
    #[arg(long, conflicts_with = "json")]
    reveal: bool,
    /// Of this version, with --reveal [default: the newest]
    #[arg(long, value_name = "NUMBER", requires = "reveal")]
    version: Option<u64>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What a secret is bound to
#[derive(Args)]
pub struct Grant {
    /// Its name
    name: String,
    /// The host that gets it: `api.github.com`, `*.example.com`, `host:port`
    #[arg(long, value_name = "HOST", required_unless_present = "revoke")]
    host: Option<String>,
    /// Where in the request: header.NAME, query.NAME, basic.user, basic.password, json.FIELD
    #[arg(long, value_name = "PLACE", required_unless_present = "revoke")]
    at: Option<String>,
    /// Only these methods [default: every one]
    #[arg(long, value_name = "METHOD", value_delimiter = ',')]
    method: Vec<String>,
    /// Only paths of this pattern, such as `/repos/me/**` [default: every path]
    #[arg(long, value_name = "PATTERN")]
    path: Option<String>,
    /// The whole text there, such as 'Bearer ${GITHUB_TOKEN}' [default: any text around it]
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// It may also go over plain HTTP, which anybody on the way can read
    #[arg(long)]
    plain_http: bool,
    /// Take back the grant of this number, as `show` tells it
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["host", "at", "method", "path", "text", "plain_http"])]
    revoke: Option<usize>,
}

impl Secret {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        let home = Home::open(home)?;
        let vault = Vault::open(&home)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Set(input) => input.keep(&home, &vault, Expect::New).await,
                Self::Rotate(input) => input.keep(&home, &vault, Expect::Existing).await,
                Self::List { json } => list(&vault, style, json).await,
                Self::Show(show) => show.run(&home, &vault, style).await,
                Self::Remove { name } => remove(&home, &vault, &name).await,
                Self::Grant(grant) => grant.run(&home, &vault).await,
                Self::Import { from_env } => import(&home, &vault, &from_env).await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// On the record first; the ledger is written on a runtime of its own.
async fn on_record(home: &Home, what: &'static str, message: String) -> anyhow::Result<()> {
    let home = home.clone();
    tokio::task::spawn_blocking(move || record(&home, what, &message)).await?
}

impl Input {
    async fn keep(self, home: &Home, vault: &Vault, expect: Expect) -> anyhow::Result<()> {
        let Self { name, file, exact } = self;
        // Before a value is asked for.
        expected(vault, &name, expect).await?;
        let source = file.as_deref().map_or(Source::Input, Source::File);
        let value = source.read(&name, exact)?;
        let version = keep(home, vault, &name, &value, expect).await?;
        writeln!(io::stdout(), "{name}: version {version} is kept")?;
        Ok(())
    }
}

/// That there is a secret of this name, or none, as the command wants it.
async fn expected(vault: &Vault, name: &str, expect: Expect) -> Result<(), StoreError> {
    match (vault.store.info(name).await, expect) {
        (Ok(_), Expect::New) => Err(StoreError::Exists { name: name.to_owned() }),
        (Ok(_), Expect::Existing) | (Err(StoreError::Missing { .. }), Expect::New) => Ok(()),
        (Err(error), _) => Err(error),
    }
}

async fn keep(home: &Home, vault: &Vault, name: &str, value: &SecretValue, expect: Expect) -> anyhow::Result<u64> {
    check_secret_name(name).map_err(anyhow::Error::msg)?;
    let (what, done) = match expect {
        Expect::New => ("set", "set"),
        Expect::Existing => ("rotate", "given a new value"),
    };
    on_record(home, what, format!("secret `{name}` was {done}")).await?;
    Ok(vault.store.write(name, value, expect).await?)
}

fn describe(vault: &Vault, info: &SecretInfo) -> anyhow::Result<Value> {
    let versions = info.versions.iter().map(|version| json!({ "number": version.number, "at": version.at }));
    Ok(json!({
        "name": info.name,
        "store": vault.store.kind(),
        "versions": versions.collect::<Vec<_>>(),
        "grants": vault.grants.of(&info.name)?,
    }))
}

async fn list(vault: &Vault, style: Style, as_json: bool) -> anyhow::Result<()> {
    let secrets = vault.store.list().await?;
    if as_json {
        let described: anyhow::Result<Vec<Value>> = secrets.iter().map(|info| describe(vault, info)).collect();
        return output::print_json(&described?);
    }
    for info in &secrets {
        let version = info.versions.last().map_or(0, |version| version.number);
        let grants = vault.grants.of(&info.name)?.len();
        let bound = if grants == 1 { "1 grant".to_owned() } else { format!("{grants} grants") };
        writeln!(io::stdout(), "{}  {}", info.name, style.dim(&format!("version {version}, {bound}")))?;
    }
    if secrets.is_empty() {
        writeln!(io::stderr(), "{}", style.dim("there are no secrets; keep one with `bartizan secret set NAME`"))?;
    }
    Ok(())
}

impl Show {
    async fn run(self, home: &Home, vault: &Vault, style: Style) -> anyhow::Result<()> {
        let Self { name, reveal, version, json } = self;
        if reveal {
            let lease = vault.store.read(&name, version).await?;
            on_record(home, "reveal", format!("secret `{name}`, version {}, was shown", lease.version)).await?;
            let mut stdout = io::stdout().lock();
            stdout.write_all(lease.value.expose())?;
            stdout.write_all(b"\n")?;
            return Ok(stdout.flush()?);
        }
        let info = vault.store.info(&name).await?;
        if json {
            return output::print_json(&describe(vault, &info)?);
        }
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}  {}", style.bold(&name), style.dim(vault.store.kind()))?;
        for version in &info.versions {
            let at = version.at.map(|at| format!("  {at}")).unwrap_or_default();
            writeln!(stdout, "version {}{}", version.number, style.dim(&at))?;
        }
        for (number, grant) in (1..).zip(vault.grants.of(&name)?) {
            writeln!(stdout, "grant {number}  {}", grant.describe())?;
        }
        Ok(())
    }
}

async fn remove(home: &Home, vault: &Vault, name: &str) -> anyhow::Result<()> {
    vault.store.info(name).await?;
    on_record(home, "remove", format!("secret `{name}` was removed")).await?;
    vault.store.remove(name).await?;
    vault.grants.forget(name)?;
    writeln!(io::stdout(), "{name} is gone")?;
    Ok(())
}

impl Grant {
    async fn run(self, home: &Home, vault: &Vault) -> anyhow::Result<()> {
        let Self { name, host, at, method, path, text, plain_http, revoke } = self;
        vault.store.info(&name).await?;
        if let Some(number) = revoke {
            // Taken back first: a binding that nobody put on record as gone must not hold for that.
            let grant = vault.grants.revoke(&name, number)?;
            on_record(home, "revoke", format!("secret `{name}` is no longer bound to {}", grant.describe())).await?;
            writeln!(io::stdout(), "{name} is no longer bound to {}", grant.describe())?;
            return Ok(());
        }
        let bound =
            Bound { host: host.unwrap_or_default(), method, path, at: at.unwrap_or_default(), text, plain_http };
        let bound = bound.checked(&name).map_err(anyhow::Error::msg)?;
        on_record(home, "grant", format!("secret `{name}` was bound to {}", bound.describe())).await?;
        let bound = vault.grants.add(&name, bound)?;
        writeln!(io::stdout(), "{name} is bound to {}", bound.describe())?;
        Ok(())
    }
}

async fn import(home: &Home, vault: &Vault, names: &[String]) -> anyhow::Result<()> {
    // All of them are read before any is kept.
    let mut found = Vec::new();
    for name in names {
        check_secret_name(name).map_err(anyhow::Error::msg)?;
        found.push((name, variable(name)?));
    }
    for (name, value) in found {
        let expect = match vault.store.info(name).await {
            Ok(_) => Expect::Existing,
            Err(StoreError::Missing { .. }) => Expect::New,
            Err(error) => return Err(error.into()),
        };
        let version = keep(home, vault, name, &value, expect).await?;
        writeln!(io::stdout(), "{name}: version {version} is kept; take the variable out of your environment")?;
    }
    Ok(())
}

//! `bartizan policy exception`: one rule lifted for one principal until a moment.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use bartizan_policy::Exception as Lifted;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use crate::account::Account;
use crate::exceptions;
use crate::home::Home;
use crate::moment::{self, Direction};
use crate::output::{self, Style, short};
use crate::policies::{Choice, Policies};
use crate::wiring::{Trust, note, wire};

/// Longest reason.
const REASON_BYTES_MAX: usize = 500;

/// Lift one rule for one principal for a while
#[derive(Subcommand)]
pub enum Exception {
    /// Lift a rule; signed with this home's key, and on the record
    Add(Add),
    /// List the exceptions that hold
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Take an exception back
    Remove {
        /// Its name, as `list` shows it
        id: String,
    },
}

/// Lift a rule
#[derive(Args)]
pub struct Add {
    /// The rule as verdicts name it, e.g. `net.deny[2]`, `flow[0]`, or `rego.deny: <its reason>`
    #[arg(long, value_name = "RULE")]
    rule: String,
    /// For whom: the name of the principal as the ledger shows it
    #[arg(long = "for", value_name = "PRINCIPAL")]
    principal: String,
    /// Until when, e.g. `8h`, `2d`, `2026-12-31`
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Why, for those who read the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The rule is this persona's
    #[arg(long, value_name = "NAME")]
    persona: Option<String>,
    /// The rule stands in this policy [default: the configured one]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl Exception {
    pub fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        match self {
            Self::Add(add) => add.run(home, style),
            Self::List { json } => list(home, style, json),
            Self::Remove { id } => {
                let exception = exceptions::find(home, &id)?;
                note(home, "exception.remove", &exception.describe())?;
                exceptions::remove(home, &exception)?;
                writeln!(io::stdout(), "removed {id}; its rule holds again")?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Add {
    fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        if self.reason.trim().is_empty() || self.reason.len() > REASON_BYTES_MAX {
            bail!("the reason must have 1 to {REASON_BYTES_MAX} bytes; say why in a sentence");
        }
        let choice = Choice { persona: self.persona, policy: self.policy, ..Choice::default() };
        let trust = Trust::open(home)?;
        let policies = Policies::load(home, &choice, &std::env::current_dir()?)?;
        let wired = wire(home, &trust, policies.set.clone(), Vec::new())?;
        let now = wired.clock.now()?;
        let until = moment::parse(&self.until, now, Direction::Ahead).map_err(anyhow::Error::msg)?;
        if until <= now {
            bail!("`{}` has passed already; name a time ahead, e.g. `8h`", self.until);
        }
        let (rule, text) = policies.set.liftable(&self.rule).map_err(anyhow::Error::msg)?;
        let mut exception = Lifted {
            id: String::new(),
            rule,
            text,
            principal: self.principal,
            until,
            reason: self.reason,
            by: Account::current().name,
            at: now,
        };
        exception.id = exceptions::name(&exception)?;
        // On the record first: an exception nobody can find out about must not hold.
        wired.note("exception.add", &exception.describe())?;
        trust.add_exception(&exception)?;
        writeln!(io::stdout(), "{} {}", style.warn("lifted:"), short(&exception.describe(), 1000))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn list(home: &Home, style: Style, as_json: bool) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let mut exceptions = exceptions::load(home);
    exceptions.retain(|exception| exception.until > now);
    if as_json {
        output::print_json(&json!(exceptions))?;
        return Ok(ExitCode::SUCCESS);
    }
    for exception in &exceptions {
        writeln!(io::stdout(), "{}", short(&exception.describe(), 1000))?;
    }
    if exceptions.is_empty() {
        writeln!(io::stderr(), "{}", style.dim("there are no exceptions"))?;
    }
    Ok(ExitCode::SUCCESS)
}

//! `bartizan watch`: a guard over the way out of processes that are in no box.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::account::Account;
use crate::home::Home;
use crate::output::Style;
use crate::policies::Choice;
use crate::run::EventStream;
use crate::watch::{Over, Wanted};

/// Guard the way out of a program, a control group or the whole machine, in no box
///
/// The kernel refuses every connection that policy doesn't let be made, over IPv4, IPv6, UDP and anything else, before its
/// first byte; each is recorded with the process and the reason. Names are answered by Bartizan, and what they lead to
/// may be reached at the ports of their rules. It takes root and cgroup version 2, and says so where it can't enforce. What
/// stands in the kernel stays when the watch is killed; another watch over the same group takes it over. Gives the
/// program's exit status; 125 when Bartizan refused.
#[derive(Args)]
pub struct Watch {
    /// Let nothing be reached at all
    #[arg(long, conflicts_with_all = ["policy", "persona", "overlays", "grants"])]
    air_gap: bool,
    #[command(flatten)]
    choice: Choice,
    /// Guard this control group and all below: its directory, or its path in the version 2 tree
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["host", "command"])]
    cgroup: Option<PathBuf>,
    /// Guard every process of the machine
    #[arg(long, conflicts_with = "command")]
    host: bool,
    /// What becomes of a process that is kept from something
    #[arg(long, value_enum, default_value_t = Offender::Continue, value_name = "WHAT")]
    offender: Offender,
    /// Let this machine's own addresses be reached, except for names; always so with `--host`
    #[arg(long)]
    loopback: bool,
    /// Who the program is to be, by name or number [default: who called sudo, else who you are]
    #[arg(long, value_name = "USER", requires = "command")]
    user: Option<String>,
    /// What to call this watch [default: the program's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write every event as a JSON line to this open descriptor
    #[arg(long, value_name = "FD")]
    json_events: Option<RawFd>,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What becomes of a process that is kept from something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Offender {
    /// It goes on, with an error in its hands
    Continue,
    /// It is frozen with its whole group, until you let it go on; with `--host` it alone is stopped
    Freeze,
    /// It is ended
    Stop,
}

impl Watch {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        if !self.air_gap && self.choice.policy.is_none() && self.choice.persona.is_none() {
            bail!(
                "what may be reached? name a policy with `--policy FILE`, or let nothing be reached with `--air-gap`"
            );
        }
        let over = match (self.cgroup, self.host, self.command) {
            (Some(group), ..) => Over::Group(group),
            (None, true, _) => Over::Host,
            (None, false, command) if !command.is_empty() => {
                let identity = match &self.user {
                    Some(user) => Some(Account::named(user).ok_or_else(|| {
                        anyhow::anyhow!("there is no user `{user}` here; see /etc/passwd, or give a number")
                    })?),
                    None => Account::behind_sudo(),
                };
                Over::Command { command, identity }
            }
            _ => bail!("over what? name a program (`-- CMD`), a control group (`--cgroup GROUP`) or `--host`"),
        };
        let home = Home::open(home)?;
        let wanted = Wanted {
            choice: self.choice,
            air_gap: self.air_gap,
            over,
            offender: self.offender,
            loopback: self.loopback,
            name: self.name,
            events: self.json_events.map(EventStream::open).transpose()?.map(Arc::new),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(crate::watch::watch(&home, style, wanted));
        runtime.shutdown_background();
        Ok(ExitCode::from(ended?))
    }
}

//! `bartizan approval`: the questions that wait for a person, and their answers.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use bartizan_api::control::{ControlReply, ControlRequest, PendingApproval, WireDecision};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::commands::boxes::age;
use crate::control::{self, RunDirectory};
use crate::home::Home;
use crate::moment::{self, Direction};
use crate::output::{self, Style, Table, short};

/// How often `watch` looks; each look is a question to processes of this machine.
const WATCH_PERIOD: Duration = Duration::from_millis(300);

/// See and answer what agents wait for
#[derive(Subcommand)]
pub enum Approval {
    /// List the questions that wait
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one question: exactly what would be done, and why it is asked
    Show {
        /// The question's number
        number: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Say yes: once, for the run, or until a date under the same policy
    Approve(Approve),
    /// Say no
    Deny {
        /// The question's number
        number: String,
    },
    /// Show questions as they come, until Ctrl-C
    Watch {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}

/// Say yes
#[derive(Args)]
pub struct Approve {
    /// The question's number
    number: String,
    /// Also for the same action later in this run
    #[arg(long, conflicts_with = "until")]
    run: bool,
    /// Also in later runs under the same policy, until a time (`2026-12-31`, `2026-12-31T18:00Z`) or for a while (`8h`, `7d`)
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

impl Approval {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        let home = Home::open(home)?;
        match self {
            Self::List { json } => list(&home, style, json)?,
            Self::Show { number, json } => show(&home, style, &number, json)?,
            Self::Approve(approve) => {
                let decision = match approve.until {
                    Some(when) => WireDecision::Until { until: moment(&when, Timestamp::now())? },
                    None if approve.run => WireDecision::Run,
                    None => WireDecision::Once,
                };
                answer(&home, &approve.number, decision)?;
            }
            Self::Deny { number } => answer(&home, &number, WireDecision::Deny)?,
            Self::Watch { json } => watch(&home, style, json)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(home: &Home, style: Style, json: bool) -> anyhow::Result<()> {
    let waiting = control::approvals(home)?;
    if json {
        let waiting: Vec<_> = waiting.into_iter().map(|(_, approval)| approval).collect();
        return output::print_json(&waiting);
    }
    let mut table = Table::new(style, &["NUMBER", "AGENT", "ACTION", "TARGET", "WAITS", "LEFT", "RULE"]);
    for (_, approval) in waiting {
        let left = approval.until.duration_since(Timestamp::now()).as_secs().max(0);
        table.row(vec![
            style.bold(&approval.number),
            short(&approval.action.principal.name, 20),
            approval.action.deed.kind().as_str().to_owned(),
            short(&approval.action.deed.target(), 60),
            age(approval.asked_at),
            format!("{left}s"),
            short(&approval.verdict.rule.rule, 24),
        ]);
    }
    if table.is_empty() {
        writeln!(std::io::stderr(), "nothing waits for an answer")?;
    } else {
        table.print()?;
    }
    Ok(())
}

fn find(home: &Home, number: &str) -> anyhow::Result<(RunDirectory, PendingApproval)> {
    let mut found: Vec<_> = control::approvals(home)?
        .into_iter()
        .filter(|(_, approval)| approval.number.eq_ignore_ascii_case(number))
        .collect();
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), _) => bail!("two runs wait with the number `{number}`; answer one of them at its own terminal"),
        (None, _) => bail!("no question `{number}` is waiting; `bartizan approval list` shows those that are"),
    }
}

fn show(home: &Home, style: Style, number: &str, json: bool) -> anyhow::Result<()> {
    let (directory, approval) = find(home, number)?;
    if json {
        return output::print_json(&approval);
    }
    let mut stdout = std::io::stdout().lock();
    let deed = &approval.action.deed;
    writeln!(stdout, "{}  {}", style.bold(&approval.number), style.warn(deed.kind().as_str()))?;
    writeln!(stdout, "target   {}", short(&deed.target(), 4000))?;
    writeln!(stdout, "agent    {}  in {}", short(&approval.action.principal.name, 100), directory.run)?;
    if let Some(process) = &approval.action.process {
        let executable = process.executable.as_deref().unwrap_or("?");
        writeln!(stdout, "process  {} ({})", short(executable, 400), process.pid)?;
    }
    let rule = &approval.verdict.rule;
    writeln!(stdout, "because  {}  {}", short(&approval.verdict.reason, 400), style.dim(&short(&rule.rule, 60)))?;
    if let Some(source) = &rule.source {
        writeln!(stdout, "stands   {}", short(source, 400))?;
    }
    writeln!(stdout, "risk     {:?}", approval.verdict.risk)?;
    writeln!(stdout, "digest   {}", approval.action_digest)?;
    writeln!(
        stdout,
        "left     {}s, then it is denied",
        approval.until.duration_since(Timestamp::now()).as_secs().max(0)
    )?;
    let exact = serde_json::to_string_pretty(deed)?;
    for line in exact.lines() {
        writeln!(stdout, "  {}", style.dim(&short(line, 4000)))?;
    }
    writeln!(
        stdout,
        "\nbartizan approval approve {number} [--run | --until 7d]   or   bartizan approval deny {number}"
    )?;
    Ok(())
}

fn answer(home: &Home, number: &str, answer: WireDecision) -> anyhow::Result<()> {
    let (directory, approval) = find(home, number)?;
    let word = if matches!(answer, WireDecision::Deny) { "denied" } else { "approved" };
    let request =
        ControlRequest::ApprovalAnswer { number: approval.number.clone(), seen: Some(approval.action_digest), answer };
    match control::call(&directory, &request)? {
        Some(ControlReply::Done) => {
            let deed = &approval.action.deed;
            writeln!(
                std::io::stderr(),
                "{word} {}: {} {}",
                approval.number,
                deed.kind().as_str(),
                short(&deed.target(), 200)
            )?;
            Ok(())
        }
        Some(ControlReply::Error { message }) => bail!("{message}"),
        _ => bail!("the box has ended; nothing waits any more"),
    }
}

fn watch(home: &Home, style: Style, json: bool) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    loop {
        let waiting = control::approvals(home)?;
        let present: HashSet<_> = waiting.iter().map(|(_, approval)| approval.action.id.clone()).collect();
        seen.retain(|id| present.contains(id));
        for (_, approval) in waiting {
            if !seen.insert(approval.action.id.clone()) {
                continue;
            }
            if json {
                output::print_json_line(&approval)?;
                continue;
            }
            let deed = &approval.action.deed;
            let agent = short(&approval.action.principal.name, 24);
            let number = style.bold(&approval.number);
            let (kind, target) = (style.warn(deed.kind().as_str()), short(&deed.target(), 200));
            writeln!(
                std::io::stdout(),
                "{number}  {agent}  {kind} {target}\n        {}",
                short(&approval.verdict.reason, 200)
            )?;
        }
        std::thread::sleep(WATCH_PERIOD);
    }
}

/// A moment to come, from a date, a time, or a while from now.
fn moment(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let until = moment::parse(text, now, Direction::Ahead).map_err(anyhow::Error::msg)?;
    if until <= now {
        bail!("`{text}` has passed; name a time to come");
    }
    Ok(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_lie_ahead() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        assert_eq!(moment("8h", now).unwrap(), "2026-06-01T20:00:00Z".parse().unwrap());
        assert!(moment("7d", now).is_ok());
        assert!(moment("2026-12-31", now).is_ok());
        assert!(moment("2025-12-31", now).is_err());
        assert!(moment("-1h", now).is_err());
        assert!(moment("soon", now).is_err());
    }
}

//! `bartizan box`: what runs now, and ending it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use bartizan_api::control::{ControlReply, ControlRequest};
use clap::Subcommand;
use jiff::Timestamp;

use crate::control;
use crate::home::Home;
use crate::output::{self, Style, Table, short};

/// Show what runs now, or end it
#[derive(Subcommand)]
pub enum Boxes {
    /// List the boxes that run
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one box: its layers, processes and decisions so far
    Show {
        /// Its name or run
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End a box and everything in it
    Stop {
        /// Its name or run
        name: String,
    },
}

impl Boxes {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        let home = Home::open(home)?;
        match self {
            Self::List { json } => list(&home, style, json)?,
            Self::Show { name, json } => show(&home, style, &name, json)?,
            Self::Stop { name } => stop(&home, &name)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(home: &Home, style: Style, json: bool) -> anyhow::Result<()> {
    let boxes: Vec<_> = control::boxes(home)?.into_iter().map(|(_, status)| status).collect();
    if json {
        return output::print_json(&boxes);
    }
    let mut table = Table::new(style, &["NAME", "RUN", "POLICY", "AGE", "ALLOWED", "APPROVED", "DENIED", "COMMAND"]);
    for status in boxes {
        table.row(vec![
            short(&status.name, 24),
            status.run,
            short(&status.policy, 24),
            age(status.started_at),
            status.counts.allowed.to_string(),
            status.counts.approved.to_string(),
            status.counts.denied.to_string(),
            short(&status.command.join(" "), 48),
        ]);
    }
    if table.is_empty() {
        writeln!(std::io::stderr(), "no box is running")?;
    } else {
        table.print()?;
    }
    Ok(())
}

fn show(home: &Home, style: Style, name: &str, json: bool) -> anyhow::Result<()> {
    let (_, status) = control::find_box(home, name)?;
    if json {
        return output::print_json(&status);
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}  {}", style.bold(&short(&status.name, 60)), style.dim(&status.run))?;
    writeln!(stdout, "command    {}", short(&status.command.join(" "), 400))?;
    writeln!(stdout, "workspace  {}", short(&status.workspace, 400))?;
    writeln!(stdout, "policy     {}", short(&status.policy, 100))?;
    writeln!(stdout, "age        {}  (kept by process {})", age(status.started_at), status.keeper_pid)?;
    let processes: Vec<String> = status.processes.iter().map(u32::to_string).collect();
    writeln!(stdout, "processes  {}  {}", processes.len(), style.dim(&processes.join(" ")))?;
    let counts = status.counts;
    writeln!(stdout, "decisions  {} allowed, {} approved, {} denied", counts.allowed, counts.approved, counts.denied)?;
    for layer in status.layers {
        let state = if layer.enforced { style.good("on ") } else { style.warn("off") };
        writeln!(stdout, "  {state} {:<16} {}", layer.layer, short(&layer.detail, 160))?;
    }
    Ok(())
}

fn stop(home: &Home, name: &str) -> anyhow::Result<()> {
    let (directory, status) = control::find_box(home, name)?;
    match control::call(&directory, &ControlRequest::BoxStop)? {
        Some(ControlReply::Error { message }) => bail!("{message}"),
        _ => writeln!(std::io::stderr(), "stopped `{}` ({})", short(&status.name, 60), status.run)?,
    }
    Ok(())
}

/// Time since then, in its largest unit.
pub fn age(since: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(since).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

//! `bartizan log`: reading, verifying and exporting the ledger.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use bartizan_crypto::key_file;
use bartizan_ledger::{Entry, Follow, Index, Query, Row, VerifyOptions, WitnessState};
use bartizan_model::{ActionKind, Effect, OutcomeStatus, Record};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use crate::control;
use crate::home::{Home, read_bounded};
use crate::moment::{self, Direction};
use crate::output::{self, Style, Table, short};
use crate::wiring::Trust;

/// Rows listed unless asked for more.
const ROWS_DEFAULT: usize = 50;

/// How long `tail` waits before it looks at the world again.
const TAIL_WAIT: Duration = Duration::from_secs(1);

/// Largest checkpoint note given from outside.
const NOTE_BYTES_MAX: u64 = 64 * 1024;

/// Read, verify and export the ledger
#[derive(Subcommand)]
pub enum Log {
    /// List actions, newest last
    List(List),
    /// Show one action or entry whole
    Show {
        /// An action, or an entry's number
        id: String,
    },
    /// Print entries as they come, until Ctrl-C
    Tail {
        /// Start with this many of the newest entries
        #[arg(long, short = 'n', default_value_t = 10)]
        lines: u64,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Check that nothing was edited, inserted, removed, reordered, cut off or put back
    Verify(Verify),
    /// Copy the ledger with what others need to verify it
    Export {
        /// The file to write; a checkpoint and the public key are written beside it
        file: PathBuf,
    },
}

/// List actions
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    filter: Filter,
    /// Of this kind, e.g. net.connect
    #[arg(long, value_name = "KIND", value_parser = kind)]
    action: Option<ActionKind>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Which actions are wanted.
#[derive(Args)]
pub struct Filter {
    /// Of this run: its identifier, the end of it, a running box's name, or `last`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// By this agent or persona
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// With this verdict
    #[arg(long, value_name = "allow|ask|deny", value_parser = effect)]
    verdict: Option<Effect>,
    /// With this text in what it was done to
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Not older than this: a time, or a while ago (`2h`, `7d`)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Timestamp>,
    /// Older than this
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Timestamp>,
    /// At most this many, the newest
    #[arg(long, short = 'n', default_value_t = ROWS_DEFAULT, value_name = "COUNT")]
    limit: usize,
}

impl Filter {
    /// The rows it lets through, of these kinds; of all when there are none.
    pub fn rows(self, home: &Home, kinds: Vec<ActionKind>) -> anyhow::Result<Vec<Row>> {
        let query = Query {
            run: self.run.map(|run| control::find_run(home, &run)).transpose()?,
            action: None,
            agent: self.agent,
            kinds,
            verdict: self.verdict,
            since: self.since,
            until: self.until,
            text: self.text,
            limit: self.limit.max(1),
        };
        Ok(Index::open(&home.index(), &home.ledger())?.query(&query)?)
    }
}

/// Check the ledger
#[derive(Args)]
pub struct Verify {
    /// A ledger directory or exported file [default: this home's ledger]
    ledger: Option<PathBuf>,
    /// The public key [default: this home's]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Also against a checkpoint kept elsewhere
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn kind(text: &str) -> Result<ActionKind, String> {
    serde_json::from_value(json!(text)).map_err(|_| {
        let kinds: Vec<&str> = ActionKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("there are {}", kinds.join(", "))
    })
}

fn effect(text: &str) -> Result<Effect, String> {
    serde_json::from_value(json!(text)).map_err(|_| "there are allow, ask, deny".into())
}

/// A time, or a while ago.
fn moment(text: &str) -> Result<Timestamp, String> {
    moment::parse(text, Timestamp::now(), Direction::Ago)
}

impl Log {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        if let Self::Verify(verify) = self {
            return verify.run(home, style);
        }
        let home = Home::open(home)?;
        match self {
            Self::List(list) => list.run(&home, style)?,
            Self::Show { id } => show(&home, &id)?,
            Self::Tail { lines, json } => tail(&home, style, lines, json)?,
            Self::Export { file } => export(&home, &file)?,
            Self::Verify(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self, home: &Home, style: Style) -> anyhow::Result<()> {
        let rows = self.filter.rows(home, self.action.into_iter().collect())?;
        if self.json {
            for row in rows {
                output::print_json_line(&row_json(&row))?;
            }
            return Ok(());
        }
        let mut table =
            Table::new(style, &["ENTRY", "TIME", "AGENT", "VERDICT", "ACTION", "TARGET", "OUTCOME", "RULE"]);
        for row in &rows {
            table.row(cells(style, &row.entry, row.closed.as_ref()));
        }
        if table.is_empty() {
            writeln!(io::stderr(), "nothing recorded matches")?;
        } else {
            table.print()?;
        }
        Ok(())
    }
}

fn entry_json(entry: &Entry) -> serde_json::Value {
    json!({ "seq": entry.seq, "at": entry.at, "hash": entry.hash, "record": entry.record })
}

pub fn row_json(row: &Row) -> serde_json::Value {
    let mut value = entry_json(&row.entry);
    if let (Some(closed), Some(object)) = (&row.closed, value.as_object_mut()) {
        object.insert("closed".into(), entry_json(closed));
    }
    value
}

fn cells(style: Style, entry: &Entry, closed: Option<&Entry>) -> Vec<String> {
    let mut cells = vec![entry.seq.to_string(), style.dim(&time(entry))];
    let (verdict, outcome, rule) = match &entry.record {
        Record::Opened { verdict, approval, .. } => {
            let word = if approval.is_some() { style.warn("approved") } else { style.effect(verdict.effect) };
            (word, closed.map_or_else(|| "open".to_owned(), outcome), verdict.rule.rule.clone())
        }
        Record::Refused { verdict, refused, .. } => {
            let rule = verdict.as_ref().map(|verdict| verdict.rule.rule.clone()).unwrap_or_default();
            let why = serde_json::to_value(refused)
                .ok()
                .and_then(|refused| refused.get("why").and_then(|why| why.as_str().map(str::to_owned)));
            (style.bad("deny"), why.map(|why| format!("refused: {why}")).unwrap_or_default(), rule)
        }
        Record::Judged { verdict, .. } => (style.effect(verdict.effect), "judged".into(), verdict.rule.rule.clone()),
        Record::Noted { .. } | Record::Closed { .. } => (String::new(), String::new(), String::new()),
        _ => Default::default(),
    };
    let (agent, kind, target) = match (&entry.record, entry.record.action()) {
        (_, Some(action)) => {
            (action.principal.name.clone(), action.deed.kind().as_str().to_owned(), action.deed.target())
        }
        (Record::Noted { topic, message, .. }, _) => (String::new(), topic.clone(), message.clone()),
        (Record::Closed { action_id, .. }, _) => (String::new(), "closed".into(), action_id.to_string()),
        _ => Default::default(),
    };
    cells.extend([short(&agent, 20), verdict, kind, short(&target, 64), outcome, short(&rule, 32)]);
    cells
}

/// When it was recorded, by the clock of whoever reads it.
pub fn time(entry: &Entry) -> String {
    entry.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%m-%d %H:%M:%S").to_string()
}

fn outcome(closed: &Entry) -> String {
    let Record::Closed { outcome, .. } = &closed.record else { return String::new() };
    let word = match outcome.status {
        OutcomeStatus::Done => "done",
        OutcomeStatus::Failed => "failed",
        OutcomeStatus::Stopped => "stopped",
        OutcomeStatus::Unknown => "unknown",
    };
    let figure = |name: &str| outcome.figures.get(name).copied();
    match (figure("exit_status"), figure("sent_bytes"), figure("received_bytes")) {
        (Some(status), _, _) => format!("{word} ({status})"),
        (_, Some(sent), Some(received)) => format!("{word} ↑{sent} ↓{received}"),
        _ => word.to_owned(),
    }
}

fn show(home: &Home, id: &str) -> anyhow::Result<()> {
    let mut index = Index::open(&home.index(), &home.ledger())?;
    if let Ok(seq) = id.parse::<u64>() {
        let entry = index
            .entry(seq)?
            .with_context(|| format!("there is no entry {seq}; `bartizan log list` shows what there is"))?;
        return output::print_json(&entry_json(&entry));
    }
    let action = id.parse()?;
    let rows = index.query(&Query { action: Some(action), limit: 1, ..Query::default() })?;
    let row = rows
        .first()
        .with_context(|| format!("there is no action `{}`; `bartizan log list` shows what there is", short(id, 60)))?;
    output::print_json(&row_json(row))
}

fn tail(home: &Home, style: Style, lines: u64, json: bool) -> anyhow::Result<()> {
    let mut index = Index::open(&home.index(), &home.ledger())?;
    let mut follow = Follow::start(&mut index, lines)?;
    loop {
        let Some(entry) = follow.next(Some(TAIL_WAIT))? else { continue };
        if json {
            output::print_json_line(&entry_json(&entry))?;
            continue;
        }
        let cells: Vec<String> = cells(style, &entry, None).into_iter().filter(|cell| !cell.is_empty()).collect();
        writeln!(io::stdout(), "{}", cells.join("  "))?;
    }
}

fn export(home: &Home, file: &Path) -> anyhow::Result<()> {
    let trust = Trust::open(home)?;
    bartizan_ledger::export(&home.ledger(), &trust.public_key(), file)?;
    let shown = file.display();
    writeln!(
        io::stderr(),
        "wrote {shown}, {shown}.checkpoint and {shown}.pub\nanywhere: bartizan log verify {shown} --key {shown}.pub"
    )?;
    Ok(())
}

impl Verify {
    fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        let own = self.ledger.is_none();
        let (ledger, key) = match (self.ledger, self.key) {
            (Some(ledger), Some(key)) => (ledger, key),
            (ledger, key) => {
                let home = Home::open(home)?;
                (ledger.unwrap_or_else(|| home.ledger()), key.unwrap_or_else(|| home.public_key_file()))
            }
        };
        let key = key_file::load_public(&key)?;
        let note = |file: PathBuf| -> anyhow::Result<String> {
            let bytes =
                read_bounded(&file, NOTE_BYTES_MAX).with_context(|| format!("failed to read `{}`", file.display()))?;
            String::from_utf8(bytes).with_context(|| format!("`{}` is no checkpoint", file.display()))
        };
        let options = VerifyOptions {
            witness: if own { Some(Home::witness_directory()?) } else { None },
            checkpoint: self.checkpoint.map(note).transpose()?,
        };
        if own && let Ok(trust) = Home::open(home).and_then(|home| Trust::open(&home)) {
            // Opening mends what a killed writer left, and records that. What it refuses to open, verifying explains.
            drop(trust.ledger());
        }
        let report = bartizan_ledger::verify(&ledger, &key, &options)?;
        let good = report.is_good();
        if self.json {
            output::print_json(&json!({
                "good": good,
                "entries": report.entries,
                "segments": report.segments,
                "signed": report.signed,
                "checkpoints": report.checkpoints,
                "first_bad": report.first_bad.as_ref().map(|bad| json!({ "seq": bad.seq, "segment": bad.segment, "line": bad.line, "reason": bad.reason })),
                "problems": report.problems,
                "last_at": report.last_at,
            }))?;
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let mut stdout = io::stdout().lock();
        match &report.first_bad {
            Some(bad) => writeln!(stdout, "{}  first bad {bad}", style.bad("BROKEN"))?,
            None if good => writeln!(
                stdout,
                "{}  {} entries in {} segments, chained and signed",
                style.good("verified"),
                report.entries,
                report.segments
            )?,
            None => writeln!(stdout, "{}  {} entries hold, but:", style.bad("BROKEN"), report.entries)?,
        }
        for problem in &report.problems {
            writeln!(stdout, "  {problem}")?;
        }
        writeln!(
            stdout,
            "  {} signed checkpoints compared, the newest over {} entries",
            report.checkpoints, report.signed
        )?;
        match report.witness {
            WitnessState::Missing if own => writeln!(
                stdout,
                "  {}",
                style.warn("there is no witness: an old copy of the whole home would not be noticed")
            )?,
            WitnessState::Agrees { size } => {
                writeln!(stdout, "  the witness outside the home knows {size} of them and agrees")?
            }
            _ => {}
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

//! `bartizan net`: who went where over the network, who tried to, and who may.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bartizan_ledger::{Entry, Follow, Index};
use bartizan_model::{ActionId, ActionKind, Deed, Effect, Record};
use bartizan_policy::examples;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::log::{Filter, row_json, time};
use crate::home::Home;
use crate::output::{self, Style, Table, short};
use crate::policies::{Choice, Policies};

/// What goes over the network, or names something to go to.
const KINDS: [ActionKind; 3] = [ActionKind::NetConnect, ActionKind::DnsQuery, ActionKind::HttpRequest];

/// How often `top` shows what has changed.
const TOP_WAIT: Duration = Duration::from_secs(1);

/// Entries `top` looks back over when it starts.
const TOP_ENTRIES: u64 = 5_000;

/// Destinations `top` keeps count of; a program could name any number of them.
const DESTINATIONS_MAX: usize = 10_000;

/// Destinations shown when standard output is no terminal, whose height would tell.
const TOP_ROWS: usize = 40;

/// Policies compared when none is named.
const MATRIX_DEFAULT: [&str; 5] = ["coding_assistant", "sre", "secops", "data_architect", "code_janitor"];

/// Hosts every matrix has, whether or not a rule names them.
const ALWAYS: [(&str, &str, u16); 5] = [
    ("any other host", "any-other-host.example", 443),
    ("this machine", "127.0.0.1", 80),
    ("the local network", "192.168.1.1", 80),
    ("cloud metadata", "169.254.169.254", 80),
    ("a literal address", "93.184.216.34", 443),
];

/// Show what goes over the network
#[derive(Subcommand)]
pub enum Net {
    /// List attempts: process, destination, bytes, verdict
    Log {
        #[command(flatten)]
        filter: Filter,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Watch destinations while they are used, until Ctrl-C
    Top {
        /// Once, and end
        #[arg(long)]
        once: bool,
        /// One JSON object a destination, once
        #[arg(long)]
        json: bool,
    },
    /// Show who may reach what: every host that rules name, under each persona
    Show(Show),
}

/// Show who may reach what
#[derive(Args)]
pub struct Show {
    /// Personas or policy files [default: the policy in force and the built-in personas]
    policies: Vec<String>,
    /// Only hosts with this text
    #[arg(long, value_name = "TEXT")]
    host: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Net {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        let home = Home::open(home)?;
        match self {
            Self::Log { filter, json } => log(&home, style, filter, json)?,
            Self::Top { once, json } => top(&home, style, once, json)?,
            Self::Show(show) => show.run(&home, style)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn log(home: &Home, style: Style, filter: Filter, json: bool) -> anyhow::Result<()> {
    let rows = filter.rows(home, KINDS.to_vec())?;
    if json {
        return rows.iter().try_for_each(|row| output::print_json_line(&row_json(row)));
    }
    let mut table =
        Table::new(style, &["ENTRY", "TIME", "PROCESS", "DESTINATION", "VERDICT", "SENT", "RECEIVED", "RULE"]);
    for row in &rows {
        let Some(attempt) = Attempt::read(&row.entry) else { continue };
        let moved = row.closed.as_ref().map(Moved::read).unwrap_or_default();
        table.row(vec![
            row.entry.seq.to_string(),
            style.dim(&time(&row.entry)),
            short(&attempt.process, 28),
            short(&attempt.destination, 72),
            if attempt.refused { style.bad("deny") } else { style.effect(attempt.effect) },
            bytes(moved.sent),
            bytes(moved.received),
            short(&attempt.rule, 32),
        ]);
    }
    if table.is_empty() {
        writeln!(io::stderr(), "nothing recorded matches")?;
        return Ok(());
    }
    Ok(table.print()?)
}

/// One attempt, as it was recorded.
struct Attempt {
    id: ActionId,
    process: String,
    destination: String,
    host: String,
    effect: Effect,
    /// Refused, by policy or by a person.
    refused: bool,
    rule: String,
}

impl Attempt {
    fn read(entry: &Entry) -> Option<Self> {
        let action = entry.record.action()?;
        let (verdict, refused) = match &entry.record {
            Record::Opened { verdict, .. } => (Some(verdict), false),
            Record::Refused { verdict, .. } => (verdict.as_ref(), true),
            _ => return None,
        };
        let host = match &action.deed {
            Deed::NetConnect { host, .. } | Deed::HttpRequest { host, .. } => host.clone(),
            Deed::DnsQuery { name, .. } => name.clone(),
            _ => return None,
        };
        let process = action.process.as_ref().map_or_else(
            || "unknown".to_owned(),
            |process| match process.executable.as_deref().and_then(|path| path.rsplit('/').next()) {
                Some(name) => format!("{name} ({})", process.pid),
                None => process.pid.to_string(),
            },
        );
        Some(Self {
            id: action.id.clone(),
            process,
            destination: match action.deed.kind() {
                ActionKind::DnsQuery => format!("dns {}", action.deed.target()),
                _ => action.deed.target(),
            },
            host,
            effect: verdict.map_or(Effect::Deny, |verdict| verdict.effect),
            refused,
            rule: verdict.map(|verdict| verdict.rule.rule.clone()).unwrap_or_default(),
        })
    }
}

/// Bytes of a connection that has ended; none while it is open.
#[derive(Default)]
struct Moved {
    sent: Option<i64>,
    received: Option<i64>,
}

impl Moved {
    fn read(closed: &Entry) -> Self {
        let Record::Closed { outcome, .. } = &closed.record else { return Self::default() };
        let figure = |name: &str| outcome.figures.get(name).copied();
        Self { sent: figure("sent_bytes"), received: figure("received_bytes") }
    }
}

/// A number of bytes in few characters; nothing where it isn't known.
fn bytes(count: Option<i64>) -> String {
    let Some(count) = count else { return String::new() };
    let mut amount = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if amount < 1024.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{amount:.1} {unit}") };
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} TiB")
}

/// What there is to say of one destination.
#[derive(Debug, Default, Clone, Serialize)]
struct Destination {
    host: String,
    /// Connections and requests under way.
    open: u64,
    /// Attempts that went through.
    allowed: u64,
    /// Attempts that were refused.
    denied: u64,
    sent_bytes: i64,
    received_bytes: i64,
    #[serde(skip)]
    last: u64,
}

/// Counts over entries in their order.
#[derive(Default)]
struct Traffic {
    destinations: BTreeMap<String, Destination>,
    open: BTreeMap<ActionId, String>,
}

impl Traffic {
    fn add(&mut self, entry: &Entry) {
        if let Record::Closed { action_id, .. } = &entry.record {
            let Some(host) = self.open.remove(action_id) else { return };
            let Some(destination) = self.destinations.get_mut(&host) else { return };
            let moved = Moved::read(entry);
            destination.open = destination.open.saturating_sub(1);
            destination.sent_bytes = destination.sent_bytes.saturating_add(moved.sent.unwrap_or(0));
            destination.received_bytes = destination.received_bytes.saturating_add(moved.received.unwrap_or(0));
            return;
        }
        let Some(attempt) = Attempt::read(entry) else { return };
        self.make_room(&attempt.host);
        let destination = self.destinations.entry(attempt.host.clone()).or_default();
        destination.host = attempt.host.clone();
        destination.last = entry.seq;
        if attempt.refused {
            destination.denied += 1;
            return;
        }
        destination.allowed += 1;
        destination.open += 1;
        self.open.insert(attempt.id, attempt.host);
    }

    /// Forgets the destination that was longest unused when there are too many.
    fn make_room(&mut self, wanted: &str) {
        if self.destinations.len() < DESTINATIONS_MAX || self.destinations.contains_key(wanted) {
            return;
        }
        let oldest =
            self.destinations.values().min_by_key(|destination| destination.last).map(|oldest| oldest.host.clone());
        if let Some(host) = oldest {
            self.destinations.remove(&host);
            self.open.retain(|_, of| *of != host);
        }
    }

    /// Those in use first, then those used last.
    fn ranked(&self) -> Vec<&Destination> {
        let mut ranked: Vec<&Destination> = self.destinations.values().collect();
        ranked.sort_by_key(|destination| std::cmp::Reverse((destination.open > 0, destination.last)));
        ranked
    }

    fn table(&self, style: Style, rows_max: usize) -> Table {
        let mut table = Table::new(style, &["DESTINATION", "OPEN", "ALLOWED", "DENIED", "SENT", "RECEIVED"]);
        for destination in self.ranked().into_iter().take(rows_max) {
            let denied = destination.denied.to_string();
            table.row(vec![
                short(&destination.host, 60),
                destination.open.to_string(),
                destination.allowed.to_string(),
                if destination.denied > 0 { style.bad(&denied) } else { denied },
                bytes(Some(destination.sent_bytes)),
                bytes(Some(destination.received_bytes)),
            ]);
        }
        table
    }
}

fn top(home: &Home, style: Style, once: bool, json: bool) -> anyhow::Result<()> {
    let mut index = Index::open(&home.index(), &home.ledger())?;
    let mut follow = Follow::start(&mut index, TOP_ENTRIES)?;
    let mut traffic = Traffic::default();
    while let Some(entry) = follow.next(None)? {
        traffic.add(&entry);
    }
    if json {
        return traffic.ranked().into_iter().try_for_each(output::print_json_line);
    }
    let live = io::stdout().is_terminal();
    if once || !live {
        return Ok(traffic.table(style, TOP_ROWS).print()?);
    }
    loop {
        let rows = rustix::termios::tcgetwinsize(io::stdout()).map_or(24, |size| usize::from(size.ws_row));
        let mut stdout = io::stdout().lock();
        // Home, then each line anew; what is left of the last picture goes.
        write!(stdout, "\x1b[H\x1b[2J")?;
        drop(stdout);
        writeln!(io::stdout(), "{}", style.dim("bartizan net top: the ledger's newest entries, Ctrl-C ends"))?;
        traffic.table(style, rows.saturating_sub(3).max(1)).print()?;
        let shown = Instant::now();
        while let Some(left) = TOP_WAIT.checked_sub(shown.elapsed()).filter(|left| !left.is_zero()) {
            if let Some(entry) = follow.next(Some(left))? {
                traffic.add(&entry);
            }
        }
    }
}

/// One line of the matrix.
#[derive(Serialize)]
struct Reach {
    host: String,
    port: u16,
    /// By policy: what a connection there would meet.
    effects: BTreeMap<String, Effect>,
}

impl Show {
    fn run(self, home: &Home, style: Style) -> anyhow::Result<()> {
        let directory = std::env::current_dir()?;
        let mut columns: Vec<(String, Policies)> = Vec::new();
        if self.policies.is_empty() {
            let in_force = Policies::load(home, &Choice::default(), &directory)?;
            columns.push((in_force.label.clone(), in_force));
        }
        let named = if self.policies.is_empty() { MATRIX_DEFAULT.map(str::to_owned).to_vec() } else { self.policies };
        for name in named {
            if columns.iter().any(|(label, _)| *label == name) {
                continue;
            }
            let policies = Policies::named(home, &name, &directory)?;
            columns.push((name, policies));
        }
        let mut hosts: BTreeMap<(String, u16), String> = BTreeMap::new();
        for (_, policies) in &columns {
            let set = &policies.set;
            let parts = std::iter::once(set.user()).chain(set.narrowing());
            for example in parts.flat_map(|policy| examples(policy.file(), set.context())) {
                if let Deed::NetConnect { host, port } = example.deed {
                    hosts.entry((host.clone(), port)).or_insert(host);
                }
            }
        }
        let always = ALWAYS.iter().map(|(what, host, port)| (format!("{what} ({host})"), (*host).to_owned(), *port));
        let named = hosts.into_iter().map(|((host, port), shown)| (shown, host, port));
        let mut matrix = Vec::new();
        for (shown, host, port) in named.chain(always) {
            if self.host.as_ref().is_some_and(|text| !shown.contains(text.as_str())) {
                continue;
            }
            let deed = Deed::NetConnect { host, port };
            let decided = |(label, policies): &(String, Policies)| (label.clone(), policies.set.verdict(&deed).effect);
            matrix.push(Reach { host: shown, port, effects: columns.iter().map(decided).collect() });
        }
        if self.json {
            return output::print_json(&matrix);
        }
        let mut headings = vec!["HOST", "PORT"];
        headings.extend(columns.iter().map(|(label, _)| label.as_str()));
        let mut table = Table::new(style, &headings);
        for reach in &matrix {
            let mut cells = vec![short(&reach.host, 60), reach.port.to_string()];
            let effects = columns.iter().filter_map(|(label, _)| reach.effects.get(label));
            cells.extend(effects.map(|effect| style.effect(*effect)));
            table.row(cells);
        }
        Ok(table.print()?)
    }
}

//! `cargo xtask bench`: how fast, against whom, with how much noise.
//!
//! Every figure is taken beside its peer in the same minutes on the same machine, runs interleaved, and printed
//! as a ratio of medians: absolute times of another machine say little. A crate joins in with a bench of its own
//! (`benches/*.rs`), which prints what it finds; criterion's results enter the table too.

mod check;
mod crates;
mod jail;
mod memory;
mod peers;
mod run;
mod stats;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{setup, shell, workspace};

/// Rounds of a paired measurement; enough for a steady median, few enough to wait for.
const ROUNDS: u32 = 100;

type Bench = fn(&Options) -> Result<Vec<Row>>;

const BENCHES: &[(&str, &str, Bench)] = &[
    ("run", "`bartizan run -- /bin/true` against bubblewrap and a plain start", run::run),
    ("check", "`bartizan check` of one action, a process of its own", check::check),
    ("jail", "the box alone against bubblewrap", jail::jail),
    ("memory", "size of the binary, memory of an idle run", memory::memory),
    ("crates", "the crates' own benches: decisions, ledger, proxy, redaction", crates::crates),
    (PEERS, "other policy engines on equivalent rules; only when it is named", peers::peers),
];

/// Fetches and builds other people's programs, so it isn't run along with the others.
const PEERS: &str = "peers";

struct Options {
    rounds: u32,
}

/// One line of the report.
struct Row {
    name: String,
    value: f64,
    unit: String,
    /// What it is compared with, and that one's value.
    peer: Option<(String, f64)>,
    /// Half of the spread around the median, as a share of it.
    noise: Option<f64>,
    goal: Option<String>,
}

impl Row {
    fn new(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self { name: name.into(), value, unit: unit.to_owned(), peer: None, noise: None, goal: None }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "peer": self.peer.as_ref().map(|(name, value)| json!({ "name": name, "value": value })),
            "ratio": self.ratio(),
            "noise": self.noise,
            "goal": self.goal,
        })
    }

    fn ratio(&self) -> Option<f64> {
        self.peer.as_ref().map(|(_, value)| self.value / value)
    }

    fn markdown(&self) -> String {
        let peer =
            self.peer.as_ref().map_or_else(String::new, |(name, value)| format!("{name}: {value:.2} {}", self.unit));
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let noise = self.noise.map_or_else(String::new, |noise| format!("± {:.0} %", noise * 100.0));
        format!(
            "| {} | {:.2} {} | {peer} | {ratio} | {noise} | {} |",
            self.name,
            self.value,
            self.unit,
            self.goal.as_deref().unwrap_or_default()
        )
    }
}

pub(crate) fn bench(arguments: &[&str]) -> Result<()> {
    let mut options = Options { rounds: ROUNDS };
    let mut json_file: Option<PathBuf> = None;
    let mut chosen: Vec<&str> = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "--list" => {
                for (name, what, _) in BENCHES {
                    println!("{name:<10} {what}");
                }
                return Ok(());
            }
            "--json" => json_file = Some(PathBuf::from(words.next().context("`--json` needs a file")?)),
            "--rounds" => {
                let rounds = words.next().context("`--rounds` needs a number")?;
                options.rounds = rounds.parse().with_context(|| format!("`{rounds}` is no number of rounds"))?;
            }
            name if BENCHES.iter().any(|(known, _, _)| *known == name) => chosen.push(name),
            other => bail!("no bench `{other}`; see `cargo xtask bench --list`"),
        }
    }
    setup::setup(setup::Purpose::BENCH)?;
    let mut rows = Vec::new();
    for (name, what, bench) in BENCHES {
        if (chosen.is_empty() && *name != PEERS) || chosen.contains(name) {
            println!("==> {name}: {what}");
            rows.extend(bench(&options).with_context(|| format!("bench `{name}` failed"))?);
        }
    }
    let machine = machine();
    println!("\n{machine}; {} rounds\n", options.rounds);
    println!("| what | median | peer | ratio | noise | goal |\n|---|---|---|---|---|---|");
    for row in &rows {
        println!("{}", row.markdown());
    }
    if let Some(file) = json_file {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        let report = json!({ "machine": machine, "rounds": options.rounds, "rows": rows });
        fs::write(&file, format!("{report:#}\n")).with_context(|| format!("failed to write `{}`", file.display()))?;
    }
    Ok(())
}

/// Build the product as it is shipped.
fn release_binary() -> Result<PathBuf> {
    shell::run(shell::cargo().args(["build", "--release", "--quiet", "--package", "bartizan-cli"]))?;
    Ok(workspace::target().join("release/bartizan"))
}

/// What the figures were taken on.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let system = read("/etc/os-release");
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("unknown system")
        .trim_matches('"')
        .to_owned();
    format!("{model}, {cores} cores, {system}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

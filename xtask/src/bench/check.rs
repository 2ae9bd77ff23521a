//! One decision by a process of its own: `bartizan check` from start to end, durable entry included, beside a plain start.

use std::{
    fs::{self, File},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use super::{Options, Row, release_binary, run::Home, stats::Samples};
use crate::shell;

/// Rounds thrown away before measuring.
const WARM_UP: u32 = 5;
const GOAL_MS: f64 = 10.0;
const LINE: &str = "{\"kind\":\"exec.run\",\"program\":\"/usr/bin/git\",\"args\":[\"git\",\"status\"]}\n";

pub(super) fn check(options: &Options) -> Result<Vec<Row>> {
    let binary = release_binary()?;
    let home = Home::new(&binary)?;
    let line = home.file("line.jsonl");
    fs::write(&line, LINE).with_context(|| format!("failed to write `{}`", line.display()))?;
    let (mut ours, mut floor) = (Samples::default(), Samples::default());
    for round in 0..options.rounds + WARM_UP {
        let mut command = home.command(&["check", "--persona", "standard"]);
        command.stdin(File::open(&line)?).stdout(Stdio::piped());
        let started = Instant::now();
        let output = command.output().context("failed to start `bartizan check`")?;
        let took = started.elapsed();
        ensure!(
            output.status.success() && output.stdout.starts_with(b"{"),
            "`bartizan check` said {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let started = Instant::now();
        shell::command("/bin/true").output().context("failed to start `/bin/true`")?;
        let plain = started.elapsed();
        if round >= WARM_UP {
            ours.push(took.as_secs_f64() * 1000.0);
            floor.push(plain.as_secs_f64() * 1000.0);
        }
    }
    let mut row = Row::new("`bartizan check`, one decision, p50", ours.median(), "ms");
    row.peer = Some(("fork and exec".to_owned(), floor.median()));
    row.noise = Some(ours.noise());
    row.goal = Some(format!("< {GOAL_MS} ms"));
    let mut late = Row::new("`bartizan check`, one decision, p90", ours.quantile(0.9), "ms");
    late.peer = Some(("fork and exec".to_owned(), floor.quantile(0.9)));
    Ok(vec![row, late])
}

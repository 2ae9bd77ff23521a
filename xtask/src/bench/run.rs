//! Starting a program: the whole of `bartizan run`, bubblewrap's box, and no box.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::{Options, Row, release_binary, stats::Samples};
use crate::{setup, shell, workspace};

/// Rounds thrown away before measuring: caches, the first compile of policies.
const WARM_UP: u32 = 5;

const GOAL: f64 = 4.0;

/// Makes the command of one start.
type Start<'a> = Box<dyn Fn() -> Command + 'a>;

pub(super) fn run(options: &Options) -> Result<Vec<Row>> {
    let binary = release_binary()?;
    let home = Home::new(&binary)?;
    let bwrap = setup::tool("bwrap").context("bubblewrap is missing")?;
    let mut starts: Vec<(&str, Start<'_>)> = vec![
        ("bartizan run", Box::new(|| home.command(&["run", "--", "/bin/true"]))),
        (
            "bwrap --unshare-all",
            Box::new(|| {
                let mut command = shell::command(&bwrap);
                command.args(["--unshare-all", "--ro-bind", "/", "/", "/bin/true"]);
                command
            }),
        ),
        ("fork and exec", Box::new(|| shell::command("/bin/true"))),
    ];
    let mut samples: Vec<(&str, Samples)> = starts.iter().map(|(name, _)| (*name, Samples::default())).collect();
    for round in 0..options.rounds + WARM_UP {
        for (name, start) in &starts {
            let took = time(&mut start())?;
            if round >= WARM_UP
                && let Some((_, samples)) = samples.iter_mut().find(|(known, _)| known == name)
            {
                samples.push(took);
            }
        }
        // Nobody always runs after the same neighbour.
        starts.rotate_left(1);
    }
    let (ours, peers) = samples.split_first().context("nothing was measured")?;
    let mut rows = Vec::new();
    for (name, peer) in peers {
        let mut row = Row::new(format!("{}, p50", ours.0), ours.1.median(), "ms");
        row.peer = Some(((*name).to_owned(), peer.median()));
        row.noise = Some(ours.1.noise());
        row.goal = name.starts_with("bwrap").then(|| format!("≤ {GOAL} × bwrap"));
        rows.push(row);
    }
    let mut row = Row::new(format!("{}, p90", ours.0), ours.1.quantile(0.9), "ms");
    row.peer = peers.first().map(|(name, peer)| ((*name).to_owned(), peer.quantile(0.9)));
    rows.push(row);
    Ok(rows)
}

/// Milliseconds from start to end.
fn time(command: &mut Command) -> Result<f64> {
    let started = Instant::now();
    let output = command.output().with_context(|| format!("failed to start `{}`", shell::line(command)))?;
    let took = started.elapsed();
    if !output.status.success() {
        bail!("`{}` ended with {}\n{}", shell::line(command), output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(took.as_secs_f64() * 1000.0)
}

/// A scratch home with a fresh `bartizan init`; removed when dropped.
pub(super) struct Home {
    binary: PathBuf,
    directory: PathBuf,
}

impl Home {
    pub(super) fn new(binary: &Path) -> Result<Self> {
        let directory = workspace::target().join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(directory.join("workspace"))
            .with_context(|| format!("failed to create `{}`", directory.display()))?;
        let home = Self { binary: binary.to_path_buf(), directory };
        shell::capture(&mut home.command(&["init", "--yes"]))?;
        Ok(home)
    }

    /// A file of ours in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// `bartizan ARGUMENTS…` in this home.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = shell::command(&self.binary);
        command
            .args(arguments)
            .current_dir(self.directory.join("workspace"))
            .env("HOME", &self.directory)
            .env("BARTIZAN_HOME", self.directory.join(".bartizan"));
        command
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Left-overs in the target directory are harmless.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

//! `cargo xtask test`: every check there is, cheapest first, so that a mistake is heard of early.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{codegen, fuzz, guard, setup, shell, tidy, workspace};

/// What is built in on request only.
const EVERYTHING: &str = "bartizan-cli/wasm";

/// Whether to look for missing tools first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    Run,
    Skip,
}

/// Run every step; the first that fails ends the run.
pub(crate) fn test(setup: Setup) -> Result<()> {
    let mut steps = Steps::new();
    if setup == Setup::Run {
        steps.step("setup", || setup::setup(setup::Purpose::TEST))?;
    }
    steps.step("format", format)?;
    steps.step("tidy", tidy::tidy)?;
    steps.step("lints", lints)?;
    steps.step("tests", tests)?;
    steps.step("generated files", || codegen::generate(codegen::Mode::Check))?;
    steps.step("fuzz smoke", fuzz::smoke)?;
    steps.step("dependencies", dependencies)?;
    steps.close();
    Ok(())
}

fn format() -> Result<()> {
    shell::run(shell::cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`, then try again")?;
    // A workspace of its own; `--all` there would mean the house again.
    shell::run(shell::cargo().args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]))
        .context("run `cargo fmt --manifest-path fuzz/Cargo.toml`, then try again")
}

/// With everything that can be built in, then what is there instead of what is not.
fn lints() -> Result<()> {
    let clippy = |what: &[&str]| {
        shell::run(shell::cargo().arg("clippy").args(what).args(["--locked", "--quiet", "--", "-D", "warnings"]))
    };
    clippy(&["--workspace", "--all-targets", "--features", EVERYTHING])?;
    clippy(&["-p", "bartizan-policy", "--lib"])
}

/// One cargo invocation for everything: a second one with other packages would select other features and
/// compile the same dependencies again. It leaves the dev binary where tests and generators look for it.
fn tests() -> Result<()> {
    // Testkit adds a line for every test that can't run here.
    let skipped = workspace::target().join("skipped-tests");
    let _ = fs::remove_file(&skipped);
    let result = shell::run(
        shell::cargo()
            .args(["test", "--workspace", "--features", EVERYTHING, "--locked", "--quiet"])
            .env("PATH", setup::search_path()?)
            .env("BARTIZAN_BIN", codegen::binary())
            .env("BARTIZAN_SKIPPED", &skipped)
            .env("BARTIZAN_VENV", setup::venv())
            .env("BARTIZAN_TEST_PYTHON", setup::venv().join("bin/python"))
            .envs(guard::example()?.map(|file| ("BARTIZAN_GUARD_EXAMPLE", file))),
    );
    let skipped = fs::read_to_string(&skipped).unwrap_or_default();
    println!("    skipped tests: {}", skipped.lines().count());
    for line in skipped.lines() {
        println!("        {line}");
    }
    result
}

fn dependencies() -> Result<()> {
    let Some(deny) = setup::cargo_deny() else {
        println!("    skipped: cargo-deny is not installed (`cargo xtask setup --deny`)");
        return Ok(());
    };
    // The advisory database is fetched from GitHub; everything else is in the checkout.
    shell::run(shell::command(&deny).args(["--offline", "check", "licenses", "bans", "sources"]))?;
    let database = workspace::target().join("advisory-dbs");
    if database.exists() {
        return shell::run(shell::command(&deny).args(["--offline", "check", "advisories"]));
    }
    println!(
        "    skipped: advisories need the RustSec database; `cargo deny fetch db` gets it when there is a network"
    );
    Ok(())
}

/// The steps done so far, with their times.
struct Steps {
    started: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    fn new() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }

    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("==> {name}");
        let started = Instant::now();
        work().with_context(|| format!("step `{name}` failed"))?;
        self.done.push((name, started.elapsed()));
        Ok(())
    }

    fn close(self) {
        println!();
        for (name, took) in &self.done {
            println!("  ok  {name:<18} {:>7.1} s", took.as_secs_f64());
        }
        println!(
            "xtask test: all {} steps passed in {:.0} s, as {}",
            self.done.len(),
            self.started.elapsed().as_secs_f64(),
            if shell::is_root() { "root (and, inside the tests, as an ordinary user)" } else { "an ordinary user" }
        );
        println!("{} passed, 0 failed", self.done.len());
    }
}

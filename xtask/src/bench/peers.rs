//! Other policy engines beside ours, on equivalent rules, in one run. What they need is fetched from its registries into
//! the target directory: OPA with Go, the agent-governance-toolkit with pip, the crates with cargo. Only on request:
//! nothing of it is part of the product.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Options, Row};
use crate::{shell, workspace};

/// The versions the recorded figures were taken with.
const OPA: &str = "github.com/open-policy-agent/opa@v1.22.0";
const AGT: &str = "agent-governance-toolkit[core]==4.1.0";

pub(super) fn peers(_: &Options) -> Result<Vec<Row>> {
    let (opa, python) = (opa()?, python()?);
    let root = workspace::root().join("benches/peers");
    // The same versions of what both are made of.
    fs::copy(workspace::root().join("Cargo.lock"), root.join("Cargo.lock")).context("failed to copy `Cargo.lock`")?;
    let printed = shell::capture(
        shell::cargo()
            .args(["run", "--release", "--quiet", "--manifest-path"])
            .arg(root.join("Cargo.toml"))
            // The product's own artefacts are used again: the profiles are alike.
            .env("CARGO_TARGET_DIR", workspace::target())
            .arg("--")
            .args([opa, python, root.join("agt.py")]),
    )?;
    let lines: Vec<Value> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let text = |line: &Value, key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |line: &Value, key: &str| line.get(key).and_then(Value::as_f64).context("no figure");
    let mut ours = BTreeMap::new();
    let mut rows = Vec::new();
    for line in &lines {
        let (engine, what) = (text(line, "engine"), text(line, "what"));
        let (p50, p99) = (number(line, "p50_us")?, number(line, "p99_us")?);
        let mut row = Row::new(format!("{engine}: {what} (p99 {p99:.2} µs)"), p50, "µs");
        if engine.starts_with("bartizan") {
            ours.insert(what, p50);
        } else if let Some(own) = ours.get(&what) {
            row.peer = Some(("bartizan".to_owned(), *own));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn opa() -> Result<PathBuf> {
    let directory = workspace::target().join("tools/bin");
    let program = directory.join("opa");
    if !program.exists() {
        shell::run(shell::command("go").args(["install", OPA]).env("GOBIN", &directory))
            .context("OPA is built with Go; install Go and try again")?;
    }
    Ok(program)
}

fn python() -> Result<PathBuf> {
    let directory = workspace::target().join("peers-venv");
    let python = directory.join("bin/python");
    if !python.exists() {
        shell::run(shell::command("python3").args(["-m", "venv"]).arg(&directory))?;
        shell::run(shell::command(&python).args(["-m", "pip", "install", "--quiet", AGT]))?;
    }
    Ok(python)
}

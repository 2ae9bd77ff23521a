//! The crates' own benches, run one crate after the other; the medians of those that use criterion are collected from what it
//! leaves in the target directory, the others print theirs.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Options, Row};
use crate::{shell, workspace};

pub(super) fn crates(_: &Options) -> Result<Vec<Row>> {
    let mut packages = BTreeSet::new();
    for file in workspace::files(&workspace::root().join("crates"), "rs")? {
        let folder = file.parent().filter(|folder| folder.ends_with("benches"));
        if let Some(name) = folder.and_then(Path::parent).and_then(Path::file_name) {
            packages.insert(format!("bartizan-{}", name.to_string_lossy()));
        }
    }
    let results = workspace::target().join("criterion");
    // Old results would be taken for new ones.
    let _ = fs::remove_dir_all(&results);
    for package in packages {
        shell::run(shell::cargo().args(["bench", "--quiet", "--package", &package, "--benches"]))?;
    }
    let mut rows = Vec::new();
    for estimates in workspace::files(&results, "json")? {
        if estimates.ends_with("new/estimates.json") {
            rows.push(
                row(&estimates).with_context(|| format!("failed to read `{}`", workspace::relative(&estimates)))?,
            );
        }
    }
    Ok(rows)
}

fn row(estimates: &Path) -> Result<Row> {
    let read = |path: &Path| -> Result<Value> { Ok(serde_json::from_str(&fs::read_to_string(path)?)?) };
    let number = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_f64).context("no estimate");
    let values = read(estimates)?;
    let benchmark = read(&estimates.with_file_name("benchmark.json"))?;
    let name = benchmark.get("full_id").and_then(Value::as_str).context("no name")?;
    let median = number(&values, "/median/point_estimate")?;
    let mut row = Row::new(name, median / 1000.0, "µs");
    row.noise = Some(number(&values, "/median_abs_dev/point_estimate")? / median);
    Ok(row)
}

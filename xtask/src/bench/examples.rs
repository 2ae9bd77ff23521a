//! Crates that measure themselves: every `examples/bench_*.rs`, run in release, prints its rows.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Options, Row};
use crate::{shell, workspace};

pub(super) fn examples(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for file in workspace::files(&workspace::root().join("crates"), "rs")? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = file.parent().filter(|folder| folder.ends_with("examples"));
        let Some(folder) = folder.filter(|_| name.starts_with("bench_")) else { continue };
        let package = folder.parent().and_then(|package| package.file_name()).unwrap_or_default();
        let package = format!("bartizan-{}", package.to_string_lossy());
        println!("    {package}: {name}");
        let printed = shell::capture(
            shell::cargo()
                .args(["run", "--release", "--quiet", "--package", &package, "--example", &name, "--"])
                .arg(options.rounds.to_string()),
        )?;
        for line in printed.lines().filter(|line| line.starts_with('{')) {
            rows.push(row(line).with_context(|| format!("`{name}` printed a row that can't be read: {line}"))?);
        }
    }
    Ok(rows)
}

fn row(line: &str) -> Result<Row> {
    let value: Value = serde_json::from_str(line)?;
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    let mut row = Row::new(
        text("name").context("no `name`")?,
        number("value").context("no `value`")?,
        text("unit").unwrap_or_default(),
    );
    row.peer = text("peer").map(str::to_owned).zip(number("peer_value"));
    row.noise = number("noise");
    row.goal = text("goal").map(str::to_owned);
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn reads_what_an_example_prints() {
        let read =
            row(r#"{"name":"jail","value":3.0,"unit":"ms","peer":"bwrap","peer_value":2.0,"noise":0.05}"#).unwrap();
        assert_eq!((read.ratio(), read.noise), (Some(1.5), Some(0.05)));
        assert!(row(r#"{"name":"jail"}"#).is_err());
    }
}

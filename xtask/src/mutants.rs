//! `cargo xtask mutants`: changes the code in small ways and sees whether a test notices. A sample of the files where a
//! mistake lets something through, one crate after the other; a whole run takes a day.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{shell, workspace};

/// What is changed, by package.
const SAMPLE: &[(&str, &[&str])] = &[
    ("bartizan-policy", &["rego/agree.rs", "rego/heads.rs", "exec/line.rs", "guards/flow.rs", "guards/budgets.rs"]),
    ("bartizan-scan", &["decode/mod.rs", "decode/runs.rs", "decode/compressed.rs"]),
];

/// Seconds after which a test run counts as hung.
const TIMEOUT: &str = "180";

/// Runs `cargo mutants` over the sample, and fails where no test notices a change; further arguments such as
/// `--shard 0/9` are handed on.
pub(crate) fn mutants(arguments: &[&str]) -> Result<()> {
    if shell::capture(shell::cargo().args(["mutants", "--version"])).is_err() {
        bail!("`cargo mutants` is missing; install it with `cargo install --locked cargo-mutants`");
    }
    let mut survived = Vec::new();
    for (package, files) in SAMPLE {
        let folder = package.trim_start_matches("bartizan-");
        let mut command = shell::cargo();
        command.args(["mutants", "--package", package, "--test-package", package, "--timeout", TIMEOUT]);
        // The examples and benches test nothing, and building them takes longer than the tests.
        command.args(["--cargo-test-arg=--lib", "--cargo-test-arg=--test=it", "--baseline", "skip"]);
        command.arg("--output").arg(output(folder));
        for file in *files {
            command.args(["--file", &format!("crates/{folder}/src/{file}")]);
        }
        if let Err(error) = shell::run(command.args(arguments)) {
            survived.push(format!("{package}: {error}"));
        }
    }
    if !survived.is_empty() {
        bail!("not every change was noticed; see `target/mutants`\n{}", survived.join("\n"));
    }
    Ok(())
}

fn output(folder: &str) -> PathBuf {
    workspace::target().join("mutants").join(folder)
}

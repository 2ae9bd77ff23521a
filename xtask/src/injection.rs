//! `cargo xtask train injection`: the weights of the injection classifier.
//!
//! The work is done by the example `eval_injection` of the crate `scan`, which sees sentences exactly as the product does.
//! Here is only what it needs around it: an optimised build, and the crates whose documentation it learns from.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{shell, workspace};

/// Train and write the weights, or with `--check` fail if those in the repository are others.
pub(crate) fn train(options: &[&str]) -> Result<()> {
    fetch_crates()?;
    shell::run(
        shell::cargo()
            .args([
                "run",
                "--quiet",
                "--release",
                "--package",
                "bartizan-scan",
                "--example",
                "eval_injection",
                "--",
                "train",
            ])
            .args(options),
    )
}

/// Has cargo fetch every crate of the list at its exact version, through a package that depends on all of them.
fn fetch_crates() -> Result<()> {
    let list = workspace::root().join("crates/scan/training/injection/crates.txt");
    let list = fs::read_to_string(&list).with_context(|| format!("failed to read `{}`", list.display()))?;
    let mut manifest = String::from(
        "[package]\nname = \"injection-prose\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n[workspace]\n\n[dependencies]\n",
    );
    for (number, line) in list.lines().filter(|line| !line.starts_with('#')).enumerate() {
        let (name, version) = line.split_once(' ').with_context(|| format!("`{line}` is not `name version`"))?;
        manifest.push_str(&format!("c{number} = {{ package = \"{name}\", version = \"={version}\" }}\n"));
    }
    let folder: PathBuf = workspace::target().join("injection-prose");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("lib.rs"), "")?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    shell::run(shell::cargo().args(["fetch", "--quiet", "--manifest-path"]).arg(folder.join("Cargo.toml")))
}

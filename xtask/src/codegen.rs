//! `cargo xtask codegen`: files that are printed by the program they describe.
//!
//! Every generator is `bartizan __codegen NAME`, so schema and reference come from the very types and tables
//! the product parses with. A new one is one line in [`GENERATED`].

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};

use crate::{compatible, shell, workspace};

/// What is generated: the generator's name and the file it writes.
const GENERATED: &[(&str, &str)] = &[
    ("cli", "docs/reference/cli.md"),
    ("action", "spec/v1/action.schema.json"),
    ("verdict", "spec/v1/verdict.schema.json"),
    ("event", "spec/v1/event.schema.json"),
    ("receipt", "spec/v1/receipt.schema.json"),
    ("schema", "spec/v1/policy.schema.json"),
    ("rego-input", "docs/reference/rego-input.schema.json"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// The dev binary of the product.
pub(crate) fn binary() -> PathBuf {
    workspace::target().join("debug/bartizan")
}

/// Build the dev binary, then write or compare what it generates.
pub(crate) fn codegen(mode: Mode) -> Result<()> {
    shell::run(shell::cargo().args(["build", "--quiet", "--package", "bartizan-cli"]))?;
    generate(mode)
}

/// Write or compare what the dev binary, already built, generates.
pub(crate) fn generate(mode: Mode) -> Result<()> {
    let mut stale = Vec::new();
    for (name, file) in GENERATED {
        let fresh = shell::capture(shell::command(binary()).args(["__codegen", name]))
            .with_context(|| format!("failed to generate `{file}`"))?;
        let path = workspace::root().join(file);
        if fs::read_to_string(&path).is_ok_and(|committed| committed == fresh) {
            println!("    fresh    {file}");
            continue;
        }
        if mode == Mode::Check {
            println!("    stale    {file}");
            stale.push(*file);
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("failed to create `{}`", parent.display()))?;
        }
        fs::write(&path, fresh).with_context(|| format!("failed to write `{file}`"))?;
        println!("    written  {file}");
    }
    if !stale.is_empty() {
        bail!("stale: {}; run `cargo xtask codegen` and commit the result", stale.join(", "));
    }
    compatible::check()?;
    Ok(())
}

//! `cargo xtask demo`: set up, build the release binary, and run the product's main job on real input.

use anyhow::{Result, bail};

use crate::{setup, shell, workspace};

/// Where the demo's script is; it gets the release binary in `BARTIZAN_BIN`.
const SCRIPT: &str = "examples/demo/run";

pub(crate) fn demo(arguments: &[&str]) -> Result<()> {
    setup::setup(setup::Purpose::DEMO)?;
    println!("demo: building the release binary");
    shell::run(shell::cargo().args(["build", "--release", "--locked", "--package", "bartizan-cli"]))?;
    let script = workspace::root().join(SCRIPT);
    if !script.exists() {
        bail!("`{SCRIPT}` is missing from the checkout");
    }
    shell::run(
        shell::command(script)
            .args(arguments)
            .stdin(std::process::Stdio::inherit())
            .env("BARTIZAN_BIN", workspace::target().join("release/bartizan")),
    )
}

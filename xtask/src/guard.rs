//! The example of a guard in WebAssembly, built as its README says. It needs a target of Rust that not everybody has.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{shell, workspace};

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the example; nothing where Rust can't build for WebAssembly.
pub(crate) fn example() -> Result<Option<PathBuf>> {
    let libraries = shell::capture(shell::command("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
    if !Path::new(libraries.trim()).is_dir() {
        return Ok(None);
    }
    let directory = workspace::target().join("guard-example");
    // In its own folder, where its settings for cargo are.
    let folder = workspace::root().join("sdk/guard-example");
    let mut build = shell::cargo();
    shell::run(build.args(["build", "--release", "--quiet", "--target-dir"]).arg(&directory).current_dir(folder))?;
    Ok(Some(directory.join(TARGET).join("release/guard_example.wasm")))
}

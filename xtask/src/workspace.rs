//! Where things are in the checkout, and the list of packages.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// Depth of the deepest folder looked into; deeper trees are a mistake, not source.
const DEPTH_MAX: usize = 12;

/// The checkout's root.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target directory, honouring a contributor's own setting.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |target| root().join(target))
}

/// `cargo metadata --no-deps`.
pub(crate) fn metadata() -> Result<Value> {
    let text = shell::capture(shell::cargo().args(["metadata", "--no-deps", "--format-version=1", "--offline"]))?;
    serde_json::from_str(&text).context("failed to read `cargo metadata`")
}

/// A path as it reads in messages: relative to the root where possible.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Every file below `directory` with this extension, sorted; build output and hidden folders are left out.
pub(crate) fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(directory, extension, 0, &mut found)
        .with_context(|| format!("failed to list `{}`", relative(directory)))?;
    found.sort();
    Ok(found)
}

fn collect(directory: &Path, extension: &str, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            let skipped = matches!(&*name, "target" | "node_modules" | "corpus" | "artifacts");
            if !skipped && !name.starts_with('.') {
                collect(&path, extension, depth + 1, found)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(())
}

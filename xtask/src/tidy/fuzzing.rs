//! A fuzz target that is never built finds nothing.

use std::fs;

use anyhow::Result;

use super::{Findings, House};
use crate::{fuzz, workspace};

pub(super) fn check(_house: &House, findings: &mut Findings) -> Result<()> {
    let manifest = fs::read_to_string(workspace::root().join("fuzz/Cargo.toml")).unwrap_or_default();
    for target in fuzz::targets()? {
        if !manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")) {
            findings.error(format!("fuzz target `{target}` is not in fuzz/Cargo.toml, so nothing runs it"));
        }
    }
    Ok(())
}

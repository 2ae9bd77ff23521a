//! `cargo xtask tidy`: the rules of the house that a compiler doesn't check. One file a rule, one line here.

mod docs;
mod environment;
mod fuzzing;
mod source;
mod storeys;

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

/// One rule: looks at the house and adds what it finds.
type Rule = fn(&House, &mut Findings) -> Result<()>;

const RULES: &[(&str, Rule)] = &[
    ("storeys: arrows point down only", storeys::check),
    ("sources: module docs, lengths, nothing unfinished", source::check),
    ("environment variables are listed", environment::check),
    ("fuzz targets are built and run", fuzzing::check),
    ("documents: links resolve, decisions are numbered", docs::check),
];

/// What the rules look at.
struct House {
    metadata: Value,
    sources: Vec<Source>,
}

/// One Rust file of the workspace.
struct Source {
    /// Relative to the checkout.
    path: String,
    text: String,
}

/// What the rules found: errors fail, warnings are only printed.
#[derive(Default)]
struct Findings {
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    fn error(&mut self, message: impl Into<String>) {
        self.errors.push(message.into());
    }

    fn warning(&mut self, message: impl Into<String>) {
        self.warnings.push(message.into());
    }
}

/// Check every rule and report all findings at once.
pub(crate) fn tidy() -> Result<()> {
    let house = House::read()?;
    let mut failed = 0_usize;
    for (title, rule) in RULES {
        let mut findings = Findings::default();
        rule(&house, &mut findings)?;
        println!("  {}  {title}", if findings.errors.is_empty() { "ok  " } else { "FAIL" });
        for warning in &findings.warnings {
            println!("        warning: {warning}");
        }
        for error in &findings.errors {
            println!("        {error}");
        }
        failed += findings.errors.len();
    }
    if failed > 0 {
        bail!("tidy found {failed} thing(s) to mend");
    }
    Ok(())
}

impl House {
    fn read() -> Result<Self> {
        let root = workspace::root();
        let mut sources = Vec::new();
        for directory in ["crates", "xtask", "fuzz", "benches"] {
            for path in workspace::files(&root.join(directory), "rs")? {
                sources.push(Source::read(&path)?);
            }
        }
        Ok(Self { metadata: workspace::metadata()?, sources })
    }
}

impl Source {
    fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("failed to read `{}`", workspace::relative(path)))?;
        Ok(Self { path: workspace::relative(path), text })
    }

    /// The part before the unit tests, which stand last in a file.
    fn without_tests(&self) -> &str {
        self.text
            .find("#[cfg(test)]\nmod tests {")
            .map_or(self.text.as_str(), |at| self.text.get(..at).unwrap_or_default())
    }

    /// Whether the whole file is a test.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

#[cfg(test)]
mod tests {
    /// The house as it is: a finding here is a finding of `cargo xtask tidy`.
    #[test]
    fn house_is_tidy() {
        super::tidy().unwrap();
    }
}

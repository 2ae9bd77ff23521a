//! A baseline: findings that are known and accepted, so that only new ones count.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Fingerprint};

const VERSION: u32 = 1;
/// Some hundred thousand findings; who has more needs no baseline but a clean-up.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The findings of an earlier scan.
#[derive(Debug, Default)]
pub struct Baseline {
    known: BTreeSet<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    path: String,
    kind: String,
    fingerprint: Fingerprint,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What this file is, for whoever finds it.
    baseline: String,
    version: u32,
    findings: BTreeSet<Known>,
}

impl Baseline {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = fs::File::open(path)
            .with_context(|| format!("failed to read baseline `{shown}`; make one with `--write-baseline {shown}`"))?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .with_context(|| format!("failed to read baseline `{shown}`"))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            bail!("baseline `{shown}` is larger than {FILE_BYTES_MAX} bytes; clean up and write a new one");
        }
        let file: File = serde_json::from_str(&text)
            .with_context(|| format!("`{shown}` is no baseline; make one with `--write-baseline {shown}`"))?;
        if file.version != VERSION {
            bail!("baseline `{shown}` has version {}, this program knows {VERSION}; write a new one", file.version);
        }
        Ok(Self { known: file.findings })
    }

    /// Whether this finding is in it: the same value of the same kind in the same file, on whatever line.
    pub fn knows(&self, finding: &Finding) -> bool {
        self.known.contains(&known(finding))
    }

    /// Writes these findings as the baseline of scans to come. It holds no values.
    pub fn write(path: &Path, findings: &[Finding]) -> anyhow::Result<()> {
        let file = File {
            baseline: "findings of `bartizan scan` that are known; `bartizan scan --baseline` leaves them away".into(),
            version: VERSION,
            findings: findings.iter().map(known).collect(),
        };
        let mut text = serde_json::to_string_pretty(&file)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("failed to write baseline `{}`", path.display()))
    }
}

fn known(finding: &Finding) -> Known {
    Known { path: finding.path.clone(), kind: finding.kind.clone(), fingerprint: finding.fingerprint.clone() }
}

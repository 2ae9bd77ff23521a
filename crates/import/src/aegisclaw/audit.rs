//! Audit logs: a hash chain over lines of JSON, checked line by line so that a log of any length needs little memory.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::read::EVENT_LINE_BYTES_MAX;
use crate::report::{Fate, Report};

/// Where a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct AuditError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[expect(dead_code, reason = "must be there; the chain covers it")]
    timestamp: Value,
    #[expect(dead_code, reason = "must be there; the chain covers it")]
    action: Value,
    #[serde(default)]
    #[expect(dead_code, reason = "a known key; the chain covers it")]
    scopes: Value,
    #[serde(default)]
    decision: String,
    #[serde(default)]
    #[expect(dead_code, reason = "a known key; the chain covers it")]
    actor: Value,
    #[serde(default)]
    #[expect(dead_code, reason = "a known key; the chain covers it")]
    details: Value,
    prev_hash: String,
    hash: String,
}

/// A log that is being checked.
#[derive(Debug)]
pub struct AuditLog {
    line: u64,
    last: String,
    allowed: u64,
    denied: u64,
}

impl Default for AuditLog {
    fn default() -> Self {
        Self { line: 0, last: "genesis".to_owned(), allowed: 0, denied: 0 }
    }
}

impl AuditLog {
    /// Takes the next line, without its line end. Blank lines are no entries.
    ///
    /// # Errors
    /// The line is no entry, doesn't follow the one before, or was changed.
    pub fn take(&mut self, line: &[u8]) -> Result<(), AuditError> {
        self.line += 1;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let number = self.line;
        let wrong = |problem: &str| AuditError { line: number, problem: problem.to_owned() };
        if line.len() > EVENT_LINE_BYTES_MAX {
            return Err(wrong("the line is longer than 8 MiB"));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let entry: Entry =
            serde_json::from_slice(line).map_err(|error| AuditError { line: number, problem: error.to_string() })?;
        if entry.prev_hash != self.last {
            return Err(wrong("it doesn't follow the line before: one was removed, added or moved"));
        }
        let tail = format!(",\"hash\":\"{}\"}}", entry.hash);
        let Some(covered) = line.strip_suffix(tail.as_bytes()) else {
            return Err(wrong("`hash` must be the last key of the line"));
        };
        let mut hasher = Sha256::new();
        hasher.update(covered);
        hasher.update(b"}");
        let digest = hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        if digest != entry.hash {
            return Err(wrong("its hash is not that of the line: it was changed"));
        }
        match entry.decision.as_str() {
            "allow" | "allowed" | "approved" => self.allowed += 1,
            "deny" | "denied" | "rejected" => self.denied += 1,
            _ => {}
        }
        self.last = entry.hash;
        Ok(())
    }

    /// What holds of the whole log.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report::default();
        let (allowed, denied) = (self.allowed, self.denied);
        let held =
            format!("{} lines, {allowed} allowed, {denied} denied; each follows the one before, unchanged", self.line);
        report.add("the chain", Fate::Converted, held);
        let last = format!(
            "the last hash is `{}`; compare it with a copy: a log that was cut short is a chain too",
            self.last
        );
        report.add("the end", Fate::Remark, last);
        report.add(
            "entries",
            Fate::Remark,
            "they are not taken into the ledger, which records only what Bartizan decided",
        );
        report
    }

    /// What holds of a log that breaks.
    #[must_use]
    pub fn broken(&self, problem: &AuditError) -> Report {
        let mut report = Report::default();
        report.add("the chain", Fate::NoEquivalent, format!("it breaks at {problem}"));
        report
    }

    /// How many lines were taken.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.line
    }

    /// How many entries say that something was allowed, and how many that it was denied.
    #[must_use]
    pub fn decisions(&self) -> (u64, u64) {
        (self.allowed, self.denied)
    }

    /// The hash of the last entry, which a copy can be compared by: a log that was cut short is still a chain.
    #[must_use]
    pub fn last(&self) -> &str {
        &self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[&str]) -> Vec<String> {
        let mut last = "genesis".to_owned();
        let mut lines = Vec::new();
        for action in entries {
            let head = format!(
                r#"{{"timestamp":"2026-01-01T00:00:00Z","action":"{action}","scopes":["files.read"],"decision":"allow","actor":"a","prev_hash":"{last}""#
            );
            let digest = Sha256::digest(format!("{head}}}"));
            last = digest.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            lines.push(format!("{head},\"hash\":\"{last}\"}}"));
        }
        lines
    }

    fn check(lines: &[String]) -> Result<u64, u64> {
        let mut log = AuditLog::default();
        for line in lines {
            log.take(line.as_bytes()).map_err(|error| error.line)?;
        }
        Ok(log.lines())
    }

    #[test]
    fn a_chain_holds_until_it_is_touched() {
        let lines = log(&["one", "two", "three"]);
        assert_eq!(check(&lines), Ok(3));
        let change = |index: usize, change: &dyn Fn(&str) -> String| {
            let mut lines = lines.clone();
            lines[index] = change(&lines[index]);
            check(&lines)
        };
        assert_eq!(change(1, &|line| line.replace("two", "tvo")), Err(2));
        assert_eq!(change(0, &|line| line.replace("allow", "denys")), Err(1));
        assert_eq!(check(&[lines[0].clone(), lines[2].clone()]), Err(2), "removed");
        assert_eq!(check(&[lines[1].clone(), lines[0].clone()]), Err(1), "moved");
        assert_eq!(check(&lines[1..]), Err(1), "cut at the start");
        assert_eq!(change(2, &|line| line.replace("{\"timestamp\"", "{\"x\":1,\"timestamp\"")), Err(3));
        assert_eq!(change(2, &|_| "not json".into()), Err(3));
    }
}

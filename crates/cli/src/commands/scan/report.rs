//! What a person or a program gets to see of a scan.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use bartizan_scan::printable;
use serde::Serialize;

use super::finding::Finding;
use crate::output::{self, Style};

/// Shorter work needs no sign of life.
const QUIET_FOR: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);

/// What was gone through.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Totals {
    /// Files, or versions of files, that were scanned.
    pub files: u64,
    pub bytes: u64,
    /// Files that are no text.
    pub binary: u64,
    /// Files that could not be read, were too large, or are missing from the repository.
    pub unread: u64,
    /// Findings that the baseline knows.
    pub known: u64,
    /// Findings beyond the number that is kept.
    pub dropped: u64,
}

/// The findings of one scan.
#[derive(Serialize)]
pub struct Report<'a> {
    pub version: u32,
    pub findings: &'a [Finding],
    pub scanned: &'a Totals,
}

/// One line a finding, then what was gone through.
pub fn print(style: Style, findings: &[Finding], totals: &Totals) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for finding in findings {
        let place = format!("{}:{}:{}", printable(&finding.path), finding.line, finding.column);
        let kind = match finding.class {
            "secret" => style.bad(&finding.kind),
            _ => style.warn(&finding.kind),
        };
        let commit = finding.commit.as_deref().and_then(|commit| commit.get(..12)).unwrap_or_default();
        let line = format!("{} {kind} {} {}", style.bold(&place), printable(&finding.value), style.dim(commit));
        writeln!(stdout, "{}", line.trim_end())?;
    }
    let mut summary = format!(
        "{} in {}, {}",
        count(findings.len() as u64, "finding"),
        count(totals.files, "file"),
        size(totals.bytes)
    );
    for (number, what) in [
        (totals.known, "known by the baseline"),
        (totals.dropped, "more findings not shown"),
        (totals.binary, "binary files passed over"),
        (totals.unread, "files not read"),
    ] {
        if number > 0 {
            summary.push_str(&format!(", {number} {what}"));
        }
    }
    writeln!(stdout, "{}", style.dim(&summary))?;
    if !findings.is_empty() {
        let next =
            "take them out and make new ones; or accept with `--write-baseline FILE`, or a comment `bartizan:ignore`";
        writeln!(stdout, "{}", style.dim(next))?;
    }
    Ok(())
}

/// As [`print`], for programs.
pub fn print_json(findings: &[Finding], totals: &Totals) -> anyhow::Result<()> {
    output::print_json(&Report { version: 1, findings, scanned: totals })
}

fn count(number: u64, noun: &str) -> String {
    match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A line on the terminal that says how far long work is, rewritten in place and gone at the end.
pub struct Progress {
    shown: bool,
    started: Instant,
    last: Option<Instant>,
}

impl Progress {
    /// Shows nothing where nobody looks: standard error must be a terminal.
    pub fn new(quiet: bool) -> Self {
        Self { shown: !quiet && io::stderr().is_terminal(), started: Instant::now(), last: None }
    }

    /// Says how far it is, not too often.
    pub fn say(&mut self, files: u64, bytes: u64) {
        let due = self.last.is_none_or(|last| last.elapsed() >= EVERY);
        if self.shown && due && self.started.elapsed() >= QUIET_FOR {
            self.last = Some(Instant::now());
            let _ = write!(io::stderr(), "\r\x1b[K{files} files, {} scanned", size(bytes));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.last.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

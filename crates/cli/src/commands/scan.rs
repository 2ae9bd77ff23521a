//! `bartizan scan`: secrets, personal data and text aimed at models, in files, in what is about to be committed, and in
//! everything that ever was.

mod baseline;
mod content;
mod finding;
mod report;
mod sarif;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use bartizan_scan::{Class, Options, Scanner, printable};
use clap::{Args, ValueEnum};
use ignore::{WalkBuilder, WalkState};

use self::baseline::Baseline;
use self::content::Outcome;
use self::finding::Finding;
use self::report::{Progress, Totals};
use crate::git::Repository;
use crate::output::{self, Style};

/// Something was found.
const EXIT_FOUND: u8 = 1;
/// Something could not be scanned.
pub const EXIT_FAILED: u8 = 2;

/// What is beyond is counted, not kept: nobody reads more, and a list of customers has millions.
const FINDINGS_MAX: usize = 20_000;

/// Find secrets, personal data and text aimed at models
///
/// Looks through files (below a directory all that git would not ignore), standard input (`-`), what is
/// staged for the next commit, or every version of every file in the history. Encoded text is looked
/// into: base64, hex, percent and JSON escapes, HTML entities, gzip, look-alike and invisible letters.
/// A value found is never printed whole.
///
/// Ends with 0 if nothing was found, 1 if something was, 2 if something could not be scanned. A comment
/// `bartizan:ignore` or `bartizan:ignore[KIND]` on the line, or alone on the line above, leaves a finding
/// away.
#[derive(Args)]
pub struct Scan {
    /// Files and directories; `-` is standard input [default: .]
    #[arg(value_name = "PATH", conflicts_with_all = ["staged", "git_history"])]
    paths: Vec<PathBuf>,
    /// Look at what is staged for the next commit, and only at what is new in it
    #[arg(long, conflicts_with = "git_history")]
    staged: bool,
    /// Look at every version of every file that a branch or tag reaches
    #[arg(long)]
    git_history: bool,
    /// Look for these only
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    only: Vec<Wanted>,
    /// Read it as prose: names with a title, dates, ages and addresses are personal data then
    #[arg(long)]
    prose: bool,
    /// Print one JSON object
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print SARIF 2.1.0
    #[arg(long)]
    sarif: bool,
    /// Leave away what this file knows
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what was found into this file, to be known from now on
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Look at files that .gitignore and .ignore name, too
    #[arg(long)]
    no_ignore: bool,
    /// Look at files that are no text, too
    #[arg(long)]
    binary: bool,
}

/// A class to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// Keys, tokens, passwords.
    #[value(alias = "secrets")]
    Secret,
    /// Data about people.
    Personal,
    /// Text that tries to instruct a model.
    Injection,
    /// Text a reader doesn't see.
    Hidden,
}

impl Wanted {
    /// The scanner's word for it.
    pub fn class(self) -> Class {
        match self {
            Self::Secret => Class::Secret,
            Self::Personal => Class::Personal,
            Self::Injection => Class::Injection,
            Self::Hidden => Class::Hidden,
        }
    }
}

/// A scanner for these classes; for all of them if none is named.
pub fn scanner(only: &[Wanted], prose: bool) -> Scanner {
    let mut options = Options { prose, ..Options::default() };
    if !only.is_empty() {
        options.classes = only.iter().map(|wanted| wanted.class()).collect();
    }
    Scanner::new(options)
}

/// What the threads of a scan add to.
struct Gathering {
    found: Mutex<Found>,
    failed: AtomicBool,
    style: Style,
}

struct Found {
    findings: Vec<Finding>,
    totals: Totals,
    progress: Progress,
}

impl Gathering {
    fn add(&self, outcome: io::Result<Outcome>, path: &str, findings: Vec<Finding>) {
        let mut found = match self.found.lock() {
            Ok(found) => found,
            Err(poisoned) => poisoned.into_inner(),
        };
        let Found { findings: kept, totals, progress } = &mut *found;
        match outcome {
            Ok(Outcome::Scanned(bytes)) => {
                totals.files += 1;
                totals.bytes += bytes;
            }
            Ok(Outcome::Binary) => totals.binary += 1,
            Err(error) => {
                totals.unread += 1;
                self.failed.store(true, Ordering::Relaxed);
                let _ = io::Write::write_all(
                    &mut io::stderr(),
                    format!("{} failed to read `{}`: {error}\n", self.style.bad("bartizan:"), printable(path))
                        .as_bytes(),
                );
            }
        }
        let room = FINDINGS_MAX.saturating_sub(kept.len());
        totals.dropped += findings.len().saturating_sub(room) as u64;
        kept.extend(findings.into_iter().take(room));
        progress.say(totals.files, totals.bytes);
    }

    fn scan(&self, scanner: &Scanner, reader: impl io::Read, path: &str, with_binary: bool) {
        let mut findings = Vec::new();
        let mut dropped = 0;
        let outcome = content::scan(scanner, reader, path, with_binary, &mut |finding| {
            if findings.len() < FINDINGS_MAX { findings.push(finding) } else { dropped += 1 }
        });
        self.add(outcome, path, findings);
        if let (true, Ok(mut found)) = (dropped > 0, self.found.lock()) {
            found.totals.dropped += dropped;
        }
    }
}

impl Scan {
    pub fn run(self, style: Style) -> anyhow::Result<ExitCode> {
        let baseline = self.baseline.as_deref().map(Baseline::read).transpose()?.unwrap_or_default();
        let scanner = scanner(&self.only, self.prose);
        let found = Found { findings: Vec::new(), totals: Totals::default(), progress: Progress::new(false) };
        let gathering = Gathering { found: Mutex::new(found), failed: AtomicBool::new(false), style };
        if self.staged {
            self.scan_staged(&scanner, &gathering)?;
        } else if self.git_history {
            self.scan_history(&scanner, &gathering)?;
        } else {
            self.scan_paths(&scanner, &gathering)?;
        }
        let failed = gathering.failed.load(Ordering::Relaxed);
        let found = gathering.found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Found { mut findings, mut totals, progress } = found;
        drop(progress);
        findings.sort_by(|a, b| (&a.path, a.line, a.column, &a.kind).cmp(&(&b.path, b.line, b.column, &b.kind)));
        if let Some(path) = &self.write_baseline {
            Baseline::write(path, &findings)?;
        }
        let before = findings.len();
        findings.retain(|finding| !baseline.knows(finding));
        totals.known = (before - findings.len()) as u64;
        if self.sarif {
            output::print_json(&sarif::log(&findings))?;
        } else if self.json {
            report::print_json(&findings, &totals)?;
        } else {
            report::print(style, &findings, &totals)?;
        }
        // Who writes a baseline has accepted what is in it.
        let is_clean = (findings.is_empty() && totals.dropped == 0) || self.write_baseline.is_some();
        Ok(match (is_clean, failed) {
            (false, _) => ExitCode::from(EXIT_FOUND),
            (true, true) => ExitCode::from(EXIT_FAILED),
            (true, false) => ExitCode::SUCCESS,
        })
    }

    fn scan_paths(&self, scanner: &Scanner, gathering: &Gathering) -> anyhow::Result<()> {
        let here = [PathBuf::from(".")];
        let paths = if self.paths.is_empty() { &here[..] } else { &self.paths[..] };
        let mut walk: Option<WalkBuilder> = None;
        for path in paths {
            if path == Path::new("-") {
                gathering.scan(scanner, io::stdin().lock(), "stdin", self.binary);
                continue;
            }
            if let Err(error) = path.symlink_metadata() {
                bail!("failed to read `{}`: {error}; is it the right name?", path.display());
            }
            match &mut walk {
                Some(walk) => _ = walk.add(path),
                None => walk = Some(WalkBuilder::new(path)),
            }
        }
        let Some(mut walk) = walk else { return Ok(()) };
        // Hidden files hold most secrets; what git keeps for itself is looked at by --git-history.
        walk.hidden(false).follow_links(false).require_git(false).filter_entry(|entry| entry.file_name() != ".git");
        if self.no_ignore {
            walk.ignore(false).git_ignore(false).git_global(false).git_exclude(false).parents(false);
        }
        walk.build_parallel().run(|| {
            Box::new(|entry| {
                match entry {
                    Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                        let path = entry.path().to_string_lossy();
                        let path = path.strip_prefix("./").unwrap_or(&path);
                        match File::open(entry.path()) {
                            Ok(file) => gathering.scan(scanner, file, path, self.binary),
                            Err(error) => gathering.add(Err(error), path, Vec::new()),
                        }
                    }
                    // Directories are gone into; links, pipes and devices are left alone.
                    Ok(_) => {}
                    Err(error) => gathering.add(Err(io::Error::other(error.to_string())), "directory", Vec::new()),
                }
                WalkState::Continue
            })
        });
        Ok(())
    }

    fn scan_staged(&self, scanner: &Scanner, gathering: &Gathering) -> anyhow::Result<()> {
        let repository = Repository::discover(&std::env::current_dir()?)?;
        let (files, passed) = repository.staged()?;
        for file in files {
            let mut old = HashSet::new();
            let before = content::scan(scanner, &*file.before, &file.path, self.binary, &mut |finding| {
                old.insert((finding.kind, finding.fingerprint));
            });
            before.context("failed to scan the committed version")?;
            let mut new = Vec::new();
            let outcome =
                content::scan(scanner, &*file.content, &file.path, self.binary, &mut |finding| new.push(finding));
            new.retain(|finding| !old.contains(&(finding.kind.clone(), finding.fingerprint.clone())));
            gathering.add(outcome, &file.path, new);
        }
        self.note_passed(gathering, passed);
        Ok(())
    }

    fn scan_history(&self, scanner: &Scanner, gathering: &Gathering) -> anyhow::Result<()> {
        let repository = Repository::discover(&std::env::current_dir()?)?;
        let mut seen = HashSet::new();
        let passed = repository.history(|commit, path, content| {
            let mut new = Vec::new();
            let outcome = content::scan(scanner, &*content, path, self.binary, &mut |finding| {
                // The same value in the same file is told once, with the commit that brought it in.
                if seen.insert((finding.path.clone(), finding.kind.clone(), finding.fingerprint.clone())) {
                    new.push(Finding { commit: Some(commit.to_owned()), ..finding });
                }
            });
            gathering.add(outcome, path, new);
            Ok(())
        })?;
        self.note_passed(gathering, passed);
        Ok(())
    }

    fn note_passed(&self, gathering: &Gathering, passed: crate::git::Passed) {
        let unread = (passed.too_large + passed.missing) as u64;
        if unread > 0 {
            gathering.failed.store(true, Ordering::Relaxed);
            if let Ok(mut found) = gathering.found.lock() {
                found.totals.unread += unread;
            }
        }
    }
}

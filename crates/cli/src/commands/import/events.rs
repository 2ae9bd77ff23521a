//! Events of the other program, decided under what was imported.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::Context as _;
use bartizan_gate::Scanner;
use bartizan_import::clawdstrike::{Decision, Event, Subject};
use bartizan_import::{EVENT_LINE_BYTES_MAX, FILE_BYTES_MAX, Mode};
use bartizan_model::{Deed, Sighting, Verdict};
use bartizan_policy::{Context, Look, Policy, PolicySet};
use serde::{Deserialize, Serialize};

use crate::home::read_bounded;
use crate::output::{Style, short};

/// Where relative paths of events start; events name no directory.
const WORKSPACE: &str = "/workspace";
const HOME: &str = "/home/user";

/// What became of every event.
#[derive(Serialize)]
pub struct Compared {
    results: Vec<Decided>,
    /// Decided otherwise than expected; empty where nothing was expected.
    mismatches: Vec<Mismatch>,
    /// Decided otherwise than the other program would have, each with the reason.
    differences: Vec<Difference>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Decided {
    event_id: String,
    outcome: &'static str,
    decision: Decision,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mismatch {
    event_id: String,
    expected: Option<Decision>,
    decided: Option<Decision>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference {
    event_id: String,
    was: &'static str,
    now: &'static str,
    rule: String,
    reason: String,
}

/// A report of the other program's `check`.
#[derive(Deserialize)]
struct Expected {
    results: Vec<ExpectedResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExpectedResult {
    event_id: String,
    decision: Decision,
}

/// Decides each event, and holds it against what was expected and against what the other program decided.
pub fn compare(
    events: &Path,
    expected: Option<&Path>,
    before: Policy,
    after: Policy,
    mode: Mode,
) -> anyhow::Result<Compared> {
    let context = || Context::new(Path::new(HOME), Path::new(WORKSPACE));
    let before = PolicySet::new(before, None, context()?)?;
    let after = PolicySet::new(after, None, context()?)?;
    let scanner = bartizan_scan::Scanner::standard();
    let mut compared = Compared { results: Vec::new(), mismatches: Vec::new(), differences: Vec::new() };
    for event in read(events)? {
        let verdict = |set: &PolicySet| -> Option<Verdict> {
            let Subject::Deed(deed) = &event.subject else { return None };
            let sightings = look(&scanner, deed);
            Some(set.decide_with(deed, &Look { sightings: &sightings, ..Look::default() }).to_verdict())
        };
        let was = event.decision(verdict(&before).as_ref());
        let now = verdict(&after);
        let decision = event.decision(now.as_ref());
        let outcome = match &now {
            Some(verdict) if mode == Mode::Hardened => verdict.effect.as_str(),
            _ => decision.outcome(),
        };
        let same = matches!((was.allowed, outcome), (true, "allow" | "allowed" | "warn") | (false, "deny" | "blocked"));
        if !same && let Some(verdict) = now {
            compared.differences.push(Difference {
                event_id: event.id.clone(),
                was: was.outcome(),
                now: verdict.effect.as_str(),
                rule: verdict.rule.rule,
                reason: verdict.reason,
            });
        }
        compared.results.push(Decided { event_id: event.id, outcome, decision });
    }
    if let (Some(file), Mode::Compat) = (expected, mode) {
        compared.expect(file)?;
    }
    Ok(compared)
}

fn look(scanner: &dyn Scanner, deed: &Deed) -> Vec<Sighting> {
    let mut sightings = Vec::new();
    deed.contents(|part, bytes| {
        sightings.extend(scanner.scan(bytes).into_iter().map(|sighting| sighting.in_part(part)))
    });
    sightings
}

fn read(file: &Path) -> anyhow::Result<Vec<Event>> {
    /// Most events compared at once.
    const EVENTS_MAX: usize = 100_000;
    let failed = || format!("failed to read the events `{}`", file.display());
    let mut input = BufReader::new(fs::File::open(file).with_context(failed)?);
    let mut events = Vec::new();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read =
            input.by_ref().take(EVENT_LINE_BYTES_MAX as u64 + 2).read_until(b'\n', &mut line).with_context(failed)?;
        if read == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        anyhow::ensure!(events.len() < EVENTS_MAX, "`{}` has more than {EVENTS_MAX} events; split it", file.display());
        let event = Event::parse(line.trim_ascii(), WORKSPACE);
        events.push(event.with_context(|| format!("line {number} of `{}` is no event", file.display()))?);
    }
    Ok(events)
}

impl Compared {
    /// Whether everything is as expected.
    pub fn good(&self) -> bool {
        self.mismatches.is_empty()
    }

    fn expect(&mut self, file: &Path) -> anyhow::Result<()> {
        let failed = || format!("failed to read the expected decisions `{}`", file.display());
        let bytes = read_bounded(file, FILE_BYTES_MAX as u64).with_context(failed)?;
        let expected: Expected = serde_json::from_slice(&bytes).with_context(failed)?;
        for result in &self.results {
            let wanted = expected.results.iter().find(|expected| expected.event_id == result.event_id);
            if wanted.map(|wanted| &wanted.decision) != Some(&result.decision) {
                self.mismatches.push(Mismatch {
                    event_id: result.event_id.clone(),
                    expected: wanted.map(|wanted| wanted.decision.clone()),
                    decided: Some(result.decision.clone()),
                });
            }
        }
        for wanted in expected.results {
            if !self.results.iter().any(|result| result.event_id == wanted.event_id) {
                let mismatch = Mismatch { event_id: wanted.event_id, expected: Some(wanted.decision), decided: None };
                self.mismatches.push(mismatch);
            }
        }
        Ok(())
    }

    /// In lines for people.
    pub fn tell(&self, out: &mut impl Write, style: Style) -> anyhow::Result<()> {
        writeln!(out, "  {} events", self.results.len())?;
        for difference in &self.differences {
            let line = format!(
                "{}: was {}, is {} now by `{}`: {}",
                difference.event_id, difference.was, difference.now, difference.rule, difference.reason
            );
            writeln!(out, "  {} {}", style.warn("differs       "), short(&line, 400))?;
        }
        for mismatch in &self.mismatches {
            let decision = |decision: &Option<Decision>| {
                decision
                    .as_ref()
                    .and_then(|decision| serde_json::to_string(decision).ok())
                    .unwrap_or_else(|| "nothing".into())
            };
            let line = format!(
                "{}: expected {}, decided {}",
                mismatch.event_id,
                decision(&mismatch.expected),
                decision(&mismatch.decided)
            );
            writeln!(out, "  {} {}", style.warn("not expected  "), short(&line, 800))?;
        }
        Ok(())
    }
}

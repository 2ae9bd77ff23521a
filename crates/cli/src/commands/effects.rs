//! What a change of policy would change: `bartizan policy diff` over what was done and over examples, `bartizan policy
//! simulate` over what was done, in its order.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use bartizan_ledger::{Index, QUERY_ROWS_MAX, Query};
use bartizan_model::{Action, Content, Effect, Obligation, Record, Sighting, Verdict};
use bartizan_policy::{Example, Look, PolicySet, examples};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::home::Home;
use crate::moment::{self, Direction};
use crate::output::{self, Style, short};
use crate::policies::Policies;
use crate::sessions::Sessions;

/// Differences shown unless JSON is asked for.
const SHOWN_MAX: usize = 200;

/// Compare two policies by what they decide; exits with 1 when they differ
#[derive(Args)]
pub struct Diff {
    /// A policy file, ruleset or persona
    from: String,
    /// Another
    to: String,
    /// Not what was done, only examples made from both policies' rules and tests
    #[arg(long)]
    examples: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Decide again what was done
#[derive(Args)]
pub struct Simulate {
    /// A policy file, ruleset or persona
    policy: String,
    /// What was done since then: a time, or a while ago (`7d`)
    #[arg(long, value_name = "WHEN", value_parser = ago, default_value = "7d")]
    since: Timestamp,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn ago(text: &str) -> Result<Timestamp, String> {
    moment::parse(text, Timestamp::now(), Direction::Ago)
}

/// Something that is decided differently.
#[derive(Serialize)]
struct Change {
    from: Effect,
    to: Effect,
    /// Whether something is taken out of it first: before and now.
    redacts: [bool; 2],
    action: String,
    /// The rule that decided, and the one that decides now.
    rules: [String; 2],
    /// How often it was done; absent for an example.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<usize>,
}

/// A policy by its name or file, over the directory worked in.
fn named(home: &Home, name: &str) -> anyhow::Result<Policies> {
    Policies::named(home, name, &std::env::current_dir()?)
}

/// An action as it was recorded.
struct Recorded {
    action: Action,
    verdict: Verdict,
    at: Timestamp,
}

impl Recorded {
    /// What was seen in it then, as far as the record tells: what was taken out.
    fn seen(&self) -> Vec<Sighting> {
        let taken_out = self.verdict.obligations.iter().filter_map(|obligation| match obligation {
            Obligation::Redact { class, kind, part, .. } => {
                Some(Sighting::new(*class, kind.clone(), 100, 0..0).in_part(*part))
            }
            _ => None,
        });
        taken_out.collect()
    }
}

/// The same decision, but for what it wants taken out.
fn is_alike(one: &Verdict, other: &Verdict) -> bool {
    one.effect == other.effect && one.redacts() == other.redacts()
}

/// The actions the ledger has since then, oldest first, and whether there were more than can be looked at.
fn recorded(home: &Home, since: Option<Timestamp>) -> anyhow::Result<(Vec<Recorded>, bool)> {
    let mut rows = Index::open(&home.index(), &home.ledger())?.query(&Query { since, ..Query::default() })?;
    rows.sort_by_key(|row| row.entry.seq);
    let is_cut = rows.len() >= QUERY_ROWS_MAX;
    let actions = rows.into_iter().filter_map(|row| match row.entry.record {
        Record::Opened { action, verdict, .. } | Record::Refused { action, verdict: Some(verdict), .. } => {
            Some(Recorded { action, verdict, at: row.entry.at })
        }
        _ => None,
    });
    Ok((actions.collect(), is_cut))
}

impl Diff {
    pub fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        let (before, after) = (named(home, &self.from)?, named(home, &self.to)?);
        let mut changes = Vec::new();
        let mut compared = 0;
        let mut is_cut = false;
        if !self.examples {
            let (actions, cut) = recorded(home, None)?;
            is_cut = cut;
            let mut deeds: BTreeMap<String, (Example, usize)> = BTreeMap::new();
            for recorded in actions {
                let named = format!("{} {}", recorded.action.deed.kind().as_str(), recorded.action.deed.target());
                let example = |action: &String| Example {
                    action: action.clone(),
                    seen: recorded.seen(),
                    read: Vec::new(),
                    deed: recorded.action.deed.clone(),
                };
                let (_, times) = deeds.entry(named).or_insert_with_key(|named| (example(named), 0));
                *times += 1;
            }
            compared += deeds.len();
            for (example, times) in deeds.into_values() {
                changes.extend(change(&before.set, &after.set, example, Some(times)));
            }
        }
        let both = [&before.set, &after.set].map(|set| examples(set.user().file(), set.context()));
        let both = both.into_iter().flatten().map(|example| (example.action.clone(), example));
        let both: BTreeMap<String, Example> = both.collect();
        compared += both.len();
        for example in both.into_values() {
            changes.extend(change(&before.set, &after.set, example, None));
        }
        if self.json {
            output::print_json(&json!({
                "from": before.set.digest(), "to": after.set.digest(),
                "compared": compared, "cut": is_cut, "changes": changes,
            }))?;
        } else {
            print(&changes, style)?;
            let mut stderr = io::stderr();
            writeln!(stderr, "{} of {compared} actions would be decided differently", changes.len())?;
            if is_cut {
                writeln!(stderr, "of the ledger only the newest {QUERY_ROWS_MAX} entries were looked at")?;
            }
        }
        Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn change(before: &PolicySet, after: &PolicySet, example: Example, times: Option<usize>) -> Option<Change> {
    let (one, other) = (before.verdict_of(&example), after.verdict_of(&example));
    (!is_alike(&one, &other)).then(|| Change::between(&one, &other, example.action, times))
}

impl Change {
    fn between(one: &Verdict, other: &Verdict, action: String, times: Option<usize>) -> Self {
        Self {
            from: one.effect,
            to: other.effect,
            redacts: [one.redacts(), other.redacts()],
            action,
            rules: [one, other].map(|verdict| verdict.rule.rule.clone()),
            times,
        }
    }
}

impl Simulate {
    pub fn run(self, home: &Home, style: Style) -> anyhow::Result<ExitCode> {
        let policies = named(home, &self.policy)?;
        let (actions, is_cut) = recorded(home, Some(self.since))?;
        let (sessions, mut unread) = (Sessions::default(), 0);
        let mut changes: BTreeMap<(String, Effect, Effect), Change> = BTreeMap::new();
        for recorded in &actions {
            let Recorded { action, verdict: was, at } = recorded;
            unread += usize::from(matches!(action.deed.content(), Some(Content::Sealed { .. })));
            let session = sessions.of(action);
            let seen = recorded.seen();
            let look = Look {
                sightings: &seen,
                session: Some(&session),
                principal: Some(&action.principal),
                action: Some(&action.id),
                now: Some(*at),
                caught: action.run.is_some(),
            };
            let now = policies.set.decide_with(&action.deed, &look).to_verdict();
            // What would have been done goes on to count, as it did then.
            if now.effect != Effect::Deny {
                let _ = policies.set.begin(&action.id, &action.deed, &now, &look);
            }
            if is_alike(was, &now) {
                continue;
            }
            let named = format!("{} {}", action.deed.kind().as_str(), action.deed.target());
            let change = changes
                .entry((named.clone(), was.effect, now.effect))
                .or_insert_with(|| Change::between(was, &now, named, Some(0)));
            change.times = change.times.map(|times| times + 1);
        }
        let changes: Vec<Change> = changes.into_values().collect();
        if self.json {
            output::print_json(&json!({
                "policy": policies.set.digest(), "since": self.since, "actions": actions.len(),
                "without_content": unread, "cut": is_cut, "changes": changes,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        print(&changes, style)?;
        let times: usize = changes.iter().filter_map(|change| change.times).sum();
        let mut stderr = io::stderr();
        writeln!(stderr, "{times} of {} recorded actions would be decided differently", actions.len())?;
        if unread > 0 {
            writeln!(
                stderr,
                "{unread} of them carried content, which the ledger does not keep: of what guards would see in it, only what was taken out is known"
            )?;
        }
        if is_cut {
            writeln!(stderr, "only the newest {QUERY_ROWS_MAX} entries were looked at; give a later `--since`")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(changes: &[Change], style: Style) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    for change in changes.iter().take(SHOWN_MAX) {
        let times = change.times.map_or_else(|| "example".to_owned(), |times| format!("{times}×"));
        let [one, other] = &change.rules;
        let [before, now] = change.redacts.map(|redacts| if redacts { ", redacted" } else { "" });
        writeln!(
            stdout,
            "{}{before} → {}{now}  {}  {}",
            style.effect(change.from),
            style.effect(change.to),
            short(&change.action, 200),
            style.dim(&format!("({times}; {one} → {other})"))
        )?;
    }
    if changes.len() > SHOWN_MAX {
        writeln!(stdout, "and {} more; `--json` has them all", changes.len() - SHOWN_MAX)?;
    }
    Ok(())
}

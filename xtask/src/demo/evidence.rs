//! What is known about each deed, from three sides that can't agree by accident: what the agent saw, what arrived at
//! the servers or changed on disk, and what the ledger says.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    servers::{Arrival, Servers},
    world::World,
};

/// What the agent saw of one deed.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    pub(super) succeeded: bool,
    /// An errno's name, an HTTP status, a DNS code.
    pub(super) code: String,
    pub(super) detail: String,
    more: Value,
}

impl Observation {
    /// The last deed took its whole box with it.
    pub(super) fn box_ended() -> Self {
        let detail = "the kernel ended the whole box".to_owned();
        Self { succeeded: false, code: "SIGKILL".to_owned(), detail, more: Value::Null }
    }

    /// A number the agent added.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.more.get(name)?.as_u64()
    }

    /// A word the agent added.
    pub(super) fn word(&self, name: &str) -> &str {
        self.more.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Everything one run of the agent printed.
#[derive(Default)]
pub(super) struct Observations {
    pub(super) work: Vec<(String, bool, String)>,
    pub(super) deeds: BTreeMap<String, Observation>,
    /// The deed that was under way when nothing more came.
    pub(super) last_tried: Option<String>,
}

impl Observations {
    /// Takes in one line; what isn't from the agent itself (a program it ran) is passed over.
    pub(super) fn read(&mut self, line: &str) {
        let Ok(value) = serde_json::from_str::<Value>(line) else { return };
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(deed) = value.get("trying").and_then(Value::as_str) {
            self.last_tried = Some(deed.to_owned());
        } else if let Some(title) = value.get("work").and_then(Value::as_str) {
            let is_done = value.get("ok").and_then(Value::as_bool).unwrap_or(false);
            self.work.push((title.to_owned(), is_done, text("detail")));
        } else if let Some(deed) = value.get("deed").and_then(Value::as_str) {
            let succeeded = value.get("succeeded").and_then(Value::as_bool).unwrap_or(true);
            let (code, detail) = (text("code"), text("detail"));
            self.deeds.insert(deed.to_owned(), Observation { succeeded, code, detail, more: value });
        }
    }

    pub(super) fn parse(output: &str) -> Self {
        let mut observations = Self::default();
        output.lines().for_each(|line| observations.read(line));
        observations
    }
}

/// One ledger entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    record: Value,
    /// What closed it: its outcome.
    outcome: Value,
}

impl Entry {
    fn text(&self, path: &str) -> &str {
        self.record.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// `opened`, `closed`, `refused`, `judged`, `noted`.
    pub(super) fn kind(&self) -> &str {
        self.text("/type")
    }

    pub(super) fn action_id(&self) -> &str {
        self.text("/action/id")
    }

    /// Who or what refused it: `policy`, `person`, `no_answer`, `failure`.
    pub(super) fn why(&self) -> &str {
        self.text("/refused/why")
    }

    /// The place in the policy that decided.
    pub(super) fn rule(&self) -> &str {
        self.text("/verdict/rule/rule")
    }

    fn is_about(&self, action: &str, words: &[&str]) -> bool {
        let deed = self.record.pointer("/action/deed").map(Value::to_string).unwrap_or_default();
        self.text("/action/deed/kind") == action && words.iter().all(|word| deed.contains(word))
    }
}

/// The words for a layer's state.
pub(super) const ENFORCED: &str = "Enforced";
const STATES: [&str; 3] = [ENFORCED, "Weaker", "Off"];

/// What the world and the ledger say after the run.
pub(super) struct Facts<'a> {
    pub(super) world: &'a World,
    pub(super) servers: &'a Servers,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) entries: Vec<Entry>,
    /// What the person answered while the agent ran: action, target, answer.
    pub(super) answers: Vec<(String, String, &'static str)>,
    /// The policy's file as it was before.
    pub(super) policy_before: String,
}

impl Facts<'_> {
    /// The entry that refuses an action of one of these kinds whose deed holds all these words.
    pub(super) fn refusal(&self, actions: &[&str], words: &[&str]) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.kind() == "refused" && actions.iter().any(|action| entry.is_about(action, words)))
    }

    /// The entry that opens such an action: it was let through.
    pub(super) fn admission(&self, action: &str, words: &[&str]) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kind() == "opened" && entry.is_about(action, words))
    }

    /// The entry of something that was let in and then stopped, with this in the reason.
    pub(super) fn cut_short(&self, word: &str) -> Option<&Entry> {
        let is_stopped = |entry: &&Entry| entry.outcome.get("status").is_some_and(|status| status == "stopped");
        let says = |entry: &&Entry| {
            entry.outcome.get("detail").and_then(Value::as_str).is_some_and(|text| text.contains(word))
        };
        self.entries.iter().find(|entry| is_stopped(entry) && says(entry))
    }

    /// The sum of a figure over notes and outcomes.
    pub(super) fn figure(&self, name: &str) -> i64 {
        let of = |entry: &Entry| {
            let figures = entry.record.get("figures").or_else(|| entry.outcome.get("figures"))?;
            figures.get(name)?.as_i64()
        };
        self.entries.iter().filter_map(of).sum()
    }

    /// The layers of the box with their states, as the ledger's note tells them.
    pub(super) fn layers(&self) -> Vec<(&str, &str, &str)> {
        let Some(note) = self.entries.iter().find(|entry| entry.text("/topic") == "box.layers") else {
            return Vec::new();
        };
        note.text("/message").split("; ").filter_map(layer_state).collect()
    }

    /// Whether this layer was in force.
    pub(super) fn is_enforced(&self, name: &str) -> bool {
        self.layers().iter().any(|(layer, state, _)| *layer == name && *state == ENFORCED)
    }

    /// Why the run was ended before its program was, if it was.
    pub(super) fn stop_reason(&self) -> Option<&str> {
        let run = self.entries.iter().find(|entry| entry.kind() == "opened" && entry.is_about("exec.run", &[]))?;
        let stopped = run.outcome.get("status")? == "stopped";
        stopped.then(|| run.outcome.get("detail").and_then(Value::as_str).unwrap_or_default())
    }

    /// What arrived that shouldn't have: everything except what policy or the person allowed.
    pub(super) fn leaks(&self) -> Vec<&Arrival> {
        self.arrivals
            .iter()
            .filter(|arrival| !is_allowed(arrival) || arrival.content.contains(&self.world.loot))
            .collect()
    }

    /// Something arrived at one of these servers.
    pub(super) fn leaked(&self, servers: &[&str]) -> Option<&Arrival> {
        self.leaks().into_iter().find(|arrival| servers.contains(&arrival.server))
    }
}

/// A layer, its state and a detail out of one part of the note.
fn layer_state(one: &str) -> Option<(&str, &str, &str)> {
    STATES.iter().find_map(|state| {
        let (layer, detail) = one.split_once(&format!(" {state}"))?;
        Some((layer.trim(), *state, detail.trim()))
    })
}

fn is_allowed(arrival: &Arrival) -> bool {
    use super::servers::{DOCS_NAME, RELEASES_NAME};
    match arrival.server {
        "docs" => arrival.content.starts_with("GET /style-guide.txt "),
        "releases" => arrival.content.starts_with("GET /latest.txt "),
        "dns" => [DOCS_NAME, RELEASES_NAME].contains(&arrival.content.as_str()),
        _ => false,
    }
}

/// The entries of a run, from `bartizan log list --json`: one JSON object a line.
pub(super) fn read_entries(output: &str) -> Result<Vec<Entry>> {
    let read = |line: &str| serde_json::from_str(line).with_context(|| format!("`{line}` is no ledger entry"));
    let values: Vec<Value> = output.lines().map(read).collect::<Result<_>>()?;
    let entries: Vec<Entry> = values
        .into_iter()
        .filter_map(|mut value| {
            let seq = value.get("seq")?.as_u64()?;
            let outcome = value.pointer_mut("/closed/record/outcome").map(Value::take).unwrap_or_default();
            let record = value.get_mut("record")?.take();
            Some(Entry { seq, record, outcome })
        })
        .collect();
    if entries.is_empty() {
        bail!("the ledger has no entry of this run");
    }
    Ok(entries)
}

/// Whether the file holds this text; a file that is not there holds nothing.
pub(super) fn holds(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|content| content.contains(text))
}

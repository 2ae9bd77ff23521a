//! Exceptions: one rule lifted for one principal until a moment. What is lifted is the rule as it was written: the
//! entry of a list with its text, so that editing the list never lifts another. What doesn't stand in a list (a
//! default, what holds whatever a policy says) can't be lifted. Signing and keeping them is the business of whoever
//! calls.

use bartizan_model::Principal;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::Context;
use crate::language::PolicyFile;
use crate::load::Policy;
use crate::place::quoted;
use crate::policy::Compiled;

/// Most exceptions in force at once; more is a policy of their own.
pub const EXCEPTIONS_MAX: usize = 64;

/// One rule lifted for one principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// What it is called.
    pub id: String,
    /// The rule's name when it was made, e.g. `net.deny[2]`, `flow[0]`, `rego.deny`.
    pub rule: String,
    /// The rule's own text: what is lifted is the rule of this text in this list.
    pub text: String,
    /// For whom: the principal's name.
    pub principal: String,
    /// Until when; from then on it lifts nothing.
    pub until: Timestamp,
    /// Why, for those who read the ledger.
    pub reason: String,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Exception {
    /// Whether it speaks of this principal at this moment. Without a principal or a clock nothing is lifted.
    #[must_use]
    pub fn holds(&self, principal: Option<&Principal>, now: Option<Timestamp>) -> bool {
        principal.is_some_and(|principal| principal.name == self.principal)
            && now.is_some_and(|now| self.at <= now && now < self.until)
    }

    /// In words, for explanations.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { id, rule, text, principal, until, reason, by, .. } = self;
        format!("{id}: `{rule}` ({text}) is lifted for `{principal}` until {until} by {by}: {reason}")
    }
}

/// Finds the rule that is to be lifted and gives its name and text.
///
/// # Errors
/// There is none, or it can't be lifted; the sentence says what can.
pub(crate) fn find<'a>(
    policies: impl Iterator<Item = &'a Policy>,
    guards: impl Iterator<Item = &'static str>,
    named: &str,
) -> Result<(String, String), String> {
    if let Some((rule, text)) = named.split_once(": ") {
        if matches!(rule, "rego.deny" | "rego.ask") && !text.is_empty() {
            return Ok((rule.to_owned(), text.to_owned()));
        }
        return Err(format!("{} names no rule; a text after `: ` is for `rego.deny` and `rego.ask`", quoted(named)));
    }
    if matches!(named, "rego.deny" | "rego.ask") {
        return Err(format!("{} is many rules; add the reason of one: `{named}: <reason>`", quoted(named)));
    }
    if let Some(entry) = Entry::parse(named) {
        if !entry.holds_back() {
            return Err(format!("{} grants something, and an exception lifts what asks or denies", quoted(named)));
        }
        for policy in policies {
            if let Some(text) = serde_json::to_value(policy.file()).ok().and_then(|file| entry.read(&file)) {
                return Ok((named.to_owned(), text));
            }
        }
        return Err(format!(
            "there is no rule {} in the policy in force; `bartizan policy explain ACTION` names the rule that decides",
            quoted(named)
        ));
    }
    let section = named.split('.').next().unwrap_or_default();
    let liftable = !named.ends_with(".default") && !matches!(section, "rego" | "budgets") && named != "wasm.failed";
    if liftable && guards.into_iter().any(|guard| guard == section) {
        return Ok((named.to_owned(), String::new()));
    }
    Err(format!(
        "{} can't be lifted: an exception is for one entry of a list that asks or denies, or for what a guard saw; for the rest change the policy",
        quoted(named)
    ))
}

/// A place in a list: `net.deny[2]`, `flow[0]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    section: String,
    list: Option<String>,
    index: usize,
}

impl Entry {
    fn parse(rule: &str) -> Option<Self> {
        let (path, index) = rule.strip_suffix(']')?.split_once('[')?;
        let index = index.parse().ok()?;
        Some(match path.split_once('.') {
            Some((section, list)) => Self { section: section.to_owned(), list: Some(list.to_owned()), index },
            None => Self { section: path.to_owned(), list: None, index },
        })
    }

    fn holds_back(&self) -> bool {
        match &self.list {
            Some(list) => matches!(list.as_str(), "ask" | "deny" | "protect"),
            None => self.section == "flow",
        }
    }

    fn list<'v>(&self, file: &'v Value) -> Option<&'v Vec<Value>> {
        let section = file.get(&self.section)?;
        match &self.list {
            Some(list) => section.get(list)?.as_array(),
            None => section.as_array(),
        }
    }

    fn read(&self, file: &Value) -> Option<String> {
        self.list(file)?.get(self.index).map(text)
    }

    /// The name of another rule as it was before entries before it were taken out.
    fn renumber(&self, rule: &str) -> Option<String> {
        let other = Self::parse(rule)?;
        let same = other.section == self.section && other.list == self.list;
        let name = |index: usize| match &other.list {
            Some(list) => format!("{}.{list}[{index}]", other.section),
            None => format!("{}[{index}]", other.section),
        };
        (same && other.index >= self.index).then(|| name(other.index + 1))
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The policies in force without the rules that some exceptions lift.
#[derive(Debug)]
pub(crate) struct Lifted {
    pub(crate) layers: Vec<Compiled>,
    /// Entries taken out, per layer the last ones first, so that names can be given back.
    taken: Vec<Entry>,
    /// What guards saw that is to be passed over: rule, and text where it has one.
    passed: Vec<(String, String)>,
}

impl Lifted {
    /// Compiles the layers anew. `compile` is told each policy and which layer it is.
    pub(crate) fn new<'a>(
        policies: impl Iterator<Item = &'a Policy>,
        exceptions: &[Exception],
        context: &Context,
        compile: impl Fn(&Policy, usize, &Context) -> Compiled,
    ) -> Self {
        let mut lifted = Self { layers: Vec::new(), taken: Vec::new(), passed: Vec::new() };
        for exception in exceptions.iter().filter(|exception| Entry::parse(&exception.rule).is_none()) {
            lifted.passed.push((exception.rule.clone(), exception.text.clone()));
        }
        for (layer, policy) in policies.enumerate() {
            let mut file = policy.file().clone();
            let mut entries = Vec::new();
            if let Ok(value) = serde_json::to_value(&file) {
                for exception in exceptions {
                    entries.extend(Entry::parse(&exception.rule).and_then(|mut entry| {
                        let list = entry.list(&value)?;
                        entry.index = list.iter().position(|value| text(value) == exception.text)?;
                        Some(entry)
                    }));
                }
            }
            // From the end, so that what is still to be taken keeps its place.
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.index));
            entries.dedup();
            entries.retain(|entry| take(&mut file, entry));
            lifted.layers.push(compile(&policy.with_file(file), layer, context));
            lifted.taken.extend(entries.into_iter().rev());
        }
        lifted
    }

    /// A rule's name as it stands in the policy.
    pub(crate) fn name(&self, rule: &str) -> Option<String> {
        let mut name: Option<String> = None;
        for entry in &self.taken {
            if let Some(before) = entry.renumber(name.as_deref().unwrap_or(rule)) {
                name = Some(before);
            }
        }
        name
    }

    /// Whether what a guard saw is lifted.
    pub(crate) fn passes(&self, rule: &str, text: Option<&str>) -> bool {
        self.passed.iter().any(|(lifted, about)| lifted == rule && (about.is_empty() || Some(about.as_str()) == text))
    }
}

/// Takes one entry out of a policy.
fn take(file: &mut PolicyFile, entry: &Entry) -> bool {
    fn from<T>(list: Option<&mut Option<Vec<T>>>, index: usize) -> bool {
        let Some(Some(list)) = list else { return false };
        if index < list.len() {
            list.remove(index);
            return true;
        }
        false
    }
    macro_rules! lists {
        ($($section:ident: $($list:ident)+;)+) => {
            match (entry.section.as_str(), entry.list.as_deref()) {
                ("flow", None) => from(Some(&mut file.flow), entry.index),
                ("secrets", Some("ask")) => from(file.secrets.as_mut().map(|section| &mut section.names.ask), entry.index),
                ("secrets", Some("deny")) => from(file.secrets.as_mut().map(|section| &mut section.names.deny), entry.index),
                $($((stringify!($section), Some(stringify!($list))) => {
                    from(file.$section.as_mut().map(|section| &mut section.$list), entry.index)
                })+)+
                _ => false,
            }
        };
    }
    lists! {
        files: ask protect deny;
        exec: ask deny;
        net: ask deny;
        tools: ask deny;
        models: ask deny;
        messages: ask deny;
        browser: ask deny;
        computer: ask deny;
        content: ask deny;
    }
}

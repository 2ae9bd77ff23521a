//! The shapes of YAML a policy is written in: mappings with known keys, lists, single values. Each reports what is
//! wrong and goes on.

use bartizan_model::Effect;

use crate::decode::KEYS;
use crate::place::{At, Errors, did_you_mean, quoted};
use crate::yaml::{Node, Value};

/// Longest name, description or other free text.
const TEXT_BYTES_MAX: usize = 4096;

/// Mappings of the language by what messages call them, each with its keys.
pub(crate) type Keys = &'static [(&'static str, &'static [&'static str])];

/// Reads nodes and gathers what is wrong with them.
pub(crate) struct Decoder {
    pub(crate) errors: Errors,
}

/// Reads one value of a list or a key.
pub(crate) type Read<T> = fn(&mut Decoder, &Node) -> Option<T>;

impl Decoder {
    /// The entries of a mapping with a fixed set of keys; unknown ones are reported and left out.
    pub(crate) fn mapping<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n At<String>, &'n Node)> {
        let known =
            KEYS.iter().copied().flatten().find(|(name, _)| *name == what).map_or(&[] as &[&str], |(_, keys)| keys);
        let mut entries = self.entries(node, what);
        entries.retain(|(key, _)| {
            let expected = known.contains(&key.value.as_str());
            if !expected {
                let hint = did_you_mean(&key.value, known.iter().copied());
                let hint = if hint.is_empty() { format!("; known are {}", known.join(", ")) } else { hint };
                let place = if what.contains(' ') { what.to_owned() } else { format!("`{what}`") };
                self.errors.add(&key.place, format!("unknown key {} in {place}{hint}", quoted(&key.value)));
            }
            expected
        });
        entries
    }

    pub(crate) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n At<String>, &'n Node)> {
        match &node.value {
            Value::Mapping(entries) => entries.iter().map(|(key, value)| (key, value)).collect(),
            value if value.is_null() => Vec::new(),
            value => {
                self.errors
                    .add(&node.place, format!("{what} must be a mapping (`key: value`), this is {}", value.describe()));
                Vec::new()
            }
        }
    }

    pub(crate) fn list<T>(&mut self, node: &Node, read: Read<T>) -> Option<Vec<T>> {
        match &node.value {
            Value::Sequence(items) => Some(items.iter().filter_map(|item| read(self, item)).collect()),
            value if value.is_null() => Some(Vec::new()),
            value => {
                self.errors.add(&node.place, format!("must be a list (`[…]`), this is {}", value.describe()));
                None
            }
        }
    }

    pub(crate) fn one_or_many<T>(&mut self, node: &Node, read: Read<T>) -> Vec<T> {
        match &node.value {
            Value::Sequence(items) => items.iter().filter_map(|item| read(self, item)).collect(),
            _ => read(self, node).into_iter().collect(),
        }
    }

    pub(crate) fn text(&mut self, node: &Node) -> Option<At<String>> {
        match &node.value {
            value if value.is_null() => self.errors.add(&node.place, "a value is missing here"),
            Value::Scalar { text, .. } if text.len() > TEXT_BYTES_MAX => {
                self.errors.add(&node.place, format!("a text has at most {TEXT_BYTES_MAX} bytes"));
            }
            Value::Scalar { text, .. } => return Some(At { value: text.clone(), place: node.place.clone() }),
            value => self.errors.add(&node.place, format!("must be a single value, this is {}", value.describe())),
        }
        None
    }

    pub(crate) fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&str, T)]) -> Option<At<T>> {
        let text = self.text(node)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.value) {
            return Some(At { value: *value, place: text.place });
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let problem = format!(
            "{} must be one of {}{}",
            quoted(&text.value),
            names.join(", "),
            did_you_mean(&text.value, names.iter().copied())
        );
        self.errors.add(&text.place, problem);
        None
    }

    pub(crate) fn effect(&mut self, node: &Node) -> Option<At<Effect>> {
        self.choice(node, &[("allow", Effect::Allow), ("ask", Effect::Ask), ("deny", Effect::Deny)])
    }

    pub(crate) fn truth(&mut self, node: &Node) -> Option<bool> {
        self.choice(node, &[("true", true), ("false", false)]).map(|value| value.value)
    }

    pub(crate) fn unit<T>(&mut self, node: &Node, parse: fn(&str) -> Result<T, String>) -> Option<At<T>> {
        let text = self.text(node)?;
        match parse(&text.value) {
            Ok(value) => Some(At { value, place: text.place }),
            Err(problem) => {
                self.errors.add(&text.place, format!("{}: {problem}", quoted(&text.value)));
                None
            }
        }
    }

    pub(crate) fn count(&mut self, node: &Node) -> Option<At<u64>> {
        let text = self.text(node)?;
        match text.value.parse() {
            Ok(value) if text.value.bytes().all(|byte| byte.is_ascii_digit()) => Some(At { value, place: text.place }),
            _ => {
                self.errors.add(&text.place, format!("{} must be a whole number", quoted(&text.value)));
                None
            }
        }
    }

    pub(crate) fn positive(&mut self, node: &Node) -> Option<At<u64>> {
        let count = self.count(node)?;
        if count.value == 0 {
            self.errors.add(&count.place, "must be at least 1");
            return None;
        }
        Some(count)
    }

    pub(crate) fn missing(&mut self, node: &Node, key: &str, what: &str) {
        if matches!(node.value, Value::Mapping(_)) {
            self.errors.add(&node.place, format!("{what} needs the key `{key}`"));
        }
    }
}

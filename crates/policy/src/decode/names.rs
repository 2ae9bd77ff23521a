//! Reads the sections over names.

use crate::language::NameRules;
use crate::place::{At, quoted};
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys =
    &[("models", &["default", "allow", "ask", "deny"]), ("messages", &["default", "allow", "ask", "deny"])];

impl Decoder {
    pub(crate) fn names(&mut self, node: &Node, section: &str) -> NameRules {
        let mut names = NameRules::default();
        for (key, node) in self.mapping(node, section) {
            self.names_entry(&mut names, &key.value, node);
        }
        names
    }

    pub(super) fn names_entry(&mut self, names: &mut NameRules, key: &str, node: &Node) {
        match key {
            "default" => names.default = self.effect(node),
            "allow" => names.allow = self.list(node, Self::word),
            "ask" => names.ask = self.list(node, Self::word),
            "deny" => names.deny = self.list(node, Self::word),
            _ => {}
        }
    }

    pub(crate) fn word(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        if text.value.is_empty() || text.value.chars().any(|c| c.is_control() || c.is_whitespace()) {
            self.errors.add(&text.place, format!("{} is no name", quoted(&text.value)));
            return None;
        }
        Some(text)
    }
}

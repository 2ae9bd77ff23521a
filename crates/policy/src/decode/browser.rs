//! Reads section `browser`.

use crate::language::{Browser, BrowserRule, Risks};
use crate::place::At;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    ("browser", &["default", "allow", "ask", "deny", "risks"]),
    ("a browser rule", &["operation", "host"]),
    ("risks", &["low", "medium", "high", "critical"]),
];

impl Decoder {
    pub(crate) fn browser(&mut self, node: &Node) -> Browser {
        let mut browser = Browser::default();
        for (key, node) in self.mapping(node, "browser") {
            match key.value.as_str() {
                "default" => browser.default = self.effect(node),
                "allow" => browser.allow = self.list(node, Self::browser_rule),
                "ask" => browser.ask = self.list(node, Self::browser_rule),
                "deny" => browser.deny = self.list(node, Self::browser_rule),
                "risks" => browser.risks = Some(self.risks(node)),
                _ => {}
            }
        }
        browser
    }

    pub(crate) fn browser_rule(&mut self, node: &Node) -> Option<At<BrowserRule>> {
        let mut rule = BrowserRule { operation: "*".into(), host: "*".into() };
        for (key, node) in self.mapping(node, "a browser rule") {
            let word = self.word(node)?.value;
            match key.value.as_str() {
                "operation" => rule.operation = word,
                "host" => rule.host = word,
                _ => {}
            }
        }
        Some(At { value: rule, place: node.place.clone() })
    }

    pub(crate) fn risks(&mut self, node: &Node) -> Risks {
        let mut risks = Risks::default();
        for (key, node) in self.mapping(node, "risks") {
            match key.value.as_str() {
                "low" => risks.low = self.effect(node),
                "medium" => risks.medium = self.effect(node),
                "high" => risks.high = self.effect(node),
                "critical" => risks.critical = self.effect(node),
                _ => {}
            }
        }
        risks
    }
}

//! Reads section `prompts`.

use crate::language::{OriginRules, Prompts};
use crate::place::{At, quoted};
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    ("prompts", &["default", "user", "retrieved", "tool", "model"]),
    ("an origin", &["ask", "deny", "hidden", "secret", "personal"]),
];

impl Decoder {
    pub(crate) fn prompts(&mut self, node: &Node) -> Prompts {
        let mut prompts = Prompts::default();
        for (key, node) in self.mapping(node, "prompts") {
            match key.value.as_str() {
                "default" => prompts.default = self.effect(node),
                "user" => prompts.user = Some(self.origin_rules(node)),
                "retrieved" => prompts.retrieved = Some(self.origin_rules(node)),
                "tool" => prompts.tool = Some(self.origin_rules(node)),
                "model" => prompts.model = Some(self.origin_rules(node)),
                _ => {}
            }
        }
        prompts
    }

    pub(crate) fn origin_rules(&mut self, node: &Node) -> OriginRules {
        let mut rules = OriginRules::default();
        for (key, node) in self.mapping(node, "an origin") {
            match key.value.as_str() {
                "ask" => rules.ask = self.score(node),
                "deny" => rules.deny = self.score(node),
                "hidden" => rules.hidden = self.effect(node),
                "secret" => rules.secret = self.effect(node),
                "personal" => rules.personal = self.effect(node),
                _ => {}
            }
        }
        if let (Some(ask), Some(deny)) = (&rules.ask, &rules.deny)
            && ask.value > deny.value
        {
            let problem = format!("`ask: {}` never applies: from {} on it is refused already", ask.value, deny.value);
            self.errors.add(&ask.place, problem);
        }
        rules
    }

    /// How sure a scanner must be.
    pub(crate) fn score(&mut self, node: &Node) -> Option<At<u8>> {
        let text = self.text(node)?;
        match text.value.parse::<u8>() {
            Ok(value) if value <= 100 => Some(At { value, place: text.place }),
            _ => {
                self.errors
                    .add(&text.place, format!("{} is no score; write a number from 0 to 100", quoted(&text.value)));
                None
            }
        }
    }
}

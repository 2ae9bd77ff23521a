//! Reads section `content`.

use bartizan_model::SightingClass;

use crate::language::{ContentRule, ContentSection};
use crate::place::At;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    ("content", &["secret", "personal", "score", "allow", "ask", "deny"]),
    ("a content rule", &["class", "kind", "to"]),
];

impl Decoder {
    pub(crate) fn content(&mut self, node: &Node) -> ContentSection {
        let mut content = ContentSection::default();
        for (key, node) in self.mapping(node, "content") {
            match key.value.as_str() {
                "secret" => content.secret = self.effect(node),
                "personal" => content.personal = self.effect(node),
                "score" => content.score = self.score(node),
                "allow" => content.allow = self.list(node, Self::content_rule),
                "ask" => content.ask = self.list(node, Self::content_rule),
                "deny" => content.deny = self.list(node, Self::content_rule),
                _ => {}
            }
        }
        content
    }

    pub(crate) fn content_rule(&mut self, node: &Node) -> Option<At<ContentRule>> {
        let mut rule = ContentRule { class: None, kind: None, to: Vec::new() };
        for (key, node) in self.mapping(node, "a content rule") {
            match key.value.as_str() {
                "class" => {
                    let classes = [("secret", SightingClass::Secret), ("personal", SightingClass::Personal)];
                    rule.class = Some(self.choice(node, &classes)?.value);
                }
                "kind" => rule.kind = Some(self.word(node)?.value),
                "to" => rule.to = self.one_or_many(node, Self::word).into_iter().map(|to| to.value).collect(),
                _ => {}
            }
        }
        if rule.class.is_none() && rule.kind.is_none() && rule.to.is_empty() {
            self.errors.add(&node.place, "a content rule needs one of the keys `class`, `kind` and `to`");
            return None;
        }
        Some(At { value: rule, place: node.place.clone() })
    }
}

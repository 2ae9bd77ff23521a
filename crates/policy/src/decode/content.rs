//! Reads section `content`.

use bartizan_model::{Effect, SightingClass};

use crate::language::{ContentClasses, ContentEffect, ContentPattern, ContentRule, ContentSection};
use crate::place::At;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    ("content", &["secret", "personal", "classes", "patterns", "score", "allow", "redact", "ask", "deny"]),
    ("content classes", &["internal", "confidential", "restricted"]),
    ("a content pattern", &["name", "pattern", "effect"]),
    ("a content rule", &["class", "kind", "to"]),
];

impl Decoder {
    pub(crate) fn content(&mut self, node: &Node) -> ContentSection {
        let mut content = ContentSection::default();
        for (key, node) in self.mapping(node, "content") {
            match key.value.as_str() {
                "secret" => content.secret = self.content_effect(node),
                "personal" => content.personal = self.content_effect(node),
                "classes" => content.classes = Some(self.content_classes(node)),
                "patterns" => content.patterns = self.list(node, Self::content_pattern),
                "score" => content.score = self.score(node),
                "allow" => content.allow = self.list(node, Self::content_rule),
                "redact" => content.redact = self.list(node, Self::content_rule),
                "ask" => content.ask = self.list(node, Self::content_rule),
                "deny" => content.deny = self.list(node, Self::content_rule),
                _ => {}
            }
        }
        content
    }

    fn content_effect(&mut self, node: &Node) -> Option<At<ContentEffect>> {
        use ContentEffect::{Allow, Ask, Deny, Redact};
        let effects = [Allow, Redact, Ask, Deny].map(|effect| (effect.as_str(), effect));
        self.choice(node, &effects)
    }

    fn content_classes(&mut self, node: &Node) -> ContentClasses {
        let mut classes = ContentClasses::default();
        for (key, node) in self.mapping(node, "content classes") {
            let effect = self.effect(node);
            match key.value.as_str() {
                "internal" => classes.internal = effect,
                "confidential" => classes.confidential = effect,
                "restricted" => classes.restricted = effect,
                _ => {}
            }
        }
        classes
    }

    fn content_pattern(&mut self, node: &Node) -> Option<At<ContentPattern>> {
        let (mut name, mut pattern, mut effect) = (None, None, Effect::Deny);
        for (key, node) in self.mapping(node, "a content pattern") {
            match key.value.as_str() {
                "name" => name = self.text(node),
                "pattern" => pattern = self.text_pattern(node),
                "effect" => effect = self.effect(node)?.value,
                _ => {}
            }
        }
        let (Some(name), Some(pattern)) = (name, pattern) else {
            self.missing(node, "name` and `pattern", "a content pattern");
            return None;
        };
        let value = ContentPattern { name: name.value, pattern: pattern.value, effect };
        Some(At { value, place: node.place.clone() })
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

//! Reads `flow`.

use crate::deeds::DeedPattern;
use crate::language::{FlowRule, Provenance, When};
use crate::place::At;
use crate::shapes::{Decoder, Keys};
use crate::units::Span;
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys =
    &[("a flow rule", &["when", "ask", "deny", "except"]), ("when", &["read", "after", "within", "argument"])];

impl Decoder {
    pub(crate) fn flow_rule(&mut self, node: &Node) -> Option<At<FlowRule>> {
        let mut when = None;
        let mut rule = FlowRule { when: When::default(), ask: Vec::new(), deny: Vec::new(), except: Vec::new() };
        for (key, node) in self.mapping(node, "a flow rule") {
            match key.value.as_str() {
                "when" => when = Some(self.when(node)),
                "ask" => rule.ask = values(self.one_or_many(node, Self::deed_pattern)),
                "deny" => rule.deny = values(self.one_or_many(node, Self::deed_pattern)),
                "except" => rule.except = values(self.one_or_many(node, Self::word)),
                _ => {}
            }
        }
        let Some(when) = when else {
            self.missing(node, "when", "a flow rule");
            return None;
        };
        if rule.ask.is_empty() && rule.deny.is_empty() {
            self.errors.add(&node.place, "a flow rule needs `ask` or `deny`, as in `ask: [exec, http.write]`");
            return None;
        }
        rule.when = when;
        Some(At { value: rule, place: node.place.clone() })
    }

    fn when(&mut self, node: &Node) -> When {
        let mut when = When::default();
        for (key, node) in self.mapping(node, "when") {
            match key.value.as_str() {
                "read" => when.read = values(self.one_or_many(node, Self::label)),
                "after" => when.after = values(self.one_or_many(node, Self::deed_pattern)),
                "within" => when.within = self.unit(node, Span::parse).map(|span| span.value),
                "argument" => {
                    let choices = [("untrusted", Provenance::Untrusted), ("unsaid", Provenance::Unsaid)];
                    when.argument = self.choice(node, &choices).map(|choice| choice.value);
                }
                _ => {}
            }
        }
        if when.read.is_empty() && when.after.is_empty() && when.argument.is_none() {
            self.errors.add(&node.place, "`when` needs one of `read`, `after` and `argument`");
        } else if when.within.is_some() && when.after.is_empty() {
            self.errors.add(&node.place, "`within` goes with `after`");
        }
        when
    }

    fn deed_pattern(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        match DeedPattern::parse(&text.value) {
            Ok(_) => Some(text),
            Err(problem) => {
                self.errors.add(&text.place, problem);
                None
            }
        }
    }
}

fn values(list: Vec<At<String>>) -> Vec<String> {
    list.into_iter().map(|text| text.value).collect()
}

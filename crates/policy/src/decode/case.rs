//! Reads a case of `tests`.

use bartizan_model::Effect;

use crate::cases;
use crate::language::Case;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("a test", &["allow", "ask", "deny", "rule"])];

impl Decoder {
    pub(crate) fn case(&mut self, node: &Node) -> Option<Case> {
        let (mut found, mut rule) = (None, None);
        for (key, node) in self.mapping(node, "a test") {
            let effect = match key.value.as_str() {
                "allow" => Effect::Allow,
                "ask" => Effect::Ask,
                "deny" => Effect::Deny,
                "rule" => {
                    rule = Some(self.text(node)?.value);
                    continue;
                }
                _ => continue,
            };
            let action = self.text(node)?;
            if let Err(problem) = cases::check_syntax(&action.value) {
                self.errors.add(&action.place, problem.to_string());
            }
            if found.replace((effect, action)).is_some() {
                self.errors.add(&node.place, "a test has one of `allow`, `ask` and `deny`; write two tests");
            }
        }
        let Some((effect, action)) = found else {
            self.errors.add(&node.place, "a test has one of `allow`, `ask` and `deny`");
            return None;
        };
        Some(Case { effect, action, rule })
    }
}

//! Reads section `exec`.

use crate::exec::CommandPattern;
use crate::language::Exec;
use crate::place::At;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("exec", &["default", "allow", "ask", "deny"])];

impl Decoder {
    pub(crate) fn exec(&mut self, node: &Node) -> Exec {
        let mut exec = Exec::default();
        for (key, node) in self.mapping(node, "exec") {
            match key.value.as_str() {
                "default" => exec.default = self.effect(node),
                "allow" => exec.allow = self.list(node, Self::command),
                "ask" => exec.ask = self.list(node, Self::command),
                "deny" => exec.deny = self.list(node, Self::command),
                _ => {}
            }
        }
        exec
    }

    pub(crate) fn command(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        match CommandPattern::parse(&text.value) {
            Ok(_) => Some(text),
            Err(problem) => {
                self.errors.add(&text.place, problem);
                None
            }
        }
    }
}

//! Reads section `computer`.

use crate::language::Computer;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("computer", &["default", "allow", "ask", "deny", "risks"])];

impl Decoder {
    pub(crate) fn computer(&mut self, node: &Node) -> Computer {
        let mut computer = Computer::default();
        for (key, node) in self.mapping(node, "computer") {
            match key.value.as_str() {
                "default" => computer.default = self.effect(node),
                "allow" => computer.allow = self.list(node, Self::word),
                "ask" => computer.ask = self.list(node, Self::word),
                "deny" => computer.deny = self.list(node, Self::word),
                "risks" => computer.risks = Some(self.risks(node)),
                _ => {}
            }
        }
        computer
    }
}

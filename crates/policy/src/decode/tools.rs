//! Reads section `tools`.

use crate::language::{ToolRule, Tools};
use crate::place::At;
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[("tools", &["default", "allow", "ask", "deny"]), ("a tool rule", &["server", "name"])];

impl Decoder {
    pub(crate) fn tools(&mut self, node: &Node) -> Tools {
        let mut tools = Tools::default();
        for (key, node) in self.mapping(node, "tools") {
            match key.value.as_str() {
                "default" => tools.default = self.effect(node),
                "allow" => tools.allow = self.list(node, Self::tool_rule),
                "ask" => tools.ask = self.list(node, Self::tool_rule),
                "deny" => tools.deny = self.list(node, Self::tool_rule),
                _ => {}
            }
        }
        tools
    }

    pub(crate) fn tool_rule(&mut self, node: &Node) -> Option<At<ToolRule>> {
        let (mut server, mut name) = (None, None);
        for (key, node) in self.mapping(node, "a tool rule") {
            match key.value.as_str() {
                "server" => server = self.word(node),
                "name" => name = Some(self.word(node)?),
                _ => {}
            }
        }
        let Some(server) = server else {
            self.missing(node, "server", "a tool rule");
            return None;
        };
        let name = name.map_or_else(|| "*".to_owned(), |name| name.value);
        Some(At { value: ToolRule { server: server.value, name }, place: node.place.clone() })
    }
}

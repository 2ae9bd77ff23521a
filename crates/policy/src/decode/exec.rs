//! Reads section `exec`.

use bartizan_model::Effect;

use crate::exec::CommandPattern;
use crate::language::{CommandGrammar, CommandRule, Exec};
use crate::place::At;
use crate::shapes::{Decoder, Keys};
use crate::yaml::{Node, Value};

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    ("exec", &["default", "unclear", "allow", "ask", "deny"]),
    (
        "a command grammar",
        &["program", "verb", "global", "flags", "deny_flags", "require", "first", "args", "deny_args", "count", "env"],
    ),
];

/// The keys that say what may be there, which only `allow` can mean.
const ALLOWING: &[&str] = &["global", "deny_flags", "require", "first", "deny_args", "count", "env"];

impl Decoder {
    pub(crate) fn exec(&mut self, node: &Node) -> Exec {
        let mut exec = Exec::default();
        for (key, node) in self.mapping(node, "exec") {
            match key.value.as_str() {
                "default" => exec.default = self.effect(node),
                "unclear" => exec.unclear = self.effect(node),
                "allow" => exec.allow = self.list(node, Self::allowed_command),
                "ask" => exec.ask = self.list(node, Self::held_command),
                "deny" => exec.deny = self.list(node, Self::held_command),
                _ => {}
            }
        }
        exec
    }

    fn allowed_command(&mut self, node: &Node) -> Option<At<CommandRule>> {
        self.command(node, Effect::Allow)
    }

    fn held_command(&mut self, node: &Node) -> Option<At<CommandRule>> {
        self.command(node, Effect::Deny)
    }

    fn command(&mut self, node: &Node, effect: Effect) -> Option<At<CommandRule>> {
        let value = match &node.value {
            Value::Mapping(_) => CommandRule::Grammar(Box::new(self.grammar(node, effect)?)),
            _ => CommandRule::Pattern(self.text(node)?.value),
        };
        match CommandPattern::parse(&value) {
            Ok(_) => Some(At { value, place: node.place.clone() }),
            Err(problem) => {
                self.errors.add(&node.place, problem);
                None
            }
        }
    }

    fn grammar(&mut self, node: &Node, effect: Effect) -> Option<CommandGrammar> {
        let mut grammar = CommandGrammar::default();
        for (key, node) in self.mapping(node, "a command grammar") {
            if effect != Effect::Allow && ALLOWING.contains(&key.value.as_str()) {
                self.errors.add(
                    &key.place,
                    format!("`{}` says what may be there, which only `allow` means; in `ask` and `deny` list the flags and operands to hold back", key.value),
                );
                continue;
            }
            let mut texts = || self.one_or_many(node, Self::text).into_iter().map(|text| text.value).collect();
            match key.value.as_str() {
                "program" => grammar.program = texts(),
                "verb" => grammar.verb = texts(),
                "global" => grammar.global = texts(),
                "flags" => grammar.flags = texts(),
                "deny_flags" => grammar.deny_flags = texts(),
                "require" => grammar.require = texts(),
                "args" => grammar.args = texts(),
                "deny_args" => grammar.deny_args = texts(),
                "first" => grammar.first = texts(),
                "count" => grammar.count = self.text(node).map(|text| text.value),
                "env" => grammar.env = texts(),
                _ => {}
            }
        }
        if grammar.program.is_empty() {
            self.missing(node, "program", "a command grammar");
            return None;
        }
        Some(grammar)
    }
}

//! Reads section `tools`.

use std::collections::BTreeMap;

use crate::args::{self, ARGS_MAX};
use crate::host::HostPattern;
use crate::language::{ArgRule, ArgType, ToolRule, Tools};
use crate::pattern::PathPattern;
use crate::place::{At, quoted};
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    ("tools", &["default", "allow", "ask", "deny", "args_bytes_max", "paths", "hosts"]),
    ("a tool rule", &["server", "name", "args", "only"]),
    (
        "an argument",
        &["type", "pattern", "one_of", "min", "max", "length_max", "items_max", "path", "host", "optional"],
    ),
];

const TYPES: &[(&str, ArgType)] = &[
    ("text", ArgType::Text),
    ("number", ArgType::Number),
    ("integer", ArgType::Integer),
    ("truth", ArgType::Truth),
    ("list", ArgType::List),
    ("object", ArgType::Object),
    ("null", ArgType::Null),
];

impl Decoder {
    pub(crate) fn tools(&mut self, node: &Node) -> Tools {
        let mut tools = Tools::default();
        for (key, node) in self.mapping(node, "tools") {
            match key.value.as_str() {
                "default" => tools.default = self.effect(node),
                "allow" => tools.allow = self.list(node, Self::tool_rule),
                "ask" => tools.ask = self.list(node, Self::tool_rule),
                "deny" => tools.deny = self.list(node, Self::tool_rule),
                "args_bytes_max" => tools.args_bytes_max = self.count(node),
                "paths" => tools.paths = self.effect(node),
                "hosts" => tools.hosts = self.effect(node),
                _ => {}
            }
        }
        tools
    }

    pub(crate) fn tool_rule(&mut self, node: &Node) -> Option<At<ToolRule>> {
        let (mut server, mut name) = (None, None);
        let (mut args, mut only) = (BTreeMap::new(), false);
        for (key, node) in self.mapping(node, "a tool rule") {
            match key.value.as_str() {
                "server" => server = self.word(node),
                "name" => name = Some(self.word(node)?),
                "args" => args = self.args(node),
                "only" => only = self.truth(node)?,
                _ => {}
            }
        }
        let Some(server) = server else {
            self.missing(node, "server", "a tool rule");
            return None;
        };
        let name = name.map_or_else(|| "*".to_owned(), |name| name.value);
        Some(At { value: ToolRule { server: server.value, name, args, only }, place: node.place.clone() })
    }

    fn args(&mut self, node: &Node) -> BTreeMap<String, At<ArgRule>> {
        let mut args = BTreeMap::new();
        for (place, node) in self.entries(node, "`args`") {
            if let Some(problem) = args::place_problem(&place.value) {
                self.errors.add(&place.place, format!("{}: {problem}", quoted(&place.value)));
            } else if args.len() >= ARGS_MAX {
                self.errors.add(&place.place, format!("a rule speaks of at most {ARGS_MAX} arguments"));
                break;
            } else if let Some(rule) = self.arg_rule(node) {
                args.insert(place.value.clone(), At { value: rule, place: node.place.clone() });
            }
        }
        args
    }

    fn arg_rule(&mut self, node: &Node) -> Option<ArgRule> {
        let mut rule = ArgRule::default();
        for (key, node) in self.mapping(node, "an argument") {
            match key.value.as_str() {
                "type" => rule.r#type = Some(self.choice(node, TYPES)?.value),
                "pattern" => rule.pattern = Some(self.text_pattern(node)?.value),
                "one_of" => rule.one_of = self.one_or_many(node, Self::text).into_iter().map(|at| at.value).collect(),
                "min" => rule.min = Some(self.unit(node, number)?.value),
                "max" => rule.max = Some(self.unit(node, number)?.value),
                "length_max" => rule.length_max = Some(self.count(node)?.value),
                "items_max" => rule.items_max = Some(self.count(node)?.value),
                "path" => rule.path = self.one_or_many(node, Self::argument_path),
                "host" => rule.host = self.one_or_many(node, Self::argument_host),
                "optional" => rule.optional = self.truth(node)?,
                _ => {}
            }
        }
        if let (Some(min), Some(max)) = (rule.min, rule.max)
            && min > max
        {
            self.errors.add(&node.place, format!("no number is at least {min} and at most {max}"));
        }
        Some(rule)
    }

    fn argument_path(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if let Err(problem) = PathPattern::parse(&text.value) {
            self.errors.add(&text.place, problem);
            return None;
        }
        Some(text.value)
    }

    fn argument_host(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if let Err(problem) = HostPattern::parse(&text.value) {
            self.errors.add(&text.place, problem);
            return None;
        }
        Some(text.value)
    }
}

/// A number as people write it.
fn number(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| "must be a number".into())
}

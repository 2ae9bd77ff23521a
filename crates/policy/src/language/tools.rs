//! Section `tools`.

use std::collections::BTreeMap;

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::place::At;
use crate::text_pattern::TextPattern;

/// Section `tools`. What a server says of its own tools (that one only reads, say) allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Tools {
    /// For tools no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// May be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<ToolRule>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<ToolRule>>>,
    /// Never called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<ToolRule>>>,
    /// Longest arguments, as compact JSON; more is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_bytes_max: Option<At<u64>>,
    /// What becomes of a call with an argument that names a file which `files` denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<At<Effect>>,
    /// What becomes of a call with an argument that names a host which `net` denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<At<Effect>>,
}

/// A rule over tools; server and name may hold `*`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ToolRule {
    /// The server that offers the tool.
    pub server: String,
    /// The tool; `*` when absent.
    #[schemars(default)]
    pub name: String,
    /// What its arguments must be for the rule to match, by dotted place: `path`, `options.depth`, `files[].path`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub args: BTreeMap<String, At<ArgRule>>,
    /// Whether the call may have arguments `args` doesn't speak of; `true` when absent.
    #[serde(skip_serializing_if = "std::ops::Not::not", rename = "only")]
    #[schemars(default)]
    pub only: bool,
}

/// What one argument must be; all that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct ArgRule {
    /// Of this type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<ArgType>,
    /// A text that matches the expression from its beginning to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<TextPattern>,
    /// One of these; numbers and truths as they are written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// A number not below this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// A number not above this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// A text of at most so many characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length_max: Option<u64>,
    /// A list of at most so many items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_max: Option<u64>,
    /// A file that one of these patterns (as in `files`) matches, `..` and `file:` undone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// A host, or a URL on a host, that one of these patterns (as in `net`) matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host: Vec<String>,
    /// It may be left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// Types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ArgType {
    Text,
    Number,
    Integer,
    Truth,
    List,
    Object,
    Null,
}

impl Merge for Tools {
    fn merge(self, child: Self) -> Self {
        Self {
            default: child.default.or(self.default),
            allow: list(self.allow, child.allow),
            ask: list(self.ask, child.ask),
            deny: list(self.deny, child.deny),
            args_bytes_max: child.args_bytes_max.or(self.args_bytes_max),
            paths: child.paths.or(self.paths),
            hosts: child.hosts.or(self.hosts),
        }
    }
}

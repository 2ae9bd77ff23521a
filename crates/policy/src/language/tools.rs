//! Section `tools`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::place::At;

/// Section `tools`.
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
}

/// A rule over tools; both parts may hold `*`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ToolRule {
    /// The server that offers the tool.
    pub server: String,
    /// The tool; `*` when absent.
    #[schemars(default)]
    pub name: String,
}

impl Merge for Tools {
    fn merge(self, child: Self) -> Self {
        Self {
            default: child.default.or(self.default),
            allow: list(self.allow, child.allow),
            ask: list(self.ask, child.ask),
            deny: list(self.deny, child.deny),
        }
    }
}

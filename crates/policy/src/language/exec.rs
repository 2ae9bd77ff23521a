//! Section `exec`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::CommandRule;
use crate::language::merge::{Merge, list};
use crate::place::At;

/// Section `exec`: lists of rules over commands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Exec {
    /// For commands no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// For command lines that can't be followed to every command they start, where that is stricter than the
    /// default: `ask` unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclear: Option<At<Effect>>,
    /// May be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<CommandRule>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<CommandRule>>>,
    /// Never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<CommandRule>>>,
}

impl Merge for Exec {
    fn merge(self, child: Self) -> Self {
        Self {
            default: child.default.or(self.default),
            unclear: child.unclear.or(self.unclear),
            allow: list(self.allow, child.allow),
            ask: list(self.ask, child.ask),
            deny: list(self.deny, child.deny),
        }
    }
}

//! Section `exec`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::place::At;

/// Section `exec`: lists of command patterns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Exec {
    /// For programs no pattern matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// May be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<String>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<String>>>,
    /// Never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<String>>>,
}

impl Merge for Exec {
    fn merge(self, child: Self) -> Self {
        Self {
            default: child.default.or(self.default),
            allow: list(self.allow, child.allow),
            ask: list(self.ask, child.ask),
            deny: list(self.deny, child.deny),
        }
    }
}

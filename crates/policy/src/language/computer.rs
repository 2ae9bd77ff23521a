//! Section `computer`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::language::risks::Risks;
use crate::place::At;

/// Section `computer`: lists of operations, which may hold `*`, and what becomes of each risk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Computer {
    /// For what no pattern matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// May be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<String>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<String>>>,
    /// Never done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<String>>>,
    /// What becomes of each risk at least, whatever patterns allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risks: Option<Risks>,
}

impl Merge for Computer {
    fn merge(self, child: Self) -> Self {
        Self {
            default: child.default.or(self.default),
            allow: list(self.allow, child.allow),
            ask: list(self.ask, child.ask),
            deny: list(self.deny, child.deny),
            risks: self.risks.merge(child.risks),
        }
    }
}

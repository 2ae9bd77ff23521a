//! Section `browser`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::language::risks::Risks;
use crate::place::At;

/// Section `browser`: rules over what is done on which host, and what becomes of each risk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Browser {
    /// For what no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// May be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<BrowserRule>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<BrowserRule>>>,
    /// Never done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<BrowserRule>>>,
    /// What becomes of each risk at least, whatever rules allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risks: Option<Risks>,
}

/// A rule over acts in a browser; every part may hold `*` and is `*` when absent.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BrowserRule {
    /// What is done: `navigate`, `click`, `type`, …
    #[schemars(default)]
    pub operation: String,
    /// The host of the page.
    #[schemars(default)]
    pub host: String,
}

impl Merge for Browser {
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

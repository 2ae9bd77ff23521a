//! Sections over names: `secrets`, `models` and `messages`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::place::At;

/// Lists of names, which may hold `*`. For `secrets` the name of a secret, for `models` `provider/model`, for
/// `messages` `channel/recipient`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct NameRules {
    /// For names no pattern matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// It may happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<String>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<String>>>,
    /// It never happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<String>>>,
}

impl Merge for NameRules {
    fn merge(self, child: Self) -> Self {
        Self {
            default: child.default.or(self.default),
            allow: list(self.allow, child.allow),
            ask: list(self.ask, child.ask),
            deny: list(self.deny, child.deny),
        }
    }
}

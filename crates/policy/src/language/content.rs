//! Section `content`.

use bartizan_model::{Effect, SightingClass};
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::place::At;

/// Section `content`: secrets and personal data in what leaves. A sighting that a rule matches is decided by the
/// strictest such rule, any other by its class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct ContentSection {
    /// For secrets no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<At<Effect>>,
    /// For personal data no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<At<Effect>>,
    /// How sure the scanner must be, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<At<u8>>,
    /// May leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<ContentRule>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<ContentRule>>>,
    /// Never leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<ContentRule>>>,
}

/// A rule over what is seen, and where it would go.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ContentRule {
    /// `secret` or `personal`; both when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<SightingClass>,
    /// The kind, which may hold `*`, e.g. `github-token`; every kind when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where it would go, which may hold `*`: `file`, `http`, `model`, `message`, `tool`, `browser`, `computer`,
    /// `clipboard`, or a host, a path, `server/tool`, `provider/model`, `channel/recipient`; everywhere when absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::language::one_or_many")]
    pub to: Vec<String>,
}

impl Merge for ContentSection {
    fn merge(self, child: Self) -> Self {
        Self {
            secret: child.secret.or(self.secret),
            personal: child.personal.or(self.personal),
            score: child.score.or(self.score),
            allow: list(self.allow, child.allow),
            ask: list(self.ask, child.ask),
            deny: list(self.deny, child.deny),
        }
    }
}

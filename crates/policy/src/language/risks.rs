//! What becomes of deeds by how much harm they could do.

use bartizan_model::{Effect, Risk};
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::Merge;
use crate::place::At;

/// The least that becomes of a deed of each risk. Rules allow, this holds back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Risks {
    /// Of low risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<At<Effect>>,
    /// Of medium risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<At<Effect>>,
    /// Of high risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<At<Effect>>,
    /// Of critical risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<At<Effect>>,
}

impl Risks {
    /// What the policy says of this risk; what it leaves out is `allow`, `ask`, `ask`, `deny`.
    pub(crate) fn of(&self, risk: Risk) -> Effect {
        let (said, unsaid) = match risk {
            Risk::Low => (&self.low, Effect::Allow),
            Risk::Medium => (&self.medium, Effect::Ask),
            Risk::High => (&self.high, Effect::Ask),
            Risk::Critical => (&self.critical, Effect::Deny),
        };
        said.as_ref().map_or(unsaid, |effect| effect.value)
    }
}

impl Merge for Risks {
    fn merge(self, child: Self) -> Self {
        Self {
            low: child.low.or(self.low),
            medium: child.medium.or(self.medium),
            high: child.high.or(self.high),
            critical: child.critical.or(self.critical),
        }
    }
}

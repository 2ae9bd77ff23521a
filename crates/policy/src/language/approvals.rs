//! Section `approvals`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::Merge;
use crate::place::At;
use crate::units::Span;

/// Section `approvals`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Approvals {
    /// How long a person has to answer; no answer denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<At<Span>>,
}

impl Merge for Approvals {
    fn merge(self, child: Self) -> Self {
        Self { timeout: child.timeout.or(self.timeout) }
    }
}

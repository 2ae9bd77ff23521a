//! Section `patches`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::Merge;
use crate::place::At;
use crate::units::Bytes;

/// Section `patches`: what a patch may be, beside what `files` says of the paths it touches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Patches {
    /// Largest patch; more is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<At<Bytes>>,
    /// For patches that can't be understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclear: Option<At<Effect>>,
}

impl Merge for Patches {
    fn merge(self, child: Self) -> Self {
        Self { size: child.size.or(self.size), unclear: child.unclear.or(self.unclear) }
    }
}

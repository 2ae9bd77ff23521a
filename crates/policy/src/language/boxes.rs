//! Section `box`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::Merge;
use crate::place::At;

/// Section `box`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct BoxSection {
    /// What happens where the kernel can't limit memory and processes for the whole box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<At<CgroupLevel>>,
    /// Whether root outside appears as root inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<At<RootLevel>>,
}

/// How much a control group matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CgroupLevel {
    /// Not used.
    Off,
    /// Used where it can be had.
    Preferred,
    /// No box without it.
    Required,
}

/// Who the program is inside when a privileged account starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RootLevel {
    /// Root stays root inside the box, without capabilities.
    Keep,
    /// An ordinary account.
    Drop,
}

impl Merge for BoxSection {
    fn merge(self, child: Self) -> Self {
        Self { cgroup: child.cgroup.or(self.cgroup), root: child.root.or(self.root) }
    }
}

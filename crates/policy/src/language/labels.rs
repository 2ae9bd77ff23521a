//! Section `labels`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::place::At;

/// Section `labels`: which data carry which labels. What comes from the network, from tools or from pages carries
/// `untrusted` unless it is listed in `trusted`; `secret` and `personal` come from what the scanner sees.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Labels {
    /// Hosts (as in `net`) and tools (`server/name`) whose answers are trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted: Option<Vec<At<String>>>,
    /// Data with labels of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<At<LabelRule>>>,
}

/// Gives data a label.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LabelRule {
    /// `secret`, `personal`, `untrusted` or `internal:<name>`.
    pub label: String,
    /// Files that carry it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Hosts whose answers carry it, as in `net`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Tools whose results carry it: `server/name`, which may hold `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
}

impl Merge for Labels {
    fn merge(self, child: Self) -> Self {
        Self { trusted: list(self.trusted, child.trusted), data: list(self.data, child.data) }
    }
}

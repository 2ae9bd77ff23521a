//! Section `env`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, join, list};
use crate::place::At;

/// Section `env`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Env {
    /// Variables that are passed in: `NAME`, or `PREFIX_*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<Vec<At<String>>>,
    /// Variables that are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<BTreeMap<String, At<String>>>,
}

impl Merge for Env {
    fn merge(self, child: Self) -> Self {
        Self {
            pass: list(self.pass, child.pass),
            set: join(self.set, child.set, |mut parent, child| {
                parent.extend(child);
                parent
            }),
        }
    }
}

//! Section `secrets`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, join};
use crate::language::{NameRules, SecretText};
use crate::place::At;

/// Which secrets may be used, and which the box itself holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Secrets {
    /// By their names.
    #[serde(flatten)]
    pub names: NameRules,
    /// Files with a secret in them that only the box sees, kept in memory: by path (`~/…` or `/…`), what stands in each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, At<SecretText>>>,
    /// Variables of the box with a secret in them: what stands in each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, At<SecretText>>>,
}

impl Merge for Secrets {
    fn merge(self, child: Self) -> Self {
        let extend = |mut parent: BTreeMap<String, At<SecretText>>, child| {
            parent.extend(child);
            parent
        };
        Self {
            names: self.names.merge(child.names),
            files: join(self.files, child.files, extend),
            env: join(self.env, child.env, extend),
        }
    }
}

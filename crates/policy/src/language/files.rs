//! Section `files`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::place::At;

/// Section `files`: lists of path patterns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Files {
    /// For paths no pattern matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// May be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Vec<At<String>>>,
    /// Trees of programs and libraries, taken as they are: may be read, and restrictions that match anywhere
    /// (`**/.env`) don't reach into them, so that they need not be searched whenever a box starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programs: Option<Vec<At<String>>>,
    /// May be read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Vec<At<String>>>,
    /// Writing where it is allowed still needs a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<String>>>,
    /// Never written, created or replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protect: Option<Vec<At<String>>>,
    /// Neither read nor written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<String>>>,
}

impl Merge for Files {
    fn merge(self, child: Self) -> Self {
        Self {
            default: child.default.or(self.default),
            read: list(self.read, child.read),
            programs: list(self.programs, child.programs),
            write: list(self.write, child.write),
            ask: list(self.ask, child.ask),
            protect: list(self.protect, child.protect),
            deny: list(self.deny, child.deny),
        }
    }
}

//! Section `patches`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::place::At;
use crate::text_pattern::TextPattern;
use crate::units::Bytes;

/// Section `patches`: what a patch may be, beside what `files` says of every path it touches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Patches {
    /// Largest patch; more is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<At<Bytes>>,
    /// Most files one patch changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_max: Option<At<u64>>,
    /// Most lines it adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additions_max: Option<At<u64>>,
    /// Most lines it removes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletions_max: Option<At<u64>>,
    /// Most lines added for each removed one, or removed for each added one, counted from 50 lines on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_max: Option<At<u64>>,
    /// What becomes of a patch that is over one of these; `ask` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<At<Effect>>,
    /// For patches that can't be understood; `deny` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclear: Option<At<Effect>>,
    /// For names that lead out of where the patch is applied: absolute, `..`, unclear; `deny` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<At<Effect>>,
    /// Expressions no added line may match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forbid: Option<Vec<At<TextPattern>>>,
    /// Expressions over added lines that a person decides over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<TextPattern>>>,
    /// What becomes of changes a reviewer would look at twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<PatchKinds>,
}

/// What becomes of each sort of change; what isn't said is allowed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct PatchKinds {
    /// Content nobody can read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<At<Effect>>,
    /// A file becomes executable, or gets another odd mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<At<Effect>>,
    /// A symbolic link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<At<Effect>>,
    /// Another repository's commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submodule: Option<At<Effect>>,
    /// A file is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<At<Effect>>,
    /// A file is renamed or copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<At<Effect>>,
    /// Files that run by themselves on a developer's machine: hooks, settings of editors and agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<At<Effect>>,
    /// Files that run by themselves on a build server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci: Option<At<Effect>>,
    /// Files that pin what other people's code is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<At<Effect>>,
    /// Files made by a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<At<Effect>>,
    /// Other people's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendored: Option<At<Effect>>,
    /// Tests are removed or switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<At<Effect>>,
}

impl Merge for Patches {
    fn merge(self, child: Self) -> Self {
        Self {
            size: child.size.or(self.size),
            files_max: child.files_max.or(self.files_max),
            additions_max: child.additions_max.or(self.additions_max),
            deletions_max: child.deletions_max.or(self.deletions_max),
            ratio_max: child.ratio_max.or(self.ratio_max),
            over: child.over.or(self.over),
            unclear: child.unclear.or(self.unclear),
            outside: child.outside.or(self.outside),
            forbid: list(self.forbid, child.forbid),
            ask: list(self.ask, child.ask),
            kinds: self.kinds.merge(child.kinds),
        }
    }
}

impl Merge for PatchKinds {
    fn merge(self, child: Self) -> Self {
        Self {
            binary: child.binary.or(self.binary),
            mode: child.mode.or(self.mode),
            link: child.link.or(self.link),
            submodule: child.submodule.or(self.submodule),
            delete: child.delete.or(self.delete),
            rename: child.rename.or(self.rename),
            hook: child.hook.or(self.hook),
            ci: child.ci.or(self.ci),
            lock: child.lock.or(self.lock),
            generated: child.generated.or(self.generated),
            vendored: child.vendored.or(self.vendored),
            tests: child.tests.or(self.tests),
        }
    }
}

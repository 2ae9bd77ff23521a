//! Section `compat`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::Merge;
use crate::place::At;
use crate::text_pattern::TextPattern;

/// Section `compat`: the guards of another program (Clawdstrike 1.1 and 1.2), deciding as they did there. Written by
/// `bartizan policy import --mode compat`, so that decisions can be compared; it holds back and never allows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Compat {
    /// Paths that are neither read nor written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forbidden_path: Option<CompatForbidden>,
    /// The only paths that are read, written and patched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_allowlist: Option<CompatPaths>,
    /// Hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<CompatEgress>,
    /// Secrets in what is written and patched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_leak: Option<CompatSecrets>,
    /// Patches, as lines that begin with `+` and `-`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_integrity: Option<CompatPatches>,
    /// Tools of the server `mcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_tool: Option<CompatTools>,
    /// Orders in retrieved text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_injection: Option<CompatInjection>,
    /// Orders in a person's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jailbreak: Option<CompatJailbreak>,
}

/// Globs: `*` crosses `/`, case counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CompatForbidden {
    /// Forbidden.
    pub patterns: Vec<At<String>>,
    /// Not forbidden after all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<At<String>>,
}

/// Globs as in `forbidden_path`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CompatPaths {
    /// May be read.
    pub read: Vec<At<String>>,
    /// May be written.
    pub write: Vec<At<String>>,
    /// May be patched.
    pub patch: Vec<At<String>>,
}

/// Globs over hosts: `*` crosses dots, case doesn't count, ports are ignored. `block` beats `allow` beats the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CompatEgress {
    /// `allow`, `block`, or `log`, which allows with a warning.
    pub default: CompatDefault,
    /// Reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<At<String>>,
    /// Not reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub block: Vec<At<String>>,
}

/// What becomes of what no list names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum CompatDefault {
    Allow,
    #[default]
    Block,
    Log,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum CompatSeverity {
    Info,
    Warning,
    #[default]
    Error,
    Critical,
}

/// Secrets by their form; from the threshold on they are refused, below they warn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CompatSecrets {
    /// From which severity on.
    pub threshold: CompatSeverity,
    /// Their forms.
    pub patterns: Vec<CompatSecret>,
    /// Paths that aren't looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip_paths: Vec<At<String>>,
}

/// The form of a secret.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CompatSecret {
    /// What it is called.
    pub name: String,
    /// Its form.
    pub pattern: At<TextPattern>,
    /// How bad it is.
    pub severity: CompatSeverity,
    /// It counts only with the checksum of payment cards.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub luhn: bool,
}

/// How much a patch may change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CompatPatches {
    /// Added lines.
    pub additions_max: u64,
    /// Removed lines.
    pub deletions_max: u64,
    /// Added lines for each removed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_max: Option<f64>,
    /// Expressions no added line may match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<At<TextPattern>>,
}

/// Tools by name: size of arguments, then `block`, `confirm` (a warning), `allow` as the only ones, the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CompatTools {
    /// `allow` or `block`.
    pub default: CompatDefault,
    /// Longest arguments.
    pub args_bytes_max: u64,
    /// The only ones, unless empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<At<String>>,
    /// Never.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub block: Vec<At<String>>,
    /// With a warning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<At<String>>,
}

/// How sure a scanner is that text gives orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum CompatLevel {
    Safe,
    Suspicious,
    #[default]
    High,
    Critical,
}

/// From which level on text is warned of and refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CompatInjection {
    /// Warned of.
    pub warn: CompatLevel,
    /// Refused.
    pub block: CompatLevel,
    /// How many bytes of the text are looked at.
    pub bytes_max: u64,
}

/// From which score on, 0 to 100, text is warned of and refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CompatJailbreak {
    /// Warned of.
    pub warn: u8,
    /// Refused.
    pub block: u8,
}

impl Merge for Compat {
    /// A guard the child has is the child's, whole.
    fn merge(self, child: Self) -> Self {
        Self {
            forbidden_path: child.forbidden_path.or(self.forbidden_path),
            path_allowlist: child.path_allowlist.or(self.path_allowlist),
            egress: child.egress.or(self.egress),
            secret_leak: child.secret_leak.or(self.secret_leak),
            patch_integrity: child.patch_integrity.or(self.patch_integrity),
            mcp_tool: child.mcp_tool.or(self.mcp_tool),
            prompt_injection: child.prompt_injection.or(self.prompt_injection),
            jailbreak: child.jailbreak.or(self.jailbreak),
        }
    }
}

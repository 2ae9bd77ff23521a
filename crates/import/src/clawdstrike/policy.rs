//! The policy file as it may be written, every key known and optional.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Versions that are read.
pub(crate) const VERSIONS: &[&str] = &["1.1.0", "1.2.0", "1.3.0"];

/// A policy file, `extends` not followed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) version: Option<String>,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) extends: Option<String>,
    #[serde(default)]
    pub(crate) merge_strategy: Strategy,
    #[serde(default)]
    pub(crate) guards: Guards,
    #[serde(default)]
    pub(crate) custom_guards: Vec<Custom>,
    #[serde(default)]
    pub(crate) settings: Settings,
    pub(crate) posture: Option<Posture>,
}

/// How a policy and what it extends become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    #[default]
    DeepMerge,
    Merge,
    Replace,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guards {
    pub(crate) forbidden_path: Option<ForbiddenPath>,
    pub(crate) path_allowlist: Option<PathAllowlist>,
    pub(crate) egress_allowlist: Option<Egress>,
    pub(crate) secret_leak: Option<SecretLeak>,
    pub(crate) patch_integrity: Option<PatchIntegrity>,
    pub(crate) mcp_tool: Option<McpTool>,
    pub(crate) prompt_injection: Option<PromptInjection>,
    pub(crate) jailbreak: Option<Jailbreak>,
    #[serde(default)]
    pub(crate) custom: Vec<Value>,
    pub(crate) shell_command: Option<ShellCommand>,
    pub(crate) computer_use: Option<ComputerUse>,
    pub(crate) remote_desktop_side_channel: Option<SideChannel>,
    pub(crate) input_injection_capability: Option<InputInjection>,
    pub(crate) spider_sense: Option<Value>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForbiddenPath {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) patterns: Vec<String>,
    #[serde(default)]
    pub(crate) exceptions: Vec<String>,
    #[serde(default)]
    pub(crate) additional_patterns: Vec<String>,
    #[serde(default)]
    pub(crate) remove_patterns: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathAllowlist {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) file_access_allow: Vec<String>,
    #[serde(default)]
    pub(crate) file_write_allow: Vec<String>,
    #[serde(default)]
    pub(crate) patch_allow: Vec<String>,
}

/// What becomes of destinations no list names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EgressDefault {
    Allow,
    #[default]
    #[serde(alias = "deny")]
    Block,
    Log,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Egress {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// `None` when the key is absent: an empty list that is written down means something to its author.
    pub(crate) allow: Option<Vec<String>>,
    pub(crate) block: Option<Vec<String>>,
    pub(crate) default_action: Option<EgressDefault>,
    #[serde(default)]
    pub(crate) additional_allow: Vec<String>,
    #[serde(default)]
    pub(crate) remove_allow: Vec<String>,
    #[serde(default)]
    pub(crate) additional_block: Vec<String>,
    #[serde(default)]
    pub(crate) remove_block: Vec<String>,
}

/// How bad a match is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    #[serde(alias = "low")]
    Info,
    #[serde(alias = "medium", alias = "warn")]
    Warning,
    #[serde(alias = "high")]
    Error,
    #[default]
    Critical,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretPattern {
    pub(crate) name: String,
    pub(crate) pattern: String,
    #[serde(default)]
    pub(crate) severity: Severity,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) luhn_check: bool,
    /// How a match is shown; the ledger never shows one.
    #[serde(default)]
    pub(crate) masking: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretLeak {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default = "yes")]
    pub(crate) redact: bool,
    pub(crate) severity_threshold: Option<Severity>,
    pub(crate) patterns: Option<Vec<SecretPattern>>,
    #[serde(default)]
    pub(crate) additional_patterns: Vec<SecretPattern>,
    #[serde(default)]
    pub(crate) remove_patterns: Vec<String>,
    #[serde(default)]
    pub(crate) skip_paths: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatchIntegrity {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    pub(crate) max_additions: Option<u64>,
    pub(crate) max_deletions: Option<u64>,
    pub(crate) forbidden_patterns: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) require_balance: bool,
    pub(crate) max_imbalance_ratio: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ToolDefault {
    #[default]
    Allow,
    #[serde(alias = "deny")]
    Block,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpTool {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    pub(crate) allow: Option<Vec<String>>,
    #[serde(alias = "deny")]
    pub(crate) block: Option<Vec<String>>,
    pub(crate) require_confirmation: Option<Vec<String>>,
    pub(crate) default_action: Option<ToolDefault>,
    pub(crate) max_args_size: Option<u64>,
    #[serde(default)]
    pub(crate) additional_allow: Vec<String>,
    #[serde(default)]
    pub(crate) remove_allow: Vec<String>,
    #[serde(default)]
    pub(crate) additional_block: Vec<String>,
    #[serde(default)]
    pub(crate) remove_block: Vec<String>,
}

/// How sure a detector of injected instructions is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Safe,
    #[serde(alias = "low")]
    Suspicious,
    #[serde(alias = "medium")]
    High,
    Critical,
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Suspicious => "suspicious",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptInjection {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    pub(crate) warn_at_or_above: Option<Level>,
    pub(crate) block_at_or_above: Option<Level>,
    pub(crate) max_scan_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jailbreak {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) detector: JailbreakDetector,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JailbreakDetector {
    pub(crate) layers: Option<Value>,
    pub(crate) linear_model: Option<Value>,
    pub(crate) block_threshold: Option<u8>,
    pub(crate) warn_threshold: Option<u8>,
    pub(crate) max_input_bytes: Option<u64>,
    pub(crate) session_aggregation: Option<bool>,
    pub(crate) session_max_entries: Option<u64>,
    pub(crate) session_ttl_seconds: Option<u64>,
    pub(crate) session_half_life_seconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShellCommand {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    pub(crate) forbidden_patterns: Option<Vec<String>>,
    #[serde(default = "yes")]
    pub(crate) enforce_forbidden_paths: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComputerUse {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) allowed_actions: Vec<String>,
    pub(crate) mode: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SideChannel {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default = "yes")]
    pub(crate) clipboard_enabled: bool,
    #[serde(default = "yes")]
    pub(crate) file_transfer_enabled: bool,
    #[serde(default = "yes")]
    pub(crate) session_share_enabled: bool,
    #[serde(default = "yes")]
    pub(crate) audio_enabled: bool,
    #[serde(default = "yes")]
    pub(crate) drive_mapping_enabled: bool,
    #[serde(default = "yes")]
    pub(crate) printing_enabled: bool,
    pub(crate) max_transfer_size_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputInjection {
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) allowed_input_types: Vec<String>,
    #[serde(default)]
    pub(crate) require_postcondition_probe: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Custom {
    pub(crate) id: String,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) config: Value,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) fail_fast: Option<bool>,
    pub(crate) verbose_logging: Option<bool>,
    pub(crate) session_timeout_secs: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Posture {
    #[serde(default)]
    pub(crate) initial: String,
    #[serde(default)]
    pub(crate) states: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) transitions: Vec<Value>,
}

//! The lists of a resolved policy as they really hold, with the defaults of guards that aren't mentioned.

use super::policy::*;
use super::resolve::{
    Resolved, default_egress, default_forbidden_path, default_patch_patterns, default_secret_patterns,
    default_skip_paths, default_tools,
};

/// What `secret_leak` looks for.
pub(crate) struct Secrets {
    pub(crate) patterns: Vec<SecretPattern>,
    pub(crate) skip_paths: Vec<String>,
    pub(crate) threshold: Severity,
}

/// What `patch_integrity` holds a patch to.
pub(crate) struct Patches {
    pub(crate) additions_max: u64,
    pub(crate) deletions_max: u64,
    pub(crate) forbidden: Vec<String>,
    /// Set when balance is required.
    pub(crate) ratio_max: Option<f64>,
}

impl Resolved {
    fn guards(&self) -> &Guards {
        &self.policy.guards
    }

    /// Patterns and exceptions; `None` when the guard is off.
    pub(crate) fn forbidden(&self) -> Option<ForbiddenPath> {
        let mut guard = self.guards().forbidden_path.clone().unwrap_or_else(default_forbidden_path);
        for pattern in std::mem::take(&mut guard.additional_patterns) {
            if !guard.patterns.contains(&pattern) {
                guard.patterns.push(pattern);
            }
        }
        let removed = std::mem::take(&mut guard.remove_patterns);
        guard.patterns.retain(|pattern| !removed.contains(pattern));
        guard.enabled.then_some(guard)
    }

    /// Read, write and patch lists; `None` when the guard is off or absent.
    pub(crate) fn path_lists(&self) -> Option<[&[String]; 3]> {
        let guard = self.guards().path_allowlist.as_ref().filter(|guard| guard.enabled)?;
        let patch = if guard.patch_allow.is_empty() { &guard.file_write_allow } else { &guard.patch_allow };
        Some([&guard.file_access_allow, &guard.file_write_allow, patch])
    }

    pub(crate) fn egress(&self) -> Option<Egress> {
        Some(self.guards().egress_allowlist.clone().unwrap_or_else(default_egress)).filter(|guard| guard.enabled)
    }

    pub(crate) fn tools(&self) -> Option<McpTool> {
        Some(self.guards().mcp_tool.clone().unwrap_or_else(default_tools)).filter(|guard| guard.enabled)
    }

    pub(crate) fn secrets(&self) -> Option<Secrets> {
        let Some(guard) = &self.guards().secret_leak else {
            return Some(Secrets {
                patterns: default_secret_patterns(),
                skip_paths: default_skip_paths(),
                threshold: Severity::Error,
            });
        };
        let mut patterns = guard.patterns.clone().unwrap_or_else(default_secret_patterns);
        for pattern in &guard.additional_patterns {
            if !patterns.iter().any(|known| known.name == pattern.name) {
                patterns.push(pattern.clone());
            }
        }
        patterns.retain(|pattern| !guard.remove_patterns.contains(&pattern.name));
        guard.enabled.then(|| Secrets {
            patterns,
            skip_paths: guard.skip_paths.clone(),
            threshold: guard.severity_threshold.unwrap_or(Severity::Error),
        })
    }

    pub(crate) fn patches(&self) -> Option<Patches> {
        let Some(guard) = &self.guards().patch_integrity else {
            return Some(Patches {
                additions_max: 1000,
                deletions_max: 500,
                forbidden: default_patch_patterns(),
                ratio_max: None,
            });
        };
        guard.enabled.then(|| Patches {
            additions_max: guard.max_additions.unwrap_or(1000),
            deletions_max: guard.max_deletions.unwrap_or(500),
            forbidden: guard.forbidden_patterns.clone().unwrap_or_else(default_patch_patterns),
            ratio_max: guard.require_balance.then(|| guard.max_imbalance_ratio.unwrap_or(10.0)),
        })
    }

    /// From which level it warns and blocks, and how many bytes it looks at.
    pub(crate) fn injection(&self) -> Option<(Level, Level, u64)> {
        let guard = self.guards().prompt_injection.as_ref();
        guard.is_none_or(|guard| guard.enabled).then(|| {
            (
                guard.and_then(|guard| guard.warn_at_or_above).unwrap_or(Level::Suspicious),
                guard.and_then(|guard| guard.block_at_or_above).unwrap_or(Level::High),
                guard.and_then(|guard| guard.max_scan_bytes).unwrap_or(200_000),
            )
        })
    }

    /// From which score it warns and blocks.
    pub(crate) fn jailbreak(&self) -> Option<(u8, u8)> {
        let guard = self.guards().jailbreak.as_ref();
        guard.is_none_or(|guard| guard.enabled).then(|| {
            (
                guard.and_then(|guard| guard.detector.warn_threshold).unwrap_or(30),
                guard.and_then(|guard| guard.detector.block_threshold).unwrap_or(70),
            )
        })
    }
}

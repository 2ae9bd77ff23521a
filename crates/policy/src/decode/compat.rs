//! Reads section `compat`.

use crate::guards::compat_glob_problem;
use crate::language::*;
use crate::place::{At, quoted};
use crate::shapes::{Decoder, Keys};
use crate::yaml::Node;

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    (
        "compat",
        &[
            "forbidden_path",
            "path_allowlist",
            "egress",
            "secret_leak",
            "patch_integrity",
            "mcp_tool",
            "prompt_injection",
            "jailbreak",
        ],
    ),
    ("compat forbidden_path", &["patterns", "exceptions"]),
    ("compat path_allowlist", &["read", "write", "patch"]),
    ("compat egress", &["default", "allow", "block"]),
    ("compat secret_leak", &["threshold", "patterns", "skip_paths"]),
    ("a compat secret", &["name", "pattern", "severity", "luhn"]),
    ("compat patch_integrity", &["additions_max", "deletions_max", "ratio_max", "forbidden"]),
    ("compat mcp_tool", &["default", "args_bytes_max", "allow", "block", "confirm"]),
    ("compat prompt_injection", &["warn", "block", "bytes_max"]),
    ("compat jailbreak", &["warn", "block"]),
];

const SEVERITIES: &[(&str, CompatSeverity)] = &[
    ("info", CompatSeverity::Info),
    ("warning", CompatSeverity::Warning),
    ("error", CompatSeverity::Error),
    ("critical", CompatSeverity::Critical),
];
const LEVELS: &[(&str, CompatLevel)] = &[
    ("safe", CompatLevel::Safe),
    ("suspicious", CompatLevel::Suspicious),
    ("high", CompatLevel::High),
    ("critical", CompatLevel::Critical),
];

impl Decoder {
    pub(crate) fn compat(&mut self, node: &Node) -> Compat {
        let mut compat = Compat::default();
        for (key, node) in self.mapping(node, "compat") {
            match key.value.as_str() {
                "forbidden_path" => compat.forbidden_path = Some(self.compat_forbidden(node)),
                "path_allowlist" => compat.path_allowlist = Some(self.compat_paths(node)),
                "egress" => compat.egress = Some(self.compat_egress(node)),
                "secret_leak" => compat.secret_leak = Some(self.compat_secrets(node)),
                "patch_integrity" => compat.patch_integrity = Some(self.compat_patches(node)),
                "mcp_tool" => compat.mcp_tool = Some(self.compat_tools(node)),
                "prompt_injection" => compat.prompt_injection = Some(self.compat_injection(node)),
                "jailbreak" => compat.jailbreak = Some(self.compat_jailbreak(node)),
                _ => {}
            }
        }
        compat
    }

    fn compat_forbidden(&mut self, node: &Node) -> CompatForbidden {
        let mut guard = CompatForbidden::default();
        for (key, node) in self.mapping(node, "compat forbidden_path") {
            let globs = self.globs(node);
            match key.value.as_str() {
                "patterns" => guard.patterns = globs,
                "exceptions" => guard.exceptions = globs,
                _ => {}
            }
        }
        guard
    }

    fn compat_paths(&mut self, node: &Node) -> CompatPaths {
        let mut guard = CompatPaths::default();
        for (key, node) in self.mapping(node, "compat path_allowlist") {
            let globs = self.globs(node);
            match key.value.as_str() {
                "read" => guard.read = globs,
                "write" => guard.write = globs,
                "patch" => guard.patch = globs,
                _ => {}
            }
        }
        guard
    }

    fn compat_egress(&mut self, node: &Node) -> CompatEgress {
        let mut guard = CompatEgress::default();
        for (key, node) in self.mapping(node, "compat egress") {
            match key.value.as_str() {
                "default" => guard.default = self.compat_default(node),
                "allow" => guard.allow = self.globs(node),
                "block" => guard.block = self.globs(node),
                _ => {}
            }
        }
        guard
    }

    fn compat_default(&mut self, node: &Node) -> CompatDefault {
        let choices = [("allow", CompatDefault::Allow), ("block", CompatDefault::Block), ("log", CompatDefault::Log)];
        self.choice(node, &choices).map_or(CompatDefault::Block, |default| default.value)
    }

    fn compat_secrets(&mut self, node: &Node) -> CompatSecrets {
        let mut guard = CompatSecrets::default();
        for (key, node) in self.mapping(node, "compat secret_leak") {
            match key.value.as_str() {
                "threshold" => {
                    guard.threshold = self.choice(node, SEVERITIES).map_or(CompatSeverity::Info, |at| at.value)
                }
                "patterns" => guard.patterns = self.list(node, Self::compat_secret).unwrap_or_default(),
                "skip_paths" => guard.skip_paths = self.globs(node),
                _ => {}
            }
        }
        guard
    }

    fn compat_secret(&mut self, node: &Node) -> Option<CompatSecret> {
        let (mut name, mut pattern, mut severity, mut luhn) = (None, None, CompatSeverity::Critical, false);
        for (key, node) in self.mapping(node, "a compat secret") {
            match key.value.as_str() {
                "name" => name = self.text(node),
                "pattern" => pattern = self.text_pattern(node),
                "severity" => severity = self.choice(node, SEVERITIES).map_or(CompatSeverity::Critical, |at| at.value),
                "luhn" => luhn = self.truth(node).unwrap_or_default(),
                _ => {}
            }
        }
        let (Some(name), Some(pattern)) = (name, pattern) else {
            self.missing(node, "name` and `pattern", "a compat secret");
            return None;
        };
        Some(CompatSecret { name: name.value, pattern, severity, luhn })
    }

    fn compat_patches(&mut self, node: &Node) -> CompatPatches {
        let mut guard = CompatPatches { additions_max: 1000, deletions_max: 500, ..CompatPatches::default() };
        for (key, node) in self.mapping(node, "compat patch_integrity") {
            match key.value.as_str() {
                "additions_max" => guard.additions_max = self.count(node).map_or(0, |at| at.value),
                "deletions_max" => guard.deletions_max = self.count(node).map_or(0, |at| at.value),
                "ratio_max" => guard.ratio_max = self.unit(node, ratio).map(|at| at.value),
                "forbidden" => guard.forbidden = self.list(node, Self::text_pattern).unwrap_or_default(),
                _ => {}
            }
        }
        guard
    }

    fn compat_tools(&mut self, node: &Node) -> CompatTools {
        let mut guard =
            CompatTools { default: CompatDefault::Allow, args_bytes_max: 1024 * 1024, ..CompatTools::default() };
        for (key, node) in self.mapping(node, "compat mcp_tool") {
            match key.value.as_str() {
                "default" => guard.default = self.compat_default(node),
                "args_bytes_max" => guard.args_bytes_max = self.count(node).map_or(0, |at| at.value),
                "allow" => guard.allow = self.list(node, Self::text).unwrap_or_default(),
                "block" => guard.block = self.list(node, Self::text).unwrap_or_default(),
                "confirm" => guard.confirm = self.list(node, Self::text).unwrap_or_default(),
                _ => {}
            }
        }
        guard
    }

    fn compat_injection(&mut self, node: &Node) -> CompatInjection {
        let mut guard = CompatInjection { warn: CompatLevel::Suspicious, block: CompatLevel::High, bytes_max: 200_000 };
        for (key, node) in self.mapping(node, "compat prompt_injection") {
            match key.value.as_str() {
                "warn" => guard.warn = self.choice(node, LEVELS).map_or(CompatLevel::Safe, |at| at.value),
                "block" => guard.block = self.choice(node, LEVELS).map_or(CompatLevel::Safe, |at| at.value),
                "bytes_max" => guard.bytes_max = self.count(node).map_or(u64::MAX, |at| at.value),
                _ => {}
            }
        }
        guard
    }

    fn compat_jailbreak(&mut self, node: &Node) -> CompatJailbreak {
        let mut guard = CompatJailbreak { warn: 30, block: 70 };
        for (key, node) in self.mapping(node, "compat jailbreak") {
            let score = self.score(node).map_or(0, |at| at.value);
            match key.value.as_str() {
                "warn" => guard.warn = score,
                "block" => guard.block = score,
                _ => {}
            }
        }
        guard
    }

    fn globs(&mut self, node: &Node) -> Vec<At<String>> {
        let globs = self.list(node, Self::text).unwrap_or_default();
        for glob in &globs {
            if let Some(problem) = compat_glob_problem(&glob.value) {
                self.errors.add(&glob.place, format!("{}: {problem}", quoted(&glob.value)));
            }
        }
        globs
    }
}

/// A ratio as people write it.
fn ratio(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ratio: &f64| ratio.is_finite() && *ratio >= 0.0)
        .ok_or_else(|| "must be a number from 0 on".into())
}

//! The rulesets and personas that come with Bartizan: ordinary policies, compiled in as text.

use crate::load::Source;

/// Names of the built-ins: rulesets first, then personas.
pub const NAMES: [&str; 8] =
    ["strict", "standard", "permissive", "coding_assistant", "code_janitor", "sre", "secops", "data_architect"];

/// Names of the personas among them.
pub const PERSONAS: [&str; 5] = ["coding_assistant", "code_janitor", "sre", "secops", "data_architect"];

/// Names of the rule sets for one service each: `net` rules to extend beside another ruleset.
pub const SERVICES: [&str; 9] =
    ["github", "gitlab", "npm", "pypi", "crates_io", "hugging_face", "openai", "anthropic", "slack"];

/// Names of the built-in Rego modules.
pub const REGO_NAMES: [&str; 3] = ["strict", "standard", "permissive"];

/// The text of a built-in Rego module.
#[must_use]
pub fn rego_text(name: &str) -> Option<&'static str> {
    Some(match name {
        "strict" => include_str!("../../../policies/rego/strict.rego"),
        "standard" => include_str!("../../../policies/rego/standard.rego"),
        "permissive" => include_str!("../../../policies/rego/permissive.rego"),
        _ => return None,
    })
}

/// A built-in Rego module as a source.
#[must_use]
pub(crate) fn rego_source(name: &str) -> Option<Source> {
    rego_text(name).map(|text| Source::new(format!("{SOURCE_PREFIX}{name}.rego"), text))
}

/// Names of the built-in overlays: policies that only narrow another.
pub const OVERLAYS: [&str; 6] = ["soc2", "hipaa", "gdpr", "pci", "eu", "us"];

/// The text of a built-in overlay.
#[must_use]
pub fn overlay_text(name: &str) -> Option<&'static str> {
    Some(match name {
        "soc2" => include_str!("../../../policies/overlays/soc2.yaml"),
        "hipaa" => include_str!("../../../policies/overlays/hipaa.yaml"),
        "gdpr" => include_str!("../../../policies/overlays/gdpr.yaml"),
        "pci" => include_str!("../../../policies/overlays/pci.yaml"),
        "eu" => include_str!("../../../policies/overlays/eu.yaml"),
        "us" => include_str!("../../../policies/overlays/us.yaml"),
        _ => return None,
    })
}

/// A built-in overlay as a source.
#[must_use]
pub fn overlay_source(name: &str) -> Option<Source> {
    overlay_text(name).map(|text| Source::new(format!("{SOURCE_PREFIX}{name}"), text))
}

/// How the names of built-ins start in messages and verdicts; no file's name does.
pub const SOURCE_PREFIX: &str = "builtin:";

/// The text of a built-in. `data` is another name of `data_architect`.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    Some(match name {
        "strict" => include_str!("../../../policies/strict.yaml"),
        "standard" => include_str!("../../../policies/standard.yaml"),
        "permissive" => include_str!("../../../policies/permissive.yaml"),
        "coding_assistant" => include_str!("../../../personas/coding_assistant.yaml"),
        "sre" => include_str!("../../../personas/sre.yaml"),
        "secops" => include_str!("../../../personas/secops.yaml"),
        "code_janitor" => include_str!("../../../personas/code_janitor.yaml"),
        "data_architect" | "data" => include_str!("../../../personas/data_architect.yaml"),
        "github" => include_str!("../../../policies/services/github.yaml"),
        "gitlab" => include_str!("../../../policies/services/gitlab.yaml"),
        "npm" => include_str!("../../../policies/services/npm.yaml"),
        "pypi" => include_str!("../../../policies/services/pypi.yaml"),
        "crates_io" => include_str!("../../../policies/services/crates_io.yaml"),
        "hugging_face" => include_str!("../../../policies/services/hugging_face.yaml"),
        "openai" => include_str!("../../../policies/services/openai.yaml"),
        "anthropic" => include_str!("../../../policies/services/anthropic.yaml"),
        "slack" => include_str!("../../../policies/services/slack.yaml"),
        _ => return None,
    })
}

/// A built-in as a source, to load it with its own tests.
#[must_use]
pub fn source(name: &str) -> Option<Source> {
    text(name).map(|text| Source::new(format!("{SOURCE_PREFIX}{name}"), text))
}

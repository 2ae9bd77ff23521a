//! Key `flow`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::units::Span;

/// A rule over what may follow. It only holds back: nothing is allowed by it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FlowRule {
    /// When it holds; all that is said must be so.
    pub when: When,
    /// Then a person decides over these deeds: `exec`, `http.write`, `tool github/*`, `outgoing`, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<String>,
    /// Then these deeds are refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// Except to these hosts, recipients, tools, programs or paths, which may hold `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

/// When a flow rule holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct When {
    /// Data with one of these labels was read in this session.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::language::one_or_many")]
    pub read: Vec<String>,
    /// These deeds were done in this session, one after the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::language::one_or_many")]
    pub after: Vec<String>,
    /// The last of them no longer ago than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Where the deed's host, recipient, path or another argument was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<Provenance>,
}

/// Where an argument comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Named in untrusted content and nowhere in the principal's own instructions or trusted configuration.
    Untrusted,
    /// Named neither in the principal's own instructions nor in trusted configuration.
    Unsaid,
}

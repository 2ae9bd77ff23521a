//! Section `content`.

use bartizan_model::{Effect, SightingClass};
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::{Merge, list};
use crate::place::At;
use crate::text_pattern::TextPattern;

/// What becomes of content with something in it. Ordered: the later is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentEffect {
    /// It may leave as it is.
    Allow,
    /// It may leave without what was seen in it. What can't be taken out makes it denied.
    Redact,
    /// A person decides.
    Ask,
    /// It must not leave.
    Deny,
}

impl ContentEffect {
    /// The word used everywhere: `allow`, `redact`, `ask`, `deny`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Redact => "redact",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }

    /// What this means for the deed as a whole.
    #[must_use]
    pub fn effect(self) -> Effect {
        match self {
            Self::Allow | Self::Redact => Effect::Allow,
            Self::Ask => Effect::Ask,
            Self::Deny => Effect::Deny,
        }
    }
}

/// Section `content`: secrets and personal data in what leaves. A sighting that a rule matches is decided by the
/// strictest such rule, any other by its class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct ContentSection {
    /// For secrets no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<At<ContentEffect>>,
    /// For personal data no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<At<ContentEffect>>,
    /// What becomes of content by its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<ContentClasses>,
    /// What must not leave by its form, beside what the scanner knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patterns: Option<Vec<At<ContentPattern>>>,
    /// How sure the scanner must be, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<At<u8>>,
    /// May leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<ContentRule>>>,
    /// Is taken out, and the rest may leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redact: Option<Vec<At<ContentRule>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<ContentRule>>>,
    /// Never leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<ContentRule>>>,
}

/// Something of the policy's own that must not leave, by its form.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ContentPattern {
    /// What it is called.
    pub name: String,
    /// Its form, looked for in the bytes as they are.
    pub pattern: TextPattern,
    /// What becomes of it; `deny` when absent.
    #[schemars(default = "deny")]
    pub effect: Effect,
}

fn deny() -> Effect {
    Effect::Deny
}

/// What becomes of content by how confidential the personal data in it makes it, whatever single kinds say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct ContentClasses {
    /// Names of organisations and places, dates, web addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal: Option<At<Effect>>,
    /// What names or reaches a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidential: Option<At<Effect>>,
    /// What can be used to take a person's money or identity; what isn't known counts as this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restricted: Option<At<Effect>>,
}

impl Merge for ContentClasses {
    fn merge(self, child: Self) -> Self {
        Self {
            internal: child.internal.or(self.internal),
            confidential: child.confidential.or(self.confidential),
            restricted: child.restricted.or(self.restricted),
        }
    }
}

/// A rule over what is seen, and where it would go.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ContentRule {
    /// `secret` or `personal`; both when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<SightingClass>,
    /// The kind, which may hold `*`, e.g. `github-token`; every kind when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where it would go, which may hold `*`: `file`, `http`, `model`, `message`, `tool`, `browser`, `computer`,
    /// `clipboard`, or a host, a path, `server/tool`, `provider/model`, `channel/recipient`; everywhere when absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::language::one_or_many")]
    pub to: Vec<String>,
}

impl Merge for ContentSection {
    fn merge(self, child: Self) -> Self {
        Self {
            secret: child.secret.or(self.secret),
            personal: child.personal.or(self.personal),
            classes: self.classes.merge(child.classes),
            patterns: list(self.patterns, child.patterns),
            score: child.score.or(self.score),
            allow: list(self.allow, child.allow),
            redact: list(self.redact, child.redact),
            ask: list(self.ask, child.ask),
            deny: list(self.deny, child.deny),
        }
    }
}

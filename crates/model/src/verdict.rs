//! What was decided and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canonical::Digest;
use crate::sighting::{Part, Sighting, SightingClass};

/// The three answers. Ordered: `deny` beats `ask` beats `allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It may happen.
    Allow,
    /// A person decides.
    Ask,
    /// It must not happen.
    Deny,
}

impl Effect {
    /// The word used everywhere: `allow`, `ask`, `deny`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// How much harm an action could do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Risk {
    Low,
    Medium,
    High,
    Critical,
}

/// The rule that decided, so that a person can find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleRef {
    /// Dotted place in the policy, e.g. `net.allow[2]` or `net.default`.
    pub rule: String,
    /// The rule's own text, e.g. `api.github.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Where it stands: `file:line`, or the built-in's name and line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// One guard's observation about an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The guard that speaks.
    pub guard: String,
    /// What it saw, in a sentence for a person.
    pub message: String,
    /// What this alone would decide; absent for mere observations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// The rule it follows, e.g. `flow[0]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How much harm it points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
}

/// What must hold while an allowed action is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "obligation")]
#[non_exhaustive]
pub enum Obligation {
    /// The connection's HTTP requests are decided one by one; bytes that aren't plain HTTP don't pass.
    InspectHttp,
    /// Dial exactly this address; the name is not looked up. The rule's author vouches for a private one.
    DialAddress {
        /// The address.
        address: std::net::IpAddr,
    },
    /// The name may resolve to a private or loopback address.
    AllowPrivate,
    /// Everything of this kind is taken out of this part before it is carried out. Who can't do that must not carry
    /// it out at all.
    Redact {
        /// The rule that wants it, e.g. `content.secret`.
        rule: String,
        /// What sort of thing.
        class: SightingClass,
        /// Which of its kinds, e.g. `github-token`, `email`.
        kind: String,
        /// The part of the deed it stands in.
        part: Part,
    },
    /// No more than this passes; what is longer is cut off.
    LimitBytes {
        /// Most bytes of the request's body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<u64>,
        /// Most bytes of the answer's body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response: Option<u64>,
    },
    /// The host speaks this protocol of language models: what is asked of models there is an action of its own.
    ReadLlm {
        /// Which protocol.
        api: LlmApi,
    },
    /// The calls of tools in the model's answer are decided before the agent sees them.
    DecideToolCalls,
    /// The server's certificate must hold one of these keys: SHA-256 of its SubjectPublicKeyInfo, in base64. Plain
    /// connections don't pass.
    PinKeys {
        /// The keys.
        sha256: Vec<String>,
    },
    /// The secret's value takes its placeholder's place there.
    Inject {
        /// The secret's name.
        name: String,
        /// Where, as in [`crate::SecretUse::at`].
        at: String,
    },
}

/// A protocol in which language models are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LlmApi {
    /// OpenAI's: chat completions and responses, as many servers speak it.
    Openai,
    /// Anthropic's messages.
    Anthropic,
    /// Ollama's own, and OpenAI's beside it.
    Ollama,
}

impl LlmApi {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Openai, Self::Anthropic, Self::Ollama];

    /// The word used everywhere: `openai`, `anthropic`, `ollama`. It is the provider in `models` and the server of the
    /// tools a model calls.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
        }
    }

    /// The protocol of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.as_str() == name)
    }
}

/// A decision over one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The answer.
    pub effect: Effect,
    /// How much harm it could do.
    pub risk: Risk,
    /// The rule that decided.
    pub rule: RuleRef,
    /// Why, in a sentence for a person.
    pub reason: String,
    /// What guards saw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What must hold while it is carried out. Who doesn't know one of them must not carry it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
    /// Digest of the policy that decided.
    pub policy: Digest,
    /// The signed bundle the policy came in, where it came in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleRef>,
}

impl Verdict {
    /// Whether something is to be taken out of the content first.
    #[must_use]
    pub fn redacts(&self) -> bool {
        self.obligations.iter().any(|obligation| matches!(obligation, Obligation::Redact { .. }))
    }

    /// Whether this is to be taken out of what it was seen in.
    #[must_use]
    pub fn takes_out(&self, sighting: &Sighting) -> bool {
        self.obligations.iter().any(|obligation| {
            matches!(obligation, Obligation::Redact { class, kind, part, .. }
                if *class == sighting.class && *kind == sighting.kind && *part == sighting.part)
        })
    }
}

/// A policy bundle: its name, version and the digest of its signed statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of the signed statement.
    pub digest: Digest,
}

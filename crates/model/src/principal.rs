//! Who asks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kinds of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PrincipalKind {
    /// A person at a terminal.
    Human,
    /// A program that acts for a person.
    Agent,
    /// A program that acts for itself.
    Service,
}

/// Who asks for an action, and how we know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// What sort of principal it is.
    pub kind: PrincipalKind,
    /// Its name, unique within this home: the run's name, the agent's registered name, the account.
    pub name: String,
    /// The persona it acts under, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persona: Option<String>,
    /// The local account on whose behalf it runs (`alice`, `uid:1000`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// How the identity was established: `box` (the kernel says which box it came from), `local_account`, `stdin`.
    pub proof: String,
}

impl Principal {
    /// An agent whose actions are attributed by the box they come from.
    #[must_use]
    pub fn boxed_agent(name: impl Into<String>, persona: Option<String>, account: impl Into<String>) -> Self {
        Self {
            kind: PrincipalKind::Agent,
            name: name.into(),
            persona,
            account: Some(account.into()),
            proof: "box".into(),
        }
    }

    /// The person at this machine, known by the operating system's account.
    #[must_use]
    pub fn local_human(account: impl Into<String>) -> Self {
        let account = account.into();
        Self {
            kind: PrincipalKind::Human,
            name: account.clone(),
            persona: None,
            account: Some(account),
            proof: "local_account".into(),
        }
    }
}

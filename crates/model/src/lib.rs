//! The nouns of Bartizan: what an agent does ([`Action`]), who asks ([`Principal`]), what was decided
//! ([`Verdict`]) and what the ledger keeps ([`Record`]). One versioned model for every language;
//! everything here serialises to RFC 8785 canonical JSON. This crate does no I/O, decides nothing and
//! never panics on input. Start with [`Action`], then [`Record`].

pub mod action;
pub mod canonical;
pub mod content;
pub mod id;
pub mod need;
mod plain;
pub mod principal;
pub mod receipt;
pub mod record;
pub mod redaction;
pub mod scope;
pub mod sighting;
pub mod text;
pub mod verdict;

pub use action::{Action, ActionKind, Deed, Origin, Process, RequestHeader, SecretUse};
pub use canonical::{CanonicalError, Digest};
pub use content::{CONTENT_BYTES_MAX, Content};
pub use id::{ActionId, RunId, SessionId};
pub use need::{BodyNeed, RequestNeeds};
pub use principal::{Principal, PrincipalKind};
pub use record::{Approval, ApprovalReach, Outcome, OutcomeStatus, Record, Refused, SealedReceipt};
pub use redaction::RedactError;
pub use scope::{Scope, ScopeError};
pub use sighting::{Part, Sighting, SightingClass};
pub use verdict::{BundleRef, Effect, Finding, LlmApi, Obligation, Risk, RuleRef, Verdict};

/// Version of the model; only ever extended, never changed in place.
pub const MODEL_VERSION: u32 = 1;

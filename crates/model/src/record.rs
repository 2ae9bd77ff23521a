//! What the ledger keeps: the payload of one entry.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::action::Action;
use crate::canonical::Digest;
use crate::id::{ActionId, RunId};
use crate::verdict::Verdict;

/// How far a person's answer reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalReach {
    /// This one action.
    Once,
    /// The same action again in this run.
    Run,
    /// The same action under the same policy, until this moment.
    Until(#[schemars(with = "String")] Timestamp),
}

/// A person's yes, bound to the exact action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// Digest of the approved action, see [`Action::digest`].
    pub action_digest: Digest,
    /// Who answered.
    pub by: String,
    /// Where: `terminal`, `cli`, `standing`.
    pub via: String,
    /// How far it reaches.
    pub reach: ApprovalReach,
    /// When it was given.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    /// It was done.
    Done,
    /// It was tried and failed.
    Failed,
    /// It was stopped while under way: a limit, a tightened policy, a person.
    Stopped,
    /// Nobody knows: the recorder died before it could say.
    Unknown,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// How it ended.
    pub status: OutcomeStatus,
    /// A sentence for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Figures by name with the unit last: `sent_bytes`, `received_bytes`, `exit_status`, `duration_ms`, `dropped_packets`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, i64>,
}

impl Outcome {
    /// An outcome with nothing more to say.
    #[must_use]
    pub fn new(status: OutcomeStatus) -> Self {
        Self { status, detail: None, figures: BTreeMap::new() }
    }

    /// The same with a sentence for a person.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with one more figure.
    #[must_use]
    pub fn with_figure(mut self, name: &str, value: i64) -> Self {
        self.figures.insert(name.to_owned(), value);
        self
    }
}

/// A receipt as the ledger keeps it: the signature over the statement that [`crate::receipt`] rebuilds
/// from the entries, and the key it was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedReceipt {
    /// Version of the statement's form.
    pub version: u32,
    /// Identifier of the signing key.
    pub key_id: String,
    /// Ed25519 signature over the DSSE pre-authentication encoding, base64.
    pub signature: String,
}

/// Why an action was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "why")]
#[non_exhaustive]
pub enum Refused {
    /// Policy denies it.
    Policy,
    /// A person said no.
    Person {
        /// Who.
        by: String,
    },
    /// Nobody answered in time.
    NoAnswer,
    /// Something that must work does not.
    Failure {
        /// What.
        detail: String,
    },
}

/// The payload of one ledger entry. Strings in it have passed the redactor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// An action is about to happen. Durable before anything is done.
    Opened {
        /// The action, redacted.
        action: Action,
        /// Digest of the action before redaction.
        action_digest: Digest,
        /// The decision.
        verdict: Verdict,
        /// The person's answer, where one was needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<Approval>,
    },
    /// An opened action ended.
    Closed {
        /// The action.
        action_id: ActionId,
        /// Its run, repeated here so that a run can be read without looking back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// Sequence number of the entry that opened it.
        opened: u64,
        /// What came of it.
        outcome: Outcome,
        /// Its receipt; absent only when recovery closes it for a dead recorder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<SealedReceipt>,
    },
    /// An action was refused before anything happened.
    Refused {
        /// The action, redacted.
        action: Action,
        /// Digest of the action before redaction.
        action_digest: Digest,
        /// The decision, where one was reached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verdict: Option<Verdict>,
        /// Why it was refused.
        refused: Refused,
        /// A refusal gets a receipt too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<SealedReceipt>,
    },
    /// A decision was asked for and given, with nothing done by us (`bartizan check`).
    Judged {
        /// The action, redacted.
        action: Action,
        /// Digest of the action before redaction.
        action_digest: Digest,
        /// The decision.
        verdict: Verdict,
    },
    /// Something a person should know that is no action: a layer's counters, a recovery, a key made.
    Noted {
        /// The run it concerns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// A short dotted name, e.g. `box.layers`, `ledger.recovered`, `net.dropped`.
        topic: String,
        /// A sentence for a person.
        message: String,
        /// Figures by name, as in [`Outcome::figures`].
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        figures: BTreeMap<String, i64>,
    },
}

impl Record {
    /// The run this record belongs to.
    #[must_use]
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::Opened { action, .. } | Self::Refused { action, .. } | Self::Judged { action, .. } => {
                action.run.as_ref()
            }
            Self::Closed { run, .. } | Self::Noted { run, .. } => run.as_ref(),
        }
    }

    /// The action this record is about.
    #[must_use]
    pub fn action(&self) -> Option<&Action> {
        match self {
            Self::Opened { action, .. } | Self::Refused { action, .. } | Self::Judged { action, .. } => Some(action),
            Self::Closed { .. } | Self::Noted { .. } => None,
        }
    }
}

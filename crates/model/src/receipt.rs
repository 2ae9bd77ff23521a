//! Receipts: in-toto statements over one action's verdict and outcome, rebuilt from what the ledger keeps.
//!
//! The statement is a function of ledger content only, so the ledger stores just the signature
//! ([`crate::SealedReceipt`]) and anybody with the entries can rebuild the signed bytes.
//! Form: <https://in-toto.io/Statement/v1>, carried in a DSSE envelope with payload type
//! `application/vnd.in-toto+json`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::action::Action;
use crate::canonical::{self, CanonicalError, Digest};
use crate::record::{Approval, Outcome, Refused};
use crate::verdict::Verdict;

/// DSSE payload type of every receipt.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// in-toto predicate type of every receipt.
pub const PREDICATE_TYPE: &str = "https://bartizan.dev/attestation/action/v1";
/// Version of the statement's form, kept beside each signature.
pub const STATEMENT_VERSION: u32 = 1;

/// Everything a receipt states.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Statement<'a> {
    /// The action, redacted as in the ledger.
    pub action: &'a Action,
    /// Digest of the action before redaction: the statement's subject.
    #[serde(skip)]
    pub action_digest: Digest,
    /// The decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'a Verdict>,
    /// The person's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<&'a Approval>,
    /// What came of it, unless it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'a Outcome>,
    /// Why it was refused, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<&'a Refused>,
    /// Sequence number of the ledger entry that opened it, unless it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<u64>,
    /// Hash of that entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_hash: Option<Digest>,
}

/// The in-toto statement: what a receipt's envelope carries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InToto<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: [Subject<'a>; 1],
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: &'a Statement<'a>,
}

/// The action the statement is about.
#[derive(Debug, Serialize, JsonSchema)]
struct Subject<'a> {
    name: &'a str,
    digest: SubjectDigest,
}

/// Its digest before redaction, in hexadecimal.
#[derive(Debug, Serialize, JsonSchema)]
struct SubjectDigest {
    sha256: String,
}

impl Statement<'_> {
    /// The in-toto statement as canonical JSON: the DSSE payload.
    ///
    /// # Errors
    /// As [`canonical::bytes`].
    pub fn payload(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical::bytes(&InToto {
            kind: "https://in-toto.io/Statement/v1",
            subject: [Subject {
                name: self.action.id.as_str(),
                digest: SubjectDigest { sha256: self.action_digest.hex() },
            }],
            predicate_type: PREDICATE_TYPE,
            predicate: self,
        })
    }
}

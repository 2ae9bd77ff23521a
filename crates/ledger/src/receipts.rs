//! Receipts as envelopes: the signed statement is rebuilt from the entries, so the ledger keeps only the signature.

use bartizan_crypto::dsse::EnvelopeError;
use bartizan_crypto::{Envelope, PublicKey};
use bartizan_model::receipt::{PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_VERSION, Statement};
use bartizan_model::{ActionId, CanonicalError, Record, SealedReceipt};
use serde_json::Value;

use crate::index::{Index, IndexError, Query, Row};

/// Why there is no receipt, or it doesn't hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The ledger doesn't know the action.
    #[error("the ledger knows no action `{action}`; `bartizan log list` shows those it knows")]
    Unknown {
        /// The action.
        action: ActionId,
    },
    /// It has not ended yet.
    #[error("action `{action}` has not ended yet; it gets its receipt when it does")]
    Open {
        /// The action.
        action: ActionId,
    },
    /// Nothing signed it.
    #[error("action `{action}` has no receipt: {reason}")]
    Unsigned {
        /// The action.
        action: ActionId,
        /// Why.
        reason: &'static str,
    },
    /// A newer program signed it.
    #[error(
        "the receipt has version {version}, this program knows {STATEMENT_VERSION}; use the newer program that made it"
    )]
    Version {
        /// Its version.
        version: u32,
    },
    /// The index can't answer.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The statement can't be rebuilt.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The envelope is no good.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The payload is something else.
    #[error("the envelope is signed, but holds no receipt: {reason}")]
    Statement {
        /// What is wrong with it.
        reason: String,
    },
}

/// Gives receipts out of a ledger.
pub struct Receipts<'a> {
    index: &'a mut Index,
}

impl<'a> Receipts<'a> {
    /// Receipts of the ledger under this index.
    pub fn new(index: &'a mut Index) -> Self {
        Self { index }
    }

    /// The receipt of an action, ready to be given away.
    ///
    /// # Errors
    /// There is none, or the ledger can't be read.
    pub fn of(&mut self, action: &ActionId) -> Result<Envelope, ReceiptError> {
        let rows = self.index.query(&Query { action: Some(action.clone()), limit: 1, ..Query::default() })?;
        match rows.first() {
            Some(row) => envelope(row),
            None => Err(ReceiptError::Unknown { action: action.clone() }),
        }
    }
}

/// The receipt that a row of the ledger carries.
///
/// # Errors
/// It carries none.
pub fn envelope(row: &Row) -> Result<Envelope, ReceiptError> {
    let unsigned = |action: &ActionId, reason| ReceiptError::Unsigned { action: action.clone(), reason };
    let (statement, receipt) = match (&row.entry.record, row.closed.as_ref().map(|closed| &closed.record)) {
        (
            Record::Opened { action, action_digest, verdict, approval },
            Some(Record::Closed { outcome, receipt, opened, .. }),
        ) => {
            let statement = Statement {
                action,
                action_digest: *action_digest,
                verdict: Some(verdict),
                approval: approval.as_ref(),
                outcome: Some(outcome),
                refused: None,
                opened: Some(*opened),
                opened_hash: Some(row.entry.hash),
            };
            let why = "its recorder died, and recovery closed it as unknown";
            (statement, receipt.as_ref().ok_or_else(|| unsigned(&action.id, why))?)
        }
        (Record::Opened { action, .. }, _) => return Err(ReceiptError::Open { action: action.id.clone() }),
        (Record::Refused { action, action_digest, verdict, refused, receipt }, _) => {
            let statement = Statement {
                action,
                action_digest: *action_digest,
                verdict: verdict.as_ref(),
                approval: None,
                outcome: None,
                refused: Some(refused),
                opened: None,
                opened_hash: None,
            };
            (statement, receipt.as_ref().ok_or_else(|| unsigned(&action.id, "the signing key failed"))?)
        }
        (Record::Judged { action, .. }, _) => {
            return Err(unsigned(&action.id, "it was only judged, and carried out by whoever asked"));
        }
        _ => return Err(ReceiptError::Statement { reason: "the entry is about no action".to_owned() }),
    };
    seal(&statement, receipt)
}

fn seal(statement: &Statement<'_>, receipt: &SealedReceipt) -> Result<Envelope, ReceiptError> {
    if receipt.version != STATEMENT_VERSION {
        return Err(ReceiptError::Version { version: receipt.version });
    }
    let payload = statement.payload()?;
    Ok(Envelope::from_signature(PAYLOAD_TYPE, &payload, receipt.key_id.clone(), receipt.signature.clone()))
}

/// Checks a receipt with nothing but the public key, and gives the in-toto statement it makes.
///
/// # Errors
/// It isn't signed by this key, or isn't a receipt.
pub fn verify_envelope(envelope: &Envelope, key: &PublicKey) -> Result<Value, ReceiptError> {
    let payload = envelope.verify(key)?;
    let wrong = |reason: String| ReceiptError::Statement { reason };
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(wrong(format!("its type is `{}`", envelope.payload_type)));
    }
    let statement: Value = serde_json::from_slice(&payload).map_err(|error| wrong(error.to_string()))?;
    match statement.get("predicateType").and_then(Value::as_str) {
        Some(PREDICATE_TYPE) => Ok(statement),
        other => Err(wrong(format!("its predicate type is `{}`", other.unwrap_or_default()))),
    }
}

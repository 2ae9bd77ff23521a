//! `--json-events`: one event a line, as it was recorded.

use bartizan_model::{Digest, Record};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// What the gate recorded, and where the ledger keeps it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Event<'a> {
    /// Sequence number of the entry; absent when the ledger itself failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Hash of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<Digest>,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What.
    pub record: &'a Record,
}

//! Key `guards`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::units::{Bytes, Span};

/// A guard of one's own: a WebAssembly component that looks at every action and may deny it or have it asked.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GuardModule {
    /// The component's file, by a path relative to the policy.
    pub wasm: String,
    /// How much one call may compute; about one unit an instruction and one for each byte copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// How much memory one call may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// How long one call may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
}

//! Policies, manifests, settings and audit logs of Clawdstrike and AegisClaw, turned into Bartizan's own: text of
//! a policy, and a report of what became of every part. Nothing here decides anything, reads a file or runs code;
//! what can't be carried over is reported and left out on the strict side. Start with `clawdstrike::import` and
//! `aegisclaw::import`.

pub mod aegisclaw;
pub mod clawdstrike;
mod read;
mod report;
mod write;

pub use read::{EVENT_LINE_BYTES_MAX, FILE_BYTES_MAX, ReadError};
pub use report::{Fate, Note, Report};

/// How faithful an imported policy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Decides as the other program did, its holes included: to compare, before moving.
    Compat,
    /// The same intent under Bartizan's own rules: stricter where the other program had holes.
    Hardened,
}

/// What an import gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The policy, as YAML.
    pub policy: String,
    /// What became of each part.
    pub report: Report,
}

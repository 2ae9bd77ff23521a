//! The importers on published files, and on files nobody should have written.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail loudly")]

mod aegisclaw;
mod clawdstrike;
mod hostile;

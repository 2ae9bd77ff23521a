//! The scanner and the redactor as their users see them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that can't go on should stop")]

mod chunks;
mod encodings;
mod properties;
mod replacing;

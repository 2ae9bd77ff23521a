//! The policy crate through its public face: fixtures in pairs, properties, hostile text.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail loudly")]

mod allocation;
mod decide;
mod errors;
mod layers;
mod support;

//! The policy crate through its public face: fixtures in pairs, properties, hostile text.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail loudly")]

mod advice;
mod allocation;
mod builtins;
mod bundles;
mod commands;
mod decide;
mod errors;
mod exceptions;
mod guards;
mod layers;
mod properties;
mod rego;
mod rego_corpus;
mod requests;
mod schema;
mod scopes;
mod sessions;
mod shells;
mod support;
mod vectors;

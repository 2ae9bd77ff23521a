//! Real boxes, made by whoever runs the tests; when that is root, each test runs a second time as an
//! ordinary user.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod harness;

mod death;
mod escapes;
mod files;
mod limits;
mod start;
mod tools;
mod warden;

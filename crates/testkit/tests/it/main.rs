//! The kit is trusted by every other test, so it is tested against real clients first.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as the tests themselves may"
)]

mod probes;
mod registries;
mod servers;
mod worlds;

//! The ledger on a real disk, with real processes, crashes and forgers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail as the test may"
)]

mod append;
mod crash;
mod export;
mod full;
mod index;
mod receipts;
mod support;
mod tamper;

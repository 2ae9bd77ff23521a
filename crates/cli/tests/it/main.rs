//! The shipped binary from end to end: every test drives it as a person or an agent would, as the user who runs the tests
//! and, when that is root, as an ordinary user too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod checking;
mod processes;
mod world;

mod approvals;
mod basics;
mod bodies;
mod boxes;
mod bundles;
mod check;
mod commands;
mod disks;
mod effects;
mod escapes;
mod flow;
mod guards;
mod homes;
mod imports;
mod inspection;
mod inspection_http2;
mod last_words;
mod ledgers;
mod lent;
mod missing_layers;
mod models;
mod network;
mod policies;
mod reload;
mod requests;
mod scanning;
mod secrets;
mod terminal;
mod tools;
mod watch;

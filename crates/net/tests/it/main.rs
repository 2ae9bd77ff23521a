//! Everything here runs in real network namespaces, as whoever runs the tests; `ordinary_user` repeats it all
//! as an ordinary user when that is root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on must say where; helpers outside test functions too"
)]

mod contents;
mod flows;
mod guard;
mod namespace;
mod netns;
mod ordinary_user;
mod world;

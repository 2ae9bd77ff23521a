//! What the tests of every crate share: a scratch home that runs the real binary as root or as an ordinary
//! user, servers that keep a journal of what reached them, package registries, a pseudo-terminal, and the
//! escape suite with its probe. Development only: no crate may depend on it outside its tests, it knows
//! nothing above the gate (that it judges from outside), and it panics where a test would.
//! Start reading at `home.rs`; `escapes.rs` is the list of attacks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "a helper of tests fails by panicking, starts programs and dials servers; none of it ships"
)]

pub mod archive;
pub mod dns;
pub mod env;
pub mod escapes;
pub mod gate;
pub mod home;
pub mod http;
pub mod http2;
pub mod kv2;
pub mod lacking;
pub mod models;
pub mod probe;
pub mod range;
pub mod registry;
pub mod run;
pub mod sink;
pub mod store;
pub mod terminal;
pub mod tls;
pub mod tools;
pub mod user;
pub mod wasm;

use std::{
    fs,
    io::Write,
    thread,
    time::{Duration, Instant},
};

pub use home::Home;
pub use http::HttpServer;
pub use http2::Http2Server;
pub use run::{Output, Run, Running};
pub use sink::{TcpSink, UdpSink};
pub use terminal::Terminal;
pub use tls::Authority;
pub use user::User;

/// How long anything in a test may take before the test fails: generous, because two cores may be busy.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Poll `condition` until it holds; panics with `what` after [`DEADLINE`].
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Say that a test was skipped and why. `cargo xtask test` collects these and closes with their count.
pub fn skipped(test: &str, reason: &str) {
    eprintln!("skipped {test}: {reason}");
    if let Some(path) = std::env::var_os(env::BARTIZAN_SKIPPED) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        // One write, so that lines of several test binaries don't mix.
        file.write_all(format!("{test}: {reason}\n").as_bytes()).unwrap();
    }
}

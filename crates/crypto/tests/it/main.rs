//! Behaviour of the crypto crate that needs a file system or several processes.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test may")]

mod key_file;

//! Behaviour of the crypto crate that needs a file system or several processes.

mod key_file;

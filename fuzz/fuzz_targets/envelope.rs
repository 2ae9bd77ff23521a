//! Receipts and checkpoints from elsewhere.
#![no_main]

use bartizan_crypto::{Checkpoint, Envelope, SigningKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let key = SigningKey::generate().expect("randomness").public();
    if let Ok(envelope) = Envelope::from_json(bytes) {
        assert!(envelope.verify(&key).is_err(), "no envelope is good under a fresh key");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(Checkpoint::open(text, "fuzz.test", &key).is_err(), "no checkpoint is good under a fresh key");
    }
});

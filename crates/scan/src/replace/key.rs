//! The key under which shapes and tokens are made.

use ring::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use ring::hmac;
use zeroize::Zeroize;

/// A key for shapes and tokens. Who has it can open tokens, and can find out a shape's original by trying.
pub struct Key {
    /// Makes pseudonyms, and the nonces of tokens.
    mac: hmac::Key,
    /// Seals tokens.
    aead: Option<LessSafeKey>,
}

impl Key {
    /// The key from 32 random bytes. Two keys are derived, so that no output of one says anything about the other.
    #[must_use]
    pub fn new(mut secret: [u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        secret.zeroize();
        let seal = hmac::sign(&root, b"bartizan replace: seal");
        let mac = hmac::sign(&root, b"bartizan replace: name");
        Self {
            mac: hmac::Key::new(hmac::HMAC_SHA256, mac.as_ref()),
            // The length is right by construction.
            aead: UnboundKey::new(&CHACHA20_POLY1305, seal.as_ref()).ok().map(LessSafeKey::new),
        }
    }

    /// Thirty-two bytes that only this key gives for these parts.
    pub(super) fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.mac);
        for part in parts {
            // With its length, no part can be read as the end of another.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    pub(super) fn aead(&self) -> Option<&LessSafeKey> {
        self.aead.as_ref()
    }
}

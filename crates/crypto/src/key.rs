//! Ed25519 keys. Private ones wipe themselves from memory when dropped.

use std::fmt;
use std::fmt::Write as _;

use ed25519::pkcs8::spki::der::pem::LineEnding;
use ed25519::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Why a key can't be made or read, or a signature doesn't hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The kernel gives no random bytes.
    #[error("the kernel gives no random bytes for a key: {reason}")]
    Random {
        /// What it said.
        reason: String,
    },
    /// Not an Ed25519 private key.
    #[error("not an Ed25519 private key in PKCS#8 PEM form")]
    Private,
    /// Not an Ed25519 public key.
    #[error("not an Ed25519 public key in SPKI PEM form")]
    Public,
    /// The signature was not made over these bytes by this key.
    #[error("the signature does not hold")]
    Signature,
}

/// A private Ed25519 key.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A fresh key from the kernel's random bytes.
    ///
    /// # Errors
    /// The kernel has none.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| KeyError::Random { reason: error.to_string() })?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of this seed; who holds the seed holds the key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads PKCS#8 PEM (RFC 8410).
    ///
    /// # Errors
    /// It is something else.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|_| KeyError::Private)
    }

    /// PKCS#8 PEM, version 1: the form every tool reads, OpenSSL included.
    ///
    /// # Errors
    /// The encoder refuses.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        KeypairBytes { secret_key: self.0.to_bytes(), public_key: None }
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| KeyError::Private)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature over these bytes; always the same for the same bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public().key_id())
    }
}

/// A public Ed25519 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// From the raw 32 bytes.
    ///
    /// # Errors
    /// They are no point of the curve, or one of small order that would accept forgeries.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        Self::checked(VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Public)?)
    }

    /// Reads SPKI PEM (RFC 8410).
    ///
    /// # Errors
    /// It is something else.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::checked(VerifyingKey::from_public_key_pem(pem).map_err(|_| KeyError::Public)?)
    }

    fn checked(key: VerifyingKey) -> Result<Self, KeyError> {
        if key.is_weak() { Err(KeyError::Public) } else { Ok(Self(key)) }
    }

    /// SPKI PEM.
    ///
    /// # Errors
    /// The encoder refuses.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Public)
    }

    /// The raw 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// SHA-256 of the raw key in hexadecimal: the key id in envelopes and receipts.
    #[must_use]
    pub fn key_id(&self) -> String {
        Sha256::digest(self.as_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Checks a signature, strictly: no second signature exists that would pass for the same bytes.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| KeyError::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_round_trips_and_refuses_the_rest() {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pem().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI"), "version 1, no attributes");
        assert_eq!(SigningKey::from_pem(&pem).unwrap().public(), key.public());
        let public = key.public().to_pem().unwrap();
        assert_eq!(PublicKey::from_pem(&public).unwrap(), key.public());
        assert!(SigningKey::from_pem(&public).is_err());
        assert!(PublicKey::from_pem(&pem).is_err());
        assert!(!format!("{key:?}").contains(pem.lines().nth(1).unwrap()));
    }

    #[test]
    fn reads_the_key_of_rfc_8410() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        assert_eq!(SigningKey::from_pem(pem).unwrap().public(), PublicKey::from_pem(public).unwrap());
    }

    #[test]
    fn signatures_bind_bytes_and_key() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let signature = key.sign(b"deed");
        assert!(key.public().verify(b"deed", &signature).is_ok());
        assert!(key.public().verify(b"deeD", &signature).is_err());
        assert!(other.public().verify(b"deed", &signature).is_err());
    }

    #[test]
    fn refuses_a_key_of_small_order() {
        let mut identity = [0_u8; 32];
        identity[0] = 1;
        assert!(PublicKey::from_bytes(&identity).is_err());
    }
}

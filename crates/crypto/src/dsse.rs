//! DSSE v1 envelopes, <https://github.com/secure-systems-lab/dsse>: the payload is signed together with
//! its type, so that nothing signed as one kind of thing passes for another.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, general_purpose::URL_SAFE};
use serde::{Deserialize, Serialize};

use crate::key::{PublicKey, SigningKey};

/// Largest envelope read: the largest action and verdict twice over, in base64.
pub const ENVELOPE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most signatures looked at in one envelope, so that a flood of them costs nothing.
pub const SIGNATURES_MAX: usize = 16;

/// Both alphabets and any padding, as the standard tells readers.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why an envelope is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// It is too large to be one.
    #[error("the envelope has {bytes} bytes, the most is {ENVELOPE_BYTES_MAX}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// Not an envelope.
    #[error("not a DSSE envelope: {0}")]
    Malformed(serde_json::Error),
    /// The payload is no base64.
    #[error("not a DSSE envelope: `{field}` is no base64")]
    Base64 {
        /// Which field.
        field: &'static str,
    },
    /// No signature in it is by this key over this payload.
    #[error("no signature in the envelope was made by key `{key_id}` over this payload")]
    NotSigned {
        /// The key that was asked for.
        key_id: String,
    },
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// A hint at the key; trusted for nothing.
    #[serde(default)]
    pub keyid: String,
    /// The signature, base64.
    pub sig: String,
}

/// A DSSE envelope as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The payload, base64.
    pub payload: String,
    /// Its type.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// The signatures over both.
    pub signatures: Vec<EnvelopeSignature>,
}

/// The pre-authentication encoding: the bytes that are signed.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs a payload.
    #[must_use]
    pub fn sign(payload_type: &str, payload: &[u8], key: &SigningKey) -> Self {
        let signature = key.sign(&pre_authentication_encoding(payload_type, payload));
        Self::from_signature(payload_type, payload, key.public().key_id(), STANDARD.encode(signature))
    }

    /// An envelope around a signature (base64) made earlier.
    #[must_use]
    pub fn from_signature(payload_type: &str, payload: &[u8], key_id: String, signature: String) -> Self {
        Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![EnvelopeSignature { keyid: key_id, sig: signature }],
        }
    }

    /// Reads the JSON form, bounded by [`ENVELOPE_BYTES_MAX`].
    ///
    /// # Errors
    /// It is too large or no envelope.
    pub fn from_json(json: &[u8]) -> Result<Self, EnvelopeError> {
        if json.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: json.len() });
        }
        serde_json::from_slice(json).map_err(EnvelopeError::Malformed)
    }

    /// The JSON form.
    ///
    /// # Errors
    /// Never for an envelope made here; the encoder's signature has one.
    pub fn to_json(&self) -> Result<String, EnvelopeError> {
        serde_json::to_string(self).map_err(EnvelopeError::Malformed)
    }

    /// The payload as it stands there, whoever signed it; `None` where it is no base64. For comparing and signing,
    /// not for believing.
    #[must_use]
    pub fn payload_bytes(&self) -> Option<Vec<u8>> {
        decode(&self.payload)
    }

    /// The payload, once a signature in the envelope is found to be by this key.
    ///
    /// # Errors
    /// The payload is no base64, or no signature holds.
    pub fn verify(&self, key: &PublicKey) -> Result<Vec<u8>, EnvelopeError> {
        let payload = decode(&self.payload).ok_or(EnvelopeError::Base64 { field: "payload" })?;
        let signed = pre_authentication_encoding(&self.payload_type, &payload);
        let holds = |signature: &EnvelopeSignature| {
            let bytes = decode(&signature.sig).and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
            bytes.is_some_and(|bytes| key.verify(&signed, &bytes).is_ok())
        };
        if self.signatures.iter().take(SIGNATURES_MAX).any(holds) {
            Ok(payload)
        } else {
            Err(EnvelopeError::NotSigned { key_id: key.key_id() })
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    /// The example of the DSSE protocol page.
    #[test]
    fn encodes_as_the_standard_says() {
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pre_authentication_encoding("é", b""), "DSSEv1 2 é 0 ".as_bytes());
    }

    /// The envelope is read by sigstore's own DSSE code and the signature checked by ring: nothing of ours.
    #[test]
    fn a_third_party_accepts_it_and_refuses_a_changed_one() {
        let key = SigningKey::generate().unwrap();
        let accepts = |json: &str| {
            let envelope: sigstore_types::DsseEnvelope = serde_json::from_str(json).unwrap();
            UnparsedPublicKey::new(&ED25519, key.public().as_bytes())
                .verify(&envelope.pae(), envelope.signature.sig.as_bytes())
                .is_ok()
        };
        let mut envelope = Envelope::sign("application/vnd.in-toto+json", br#"{"a":1}"#, &key);
        assert!(accepts(&envelope.to_json().unwrap()));
        envelope.payload = STANDARD.encode(br#"{"a":2}"#);
        assert!(!accepts(&envelope.to_json().unwrap()));
    }

    #[test]
    fn verifies_only_the_signed_payload_type_and_key() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let envelope = Envelope::sign("t", b"payload", &key);
        let again = Envelope::from_json(envelope.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(again.verify(&key.public()).unwrap(), b"payload");
        assert!(again.verify(&other.public()).is_err());
        let mut changed = envelope.clone();
        changed.payload_type = "u".into();
        assert!(changed.verify(&key.public()).is_err());
        let mut several = envelope.clone();
        several.signatures.insert(0, EnvelopeSignature { keyid: key.public().key_id(), sig: "AAAA".into() });
        assert!(several.verify(&key.public()).is_ok());
        several.signatures.clear();
        assert!(several.verify(&key.public()).is_err());
    }

    #[test]
    fn refuses_what_is_no_envelope() {
        for bad in ["", "{}", "[]", r#"{"payload":"a","payloadType":"t"}"#] {
            assert!(Envelope::from_json(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Envelope::from_json(&vec![b' '; ENVELOPE_BYTES_MAX + 1]).is_err());
    }
}

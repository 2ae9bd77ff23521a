//! Canonical bytes (RFC 8785) and the digest over them: what approvals, receipts and the ledger bind to.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The largest integer whose neighbours every JSON reader tells apart (RFC 8785, I-JSON).
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// It is no JSON: a key that isn't a string, a number that isn't finite.
    #[error("value can't be written as canonical JSON")]
    NotJson(#[source] serde_json::Error),
    /// Its canonical form would be that of another number, too.
    #[error(
        "integer `{number}` is beyond 2^53-1, where JSON readers no longer tell neighbours apart; write it as a string"
    )]
    Imprecise {
        /// The integer.
        number: serde_json::Number,
    },
}

/// Why a text is no digest.
#[derive(Debug, thiserror::Error)]
#[error("a digest is `sha256:` and 64 hexadecimal digits")]
pub struct ParseDigestError;

/// The value as RFC 8785 canonical JSON.
///
/// # Errors
/// A map with keys that aren't strings, a number that isn't finite, or an integer beyond 2^53-1.
pub fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    match crate::plain::bytes(value) {
        Some(bytes) => Ok(bytes),
        None => general(value),
    }
}

pub(crate) fn general<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(CanonicalError::NotJson)?;
    refuse_imprecise(&value)?;
    serde_json_canonicalizer::to_vec(&value).map_err(CanonicalError::NotJson)
}

/// Canonical JSON writes every number as a double: two integers must not come to have one digest.
fn refuse_imprecise(value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            match magnitude {
                Some(magnitude) if magnitude > INTEGER_MAX => Err(CanonicalError::Imprecise { number: number.clone() }),
                _ => Ok(()),
            }
        }
        Value::Array(items) => items.iter().try_for_each(refuse_imprecise),
        Value::Object(fields) => fields.values().try_for_each(refuse_imprecise),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// SHA-256, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of the value's canonical bytes.
    ///
    /// # Errors
    /// As [`bytes`].
    pub fn of<T: Serialize>(value: &T) -> Result<Self, CanonicalError> {
        bytes(value).map(|bytes| Self::of_bytes(&bytes))
    }

    /// The raw 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits without the prefix.
    #[must_use]
    pub fn hex(&self) -> String {
        // Several of these are in every record, and formatting byte by byte is what costs most about them.
        let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.hex())
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").ok_or(ParseDigestError)?.as_bytes();
        let mut digest = [0_u8; 32];
        if hex.len() != 64 {
            return Err(ParseDigestError);
        }
        for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
            let [high, low] = pair else { return Err(ParseDigestError) };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(digest))
    }
}

fn nibble(digit: u8) -> Result<u8, ParseDigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseDigestError),
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_keys_and_round_trips() {
        let value: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":"é\n","c":[1e2,0.5]}"#).unwrap();
        assert_eq!(bytes(&value).unwrap(), r#"{"a":"é\n","b":1,"c":[100,0.5]}"#.as_bytes());
        let digest = Digest::of(&value).unwrap();
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        let integer = |number: &str| serde_json::from_str::<serde_json::Value>(number).unwrap();
        assert!(bytes(&integer("9007199254740991")).is_ok());
        for beyond in ["9007199254740992", "9007199254740993", "-9007199254740993", "18446744073709551615"] {
            assert!(bytes(&vec![integer(beyond)]).is_err(), "{beyond}");
        }
        assert!("sha256:zz".parse::<Digest>().is_err());
        assert!(digest.hex().parse::<Digest>().is_err());
    }
}

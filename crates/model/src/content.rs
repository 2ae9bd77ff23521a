//! Content: the bytes an action carries. They are looked at while the action is decided and never kept: ledger and
//! digests hold the sealed form, a digest and a length.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::canonical::Digest;

/// Most content one action carries. What is larger can't be looked at within a decision, so it is refused.
pub const CONTENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes that an action carries: written as a string, as `{"base64": "…"}`, or sealed as
/// `{"digest": "sha256:…", "length_bytes": 12}`.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// Bytes of any kind.
    Bytes(Vec<u8>),
    /// What is kept of content once it was decided over.
    Sealed {
        /// SHA-256 of the bytes.
        digest: Digest,
        /// How many there were.
        length_bytes: u64,
    },
}

impl Content {
    /// The bytes; `None` once sealed.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            Self::Sealed { .. } => None,
        }
    }

    /// The text, if it is text; bytes that are UTF-8 count.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Sealed { .. } => None,
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Sealed { length_bytes, .. } => *length_bytes,
        }
    }

    /// Whether only its digest is left.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed { .. })
    }

    /// The sealed form. Text and the same bytes in base64 have one digest.
    #[must_use]
    pub fn sealed(&self) -> Self {
        match self.bytes() {
            Some(bytes) => Self::Sealed { digest: Digest::of_bytes(bytes), length_bytes: bytes.len() as u64 },
            None => self.clone(),
        }
    }
}

/// Contents may be secret, so they are not printed.
impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Content({} bytes)", self.length_bytes())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("base64", &STANDARD.encode(bytes))?;
                map.end()
            }
            Self::Sealed { digest, length_bytes } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("digest", digest)?;
                map.serialize_entry("length_bytes", length_bytes)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("content: a string, `{\"base64\": …}`, or `{\"digest\": …, \"length_bytes\": …}`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let (mut bytes, mut digest, mut length) = (None, None, None);
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let twice = match key.as_ref() {
                "base64" => {
                    let text = map.next_value::<Cow<'_, str>>()?;
                    let decoded = STANDARD.decode(text.as_bytes());
                    bytes
                        .replace(decoded.map_err(|_| de::Error::custom("content is no base64 with padding"))?)
                        .is_some()
                }
                "digest" => digest.replace(map.next_value::<Digest>()?).is_some(),
                "length_bytes" => length.replace(map.next_value::<u64>()?).is_some(),
                other => return Err(de::Error::unknown_field(other, &["base64", "digest", "length_bytes"])),
            };
            if twice {
                return Err(de::Error::custom("content names a key twice"));
            }
        }
        match (bytes, digest, length) {
            (Some(bytes), None, None) => Ok(Content::Bytes(bytes)),
            (None, Some(digest), Some(length_bytes)) => Ok(Content::Sealed { digest, length_bytes }),
            _ => Err(de::Error::custom("content has either `base64`, or `digest` and `length_bytes`")),
        }
    }
}

impl JsonSchema for Content {
    fn schema_name() -> Cow<'static, str> {
        "Content".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let digest = generator.subschema_for::<Digest>();
        json_schema!({
            "description": "Bytes an action carries: text, base64, or sealed as a digest and a length.",
            "oneOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["base64"],
                    "properties": { "base64": { "type": "string" } }
                },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["digest", "length_bytes"],
                    "properties": { "digest": digest, "length_bytes": { "type": "integer", "minimum": 0 } }
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_three_forms_and_no_other() {
        let text: Content = serde_json::from_str("\"hé\"").unwrap();
        assert_eq!(text, Content::from("hé"));
        let bytes: Content = serde_json::from_str(r#"{"base64":"aMOp"}"#).unwrap();
        assert_eq!(bytes.bytes(), text.bytes());
        assert_eq!(bytes.sealed(), text.sealed());
        let sealed = serde_json::to_string(&text.sealed()).unwrap();
        assert_eq!(serde_json::from_str::<Content>(&sealed).unwrap(), text.sealed());
        assert!(text.sealed().bytes().is_none() && !sealed.contains('é'));
        for wrong in [
            "1",
            "null",
            "[]",
            "{}",
            r#"{"base64":"?"}"#,
            r#"{"base64":"","base64":""}"#,
            r#"{"length_bytes":1}"#,
            r#"{"base64":"","length_bytes":1}"#,
            r#"{"text":"x"}"#,
        ] {
            assert!(serde_json::from_str::<Content>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{text:?}"), "Content(3 bytes)");
    }
}

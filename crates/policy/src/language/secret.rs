//! The key `secret` of a net rule: which secrets requests may carry, and where in them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// Secrets that requests under a rule may carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSecrets {
    /// By position (`header.authorization`, `query.key`, `basic.password`, `json.auth.token`): what stands there, such as
    /// `Bearer ${GITHUB_TOKEN}`.
    pub places: BTreeMap<String, SecretText>,
    /// They may also go over connections that anybody on the way can read.
    pub plain_http: bool,
}

/// A text with one secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretText {
    /// The secret's name.
    pub name: String,
    /// The whole text, `${NAME}` and what stands around it.
    pub text: String,
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A text with one secret in it.",
            "examples": ["Bearer ${GITHUB_TOKEN}"]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl RuleSecrets {
    pub(crate) fn schema() -> Schema {
        json_schema!({
            "type": "object",
            "description": "Which secrets requests may carry, by where they stand.",
            "properties": { "plain_http": { "type": "boolean", "description": "They may go over plain HTTP, too." } },
            "additionalProperties": { "type": "string", "examples": ["Bearer ${GITHUB_TOKEN}"] }
        })
    }
}

impl Serialize for RuleSecrets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (at, text) in &self.places {
            map.serialize_entry(at, &text.text)?;
        }
        if self.plain_http {
            map.serialize_entry("plain_http", &true)?;
        }
        map.end()
    }
}

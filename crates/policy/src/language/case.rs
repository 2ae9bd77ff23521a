//! Key `tests`.

use bartizan_model::Effect;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::place::At;

/// A case a policy promises: an action in words, what becomes of it, and by which rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What must become of it.
    pub effect: Effect,
    /// The action, as `parse_case` reads it.
    pub action: At<String>,
    /// The rule that must decide: its dotted place or its text.
    pub rule: Option<String>,
}

impl JsonSchema for Case {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Case".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let of = |effect: &str| {
            json_schema!({
                "type": "object",
                "additionalProperties": false,
                "required": [effect],
                "properties": {
                    effect: { "type": "string", "examples": ["connect api.github.com:443", "file.read ~/.ssh/id_rsa"] },
                    "rule": { "type": "string", "description": "The rule that must decide." }
                }
            })
        };
        json_schema!({
            "description": "A case this policy promises.",
            "oneOf": [of("allow"), of("ask"), of("deny")]
        })
    }
}

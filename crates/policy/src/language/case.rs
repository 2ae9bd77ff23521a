//! Key `tests`.

use bartizan_model::{Effect, Sighting};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::place::At;
use crate::session::Label;

/// A case a policy promises: an action in words, what becomes of it, and by which rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What must become of it.
    pub effect: Effect,
    /// The action, as `parse_case` reads it.
    pub action: At<String>,
    /// The rule that must decide: its dotted place or its text.
    pub rule: Option<String>,
    /// What a scanner saw in its content: a class, perhaps `:` and a kind, perhaps a score from 0 to 100.
    pub seen: Vec<Sighting>,
    /// Labels of what was read before it in the same session.
    pub read: Vec<Label>,
}

impl JsonSchema for Case {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Case".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let seen = json_schema!({
            "type": "string",
            "description": "What a scanner saw in its content: class, perhaps a kind, perhaps a score.",
            "examples": ["secret:github-token", "injection 80", "personal:email"]
        });
        let label =
            json_schema!({ "type": "string", "description": "What was read before.", "examples": ["untrusted"] });
        let of = |effect: &str| {
            json_schema!({
                "type": "object",
                "additionalProperties": false,
                "required": [effect],
                "properties": {
                    effect: { "type": "string", "examples": ["connect api.github.com:443", "file.read ~/.ssh/id_rsa"] },
                    "rule": { "type": "string", "description": "The rule that must decide." },
                    "seen": { "oneOf": [seen, { "type": "array", "items": seen }] },
                    "read": { "oneOf": [label, { "type": "array", "items": label }] }
                }
            })
        };
        json_schema!({
            "description": "A case this policy promises.",
            "oneOf": [of("allow"), of("ask"), of("deny")]
        })
    }
}

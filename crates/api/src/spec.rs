//! The published model: a JSON Schema for each form that leaves the program. The policy's own schema comes from the
//! policy crate.

use schemars::JsonSchema;
use serde_json::Value;

use crate::event::Event;

/// The schemas by the name of their file in `spec/v1/`.
#[must_use]
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("action", schema::<bartizan_model::Action>()),
        ("verdict", schema::<bartizan_model::Verdict>()),
        ("event", schema::<Event<'_>>()),
        ("receipt", schema::<bartizan_model::receipt::InToto<'_>>()),
    ]
}

fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

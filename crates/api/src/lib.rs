//! What Bartizan says to the outside: the configuration file, the environment it reads, and the wire types
//! of its local interfaces. Shapes only: nothing here opens a file or a socket. Start with [`config`] for
//! settings, [`check`] for decisions over pipes, [`control`] for talking to a running box.

pub mod check;
pub mod config;
pub mod control;
pub mod env;

use schemars::JsonSchema;

/// JSON Schema of what the ledger keeps, which holds those of actions and verdicts.
#[must_use]
pub fn model_schema() -> serde_json::Value {
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "names the types whose schemas are published")]
    struct Published {
        action: bartizan_model::Action,
        verdict: bartizan_model::Verdict,
        record: bartizan_model::Record,
    }
    schemars::schema_for!(Published).to_value()
}

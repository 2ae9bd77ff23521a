//! The document modules see as `input`. Its JSON Schema is published, and modules are checked against it.

use std::sync::OnceLock;

use bartizan_model::{Deed, Principal, Sighting, SightingClass};
use regorus::Value;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize as _, Serialize};

use super::references::Shape;

/// Version of the input document.
pub(crate) const REGO_INPUT_VERSION: u32 = 1;

/// What a Rego module sees of an action, as `input`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Input of Rego modules", deny_unknown_fields)]
pub(crate) struct RegoInput<'a> {
    /// Version of this document: 1.
    pub(crate) version: u32,
    /// What is to be done. Contents are sealed: their digest and length, never their bytes.
    pub(crate) deed: &'a Deed,
    /// Who asks, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<&'a Principal>,
    /// What scanners saw in the deed's contents.
    pub(crate) sightings: &'a [RegoSighting],
    /// What the session has seen and used so far.
    pub(crate) session: RegoSession,
    /// The directories the policy is about.
    pub(crate) places: RegoPlaces<'a>,
    /// The moment of the decision in nanoseconds since 1970, for `time.*`; absent where there is no clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) now_ns: Option<i64>,
}

/// One thing a scanner saw.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct RegoSighting {
    /// What sort of thing.
    pub(crate) class: SightingClass,
    /// Which one exactly, e.g. `github-token`, `email`, `injection`.
    pub(crate) kind: String,
    /// How sure, 0 to 100.
    pub(crate) score: u8,
}

impl RegoSighting {
    /// What modules see of a sighting; not where it stands.
    pub(crate) fn of(sighting: &Sighting) -> Self {
        Self { class: sighting.class, kind: sighting.kind.to_string(), score: sighting.score }
    }
}

/// The session's state.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct RegoSession {
    /// Labels of data read so far: `untrusted`, `secret`, `personal`, `internal:<name>`.
    pub(crate) labels: Vec<String>,
}

/// Directories a module may compare paths with.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct RegoPlaces<'a> {
    /// The directory worked in.
    pub(crate) workspace: &'a str,
    /// The person's home directory.
    pub(crate) home: &'a str,
}

impl RegoInput<'_> {
    /// As the engine's value; `None` where it can't be written as JSON.
    pub(super) fn to_value(&self) -> Option<Value> {
        Value::deserialize(serde_json::to_value(self).ok()?).ok()
    }
}

/// JSON Schema of the input document.
#[must_use]
pub fn rego_input_schema() -> Schema {
    schemars::schema_for!(RegoInput<'static>)
}

/// The fields an input can have.
pub(super) fn shape() -> &'static Shape {
    /// Deeper than the document is.
    const DEPTH_MAX: u32 = 12;
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| {
        let schema = rego_input_schema().to_value();
        let definitions = schema.get("$defs").cloned().unwrap_or_default();
        Shape::of(&schema, &definitions, DEPTH_MAX)
    })
}

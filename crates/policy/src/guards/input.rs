//! What guards that run a policy's own programs see of a scene: one document for Rego and for WebAssembly.

use crate::context::Context;
use crate::guards::Scene;
use crate::rego::{REGO_INPUT_VERSION, RegoInput, RegoPlaces, RegoSession, RegoSighting};

/// Most sightings shown; they are sorted by where they stand, so the same content gives the same.
const SIGHTINGS_MAX: usize = 256;

/// What is known before any action.
#[derive(Debug)]
pub(crate) struct Known {
    workspace: String,
    home: String,
}

impl Known {
    pub(crate) fn new(context: &Context) -> Self {
        let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        Self { workspace: text(context.workspace()), home: text(context.home()) }
    }

    /// Makes the document of a scene and hands it on.
    pub(crate) fn with_input<T>(&self, scene: &Scene<'_>, take: impl FnOnce(&RegoInput<'_>) -> T) -> T {
        let deed = scene.deed.sealed();
        let sightings: Vec<RegoSighting> =
            scene.look.sightings.iter().take(SIGHTINGS_MAX).map(RegoSighting::of).collect();
        let labels = scene.look.session.map(|session| session.labels()).unwrap_or_default();
        take(&RegoInput {
            version: REGO_INPUT_VERSION,
            deed: &deed,
            principal: scene.look.principal,
            sightings: &sightings,
            session: RegoSession { labels: labels.iter().map(ToString::to_string).collect() },
            places: RegoPlaces { workspace: &self.workspace, home: &self.home },
            now_ns: scene.look.now.and_then(|now| i64::try_from(now.as_nanosecond()).ok()),
        })
    }
}

//! Guard `rego`: asks the policy's Rego modules.

use std::sync::Arc;

use bartizan_model::{Effect, Risk};

use crate::context::Context;
use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::rego::{REGO_INPUT_VERSION, Rego, RegoInput, RegoPlaces, RegoSession, RegoSighting};

/// Most sightings shown to modules; they are sorted by where they stand, so the same content gives the same.
const SIGHTINGS_MAX: usize = 256;

/// The modules of a policy as its guard.
pub(crate) fn guard(rego: &Arc<Rego>, context: &Context) -> Box<dyn Guard> {
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    Box::new(RegoGuard { rego: rego.clone(), workspace: text(context.workspace()), home: text(context.home()) })
}

#[derive(Debug)]
struct RegoGuard {
    rego: Arc<Rego>,
    workspace: String,
    home: String,
}

impl Guard for RegoGuard {
    fn name(&self) -> &'static str {
        "rego"
    }

    fn interest(&self) -> Interest {
        Interest::ALL
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let deed = scene.deed.sealed();
        let sightings: Vec<RegoSighting> =
            scene.look.sightings.iter().take(SIGHTINGS_MAX).map(RegoSighting::of).collect();
        let labels = scene.look.session.map(|session| session.labels()).unwrap_or_default();
        let input = RegoInput {
            version: REGO_INPUT_VERSION,
            deed: &deed,
            principal: scene.look.principal,
            sightings: &sightings,
            session: RegoSession { labels: labels.iter().map(ToString::to_string).collect() },
            places: RegoPlaces { workspace: &self.workspace, home: &self.home },
            now_ns: scene.look.now.and_then(|now| i64::try_from(now.as_nanosecond()).ok()),
        };
        let answer = self.rego.answer(&input);
        let Some(effect) = answer.effect else { return };
        let risk = if effect == Effect::Deny { Risk::High } else { Risk::Medium };
        for reason in answer.reasons {
            let mut found = Found::new("rego", effect, risk, answer.rule, None, reason);
            found.rule.text = Some(found.message.clone());
            found.rule.source = self.rego.sources().first().cloned();
            findings.push(found);
        }
    }

    fn explain(&self) -> Vec<String> {
        vec![format!(
            "every action is shown to the Rego modules {}; they may deny it or have it asked, never allow it",
            self.rego.sources().join(", ")
        )]
    }
}

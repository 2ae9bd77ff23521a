//! Guard `rego`: asks the policy's Rego modules.

use std::sync::Arc;

use bartizan_model::{Effect, Risk};

use crate::context::Context;
use crate::guards::input::Known;
use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::rego::Rego;

/// The modules of a policy as its guard.
pub(crate) fn guard(rego: &Arc<Rego>, context: &Context) -> Box<dyn Guard> {
    Box::new(RegoGuard { rego: rego.clone(), known: Known::new(context) })
}

#[derive(Debug)]
struct RegoGuard {
    rego: Arc<Rego>,
    known: Known,
}

impl Guard for RegoGuard {
    fn name(&self) -> &'static str {
        "rego"
    }

    fn interest(&self) -> Interest {
        Interest::ALL
    }

    fn reads_bodies(&self) -> bool {
        true
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let answer = self.known.with_input(scene, |input| self.rego.answer(input));
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

//! Guard `llm`: an agent that asks a model the same thing over and over is stuck, and each time costs.

use bartizan_model::{ActionKind, Content, Deed, Digest, Effect, Risk};
use jiff::Timestamp;

use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::language::{PolicyFile, Repeats};
use crate::place::At;
use crate::session::Session;

/// The most `repeats.most` may say: a session remembers enough questions to count so many.
pub(crate) const REPEATS_MAX: u64 = 100;

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    let repeats = file.llm.as_ref()?.repeats.clone()?;
    Some(Box::new(LlmGuard { repeats }))
}

#[derive(Debug)]
struct LlmGuard {
    repeats: At<Repeats>,
}

/// The question itself, whoever is asked.
fn question(deed: &Deed) -> Option<Digest> {
    let Deed::LlmRequest { content, .. } = deed else { return None };
    match content.sealed() {
        Content::Sealed { digest, .. } => Some(digest),
        _ => None,
    }
}

impl LlmGuard {
    fn since(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.repeats.value.within.value.0).unwrap_or(Timestamp::MIN)
    }
}

impl Guard for LlmGuard {
    fn name(&self) -> &'static str {
        "llm"
    }

    fn interest(&self) -> Interest {
        Interest::of(&[ActionKind::LlmRequest])
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let (Some(session), Some(now)) = (scene.look.session, scene.look.now) else { return };
        // Decided anew, it is among those that were counted.
        if scene.look.begun() {
            return;
        }
        let Some(question) = question(scene.deed) else { return };
        let asked = session.asked(&question, self.since(now));
        let Repeats { most, within } = &self.repeats.value;
        if asked >= *most {
            let message =
                format!("the same question was asked {asked} times within {}; it looks like a loop", within.value);
            let place = Some(&self.repeats.place);
            findings.push(Found::new("llm", Effect::Deny, Risk::Medium, "llm.repeats", place, message));
        }
    }

    fn learn(&self, scene: &Scene<'_>, session: &Session) {
        if let (Some(question), Some(now)) = (question(scene.deed), scene.look.now) {
            session.ask(question, now);
        }
    }

    fn explain(&self) -> Vec<String> {
        let Repeats { most, within } = &self.repeats.value;
        vec![format!("the same question to a model: at most {most} times within {}", within.value)]
    }
}

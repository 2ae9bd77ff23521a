//! Guard `computer`: what becomes of acts of each risk, whatever rules allow.

use bartizan_model::{ActionKind, Effect, Risk};

use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::language::{PolicyFile, Risks};

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    let risks = file.computer.as_ref()?.risks.clone()?;
    Some(Box::new(ComputerGuard { risks }))
}

#[derive(Debug)]
struct ComputerGuard {
    risks: Risks,
}

impl Guard for ComputerGuard {
    fn name(&self) -> &'static str {
        "computer"
    }

    fn interest(&self) -> Interest {
        Interest::of(&[ActionKind::ComputerAct])
    }

    /// What isn't known to be harmless is of medium risk.
    fn check(&self, _scene: &Scene<'_>, findings: &mut Findings) {
        let effect = self.risks.of(Risk::Medium);
        if effect > Effect::Allow {
            let message = "this act is of medium risk";
            findings.push(Found::new("computer", effect, Risk::Medium, "computer.risks.medium", None, message));
        }
    }

    fn explain(&self) -> Vec<String> {
        let risks = [("low", Risk::Low), ("medium", Risk::Medium), ("high", Risk::High), ("critical", Risk::Critical)];
        let lines = risks.map(|(name, risk)| format!("acts of {name} risk: {} at least", self.risks.of(risk).as_str()));
        lines.into_iter().collect()
    }
}

//! Guard `computer`: what becomes of acts of each risk, whatever rules allow.

use bartizan_model::ActionKind;

use crate::guards::{Findings, Guard, Interest, Scene, acts};
use crate::language::{PolicyFile, Risks};

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    let risks = file.computer.as_ref()?.risks.clone().unwrap_or_default();
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

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        acts::hold(scene, "computer", &self.risks, findings);
    }

    fn explain(&self) -> Vec<String> {
        acts::explain(&self.risks)
    }
}

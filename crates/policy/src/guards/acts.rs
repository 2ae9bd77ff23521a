//! What guards over acts in browsers and on computers share: each risk of the table has the least that becomes of it.

use bartizan_model::{Effect, Risk};

use crate::decision::Cause;
use crate::guards::{Findings, Found, Scene};
use crate::language::Risks;
use crate::risk;

/// Holds an act back by its risk. Where the policy doesn't say what becomes of medium risk, a rule that allows the
/// act by name is enough; without one a person is asked.
pub(super) fn hold(scene: &Scene<'_>, section: &'static str, risks: &Risks, findings: &mut Findings) {
    let assessed = risk::assess(scene.deed);
    let mut effect = risks.of(assessed.risk);
    if assessed.risk == Risk::Medium && risks.medium.is_none() {
        let ruling = scene.policy.decide(scene.deed);
        if ruling.is_some_and(|ruling| ruling.effect == Effect::Allow && matches!(ruling.cause, Cause::Rule(_))) {
            effect = Effect::Allow;
        }
    }
    if effect > Effect::Allow {
        let (name, place) = match assessed.risk {
            Risk::Low => ("low", &risks.low),
            Risk::Medium => ("medium", &risks.medium),
            Risk::High => ("high", &risks.high),
            Risk::Critical => ("critical", &risks.critical),
        };
        let rule = format!("{section}.risks.{name}");
        let message = format!("this act is of {name} risk: {}", assessed.reason);
        let place = place.as_ref().map(|effect| &effect.place);
        findings.push(Found::new(section, effect, assessed.risk, rule, place, message).text(assessed.row));
    }
}

pub(super) fn explain(risks: &Risks) -> Vec<String> {
    let names = [("low", Risk::Low), ("medium", Risk::Medium), ("high", Risk::High), ("critical", Risk::Critical)];
    let lines = names.map(|(name, risk)| {
        let named = risk == Risk::Medium && risks.medium.is_none();
        let unless = if named { ", unless a rule allows the act by name" } else { "" };
        format!("acts of {name} risk: {} at least{unless}", risks.of(risk).as_str())
    });
    lines.into_iter().collect()
}

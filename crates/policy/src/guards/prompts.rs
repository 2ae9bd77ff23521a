//! Guard `prompts`: text that enters an agent's context and tries to give it orders, or holds what a reader doesn't see.

use bartizan_model::{ActionKind, Deed, Effect, Origin, Risk, Sighting, SightingClass};

use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::language::{OriginRules, PolicyFile, Prompts};
use crate::place::At;

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    Some(Box::new(PromptGuard { prompts: file.prompts.clone()? }))
}

#[derive(Debug)]
struct PromptGuard {
    prompts: Prompts,
}

impl PromptGuard {
    fn rules(&self, origin: Origin) -> Option<&OriginRules> {
        match origin {
            Origin::User => self.prompts.user.as_ref(),
            Origin::Retrieved => self.prompts.retrieved.as_ref(),
            Origin::Model => self.prompts.model.as_ref(),
            // What isn't known is read as what is trusted least.
            _ => self.prompts.tool.as_ref(),
        }
    }
}

/// How sure a scanner must be of secrets and personal data in what comes in.
const SCORE: u8 = 50;

/// A secret or personal data in the text.
fn held(findings: &mut Findings, sighting: &Sighting, effect: Option<&At<Effect>>, rule: String, what: &str) {
    let Some(effect) = effect.filter(|effect| effect.value > Effect::Allow && sighting.score >= SCORE) else { return };
    let message = format!("the text holds {what} (`{}`)", sighting.kind);
    findings.push(Found::new("prompts", effect.value, Risk::High, rule, Some(&effect.place), message));
}

impl Guard for PromptGuard {
    fn name(&self) -> &'static str {
        "prompts"
    }

    fn interest(&self) -> Interest {
        Interest::of(&[ActionKind::ContentReceive])
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let Deed::ContentReceive { origin, .. } = scene.deed else { return };
        let Some(rules) = self.rules(*origin) else { return };
        let origin = origin.as_str();
        for sighting in scene.look.sightings {
            match sighting.class {
                SightingClass::Injection => {
                    let reached = |threshold: &Option<crate::place::At<u8>>| {
                        threshold.clone().filter(|threshold| sighting.score >= threshold.value)
                    };
                    let (effect, key, place) = match (reached(&rules.deny), reached(&rules.ask)) {
                        (Some(at), _) => (Effect::Deny, "deny", at.place),
                        (None, Some(at)) => (Effect::Ask, "ask", at.place),
                        (None, None) => continue,
                    };
                    let message = format!(
                        "the text looks like orders to whoever reads it (`{}`, {} of 100)",
                        sighting.kind, sighting.score
                    );
                    let rule = format!("prompts.{origin}.{key}");
                    findings.push(Found::new("prompts", effect, Risk::High, rule, Some(&place), message));
                }
                SightingClass::Hidden => {
                    if let Some(hidden) = rules.hidden.as_ref().filter(|hidden| hidden.value > Effect::Allow) {
                        let message = format!("the text holds what a reader doesn't see (`{}`)", sighting.kind);
                        let rule = format!("prompts.{origin}.hidden");
                        findings.push(Found::new(
                            "prompts",
                            hidden.value,
                            Risk::High,
                            rule,
                            Some(&hidden.place),
                            message,
                        ));
                    }
                }
                SightingClass::Secret => {
                    let place = rules.secret.as_ref();
                    held(findings, sighting, place, format!("prompts.{origin}.secret"), "a secret");
                }
                SightingClass::Personal => {
                    let place = rules.personal.as_ref();
                    held(findings, sighting, place, format!("prompts.{origin}.personal"), "personal data");
                }
                _ => {}
            }
        }
    }

    fn explain(&self) -> Vec<String> {
        let origins = [
            ("user", &self.prompts.user),
            ("retrieved", &self.prompts.retrieved),
            ("tool", &self.prompts.tool),
            ("model", &self.prompts.model),
        ];
        let mut lines = Vec::new();
        for (origin, rules) in origins {
            let Some(rules) = rules else { continue };
            let mut parts = Vec::new();
            parts.extend(rules.ask.as_ref().map(|score| format!("asks a person from {} of 100 on", score.value)));
            parts.extend(rules.deny.as_ref().map(|score| format!("refuses from {} of 100 on", score.value)));
            parts.extend(rules.hidden.as_ref().map(|effect| format!("hidden text: {}", effect.value.as_str())));
            parts.extend(rules.secret.as_ref().map(|effect| format!("secrets: {}", effect.value.as_str())));
            parts.extend(rules.personal.as_ref().map(|effect| format!("personal data: {}", effect.value.as_str())));
            if !parts.is_empty() {
                lines.push(format!("text of origin `{origin}` that gives orders: {}", parts.join("; ")));
            }
        }
        lines
    }
}

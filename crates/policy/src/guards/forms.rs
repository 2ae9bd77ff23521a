//! Guard `content.patterns`: what the policy itself says must not leave, by its form.

use bartizan_model::{ActionKind, Effect, Risk};

use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::language::{ContentPattern, PolicyFile};
use crate::place::{At, quoted};

/// Deeds whose content goes somewhere.
pub(super) fn outgoing() -> Interest {
    use ActionKind::{BrowserAct, ComputerAct, FilePatch, FileWrite, HttpRequest, LlmRequest, MessageSend, ToolCall};
    Interest::of(&[HttpRequest, ToolCall, LlmRequest, MessageSend, BrowserAct, ComputerAct, FileWrite, FilePatch])
}

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    let patterns = file.content.as_ref()?.patterns.clone()?;
    Some(Box::new(FormGuard { patterns }))
}

#[derive(Debug)]
struct FormGuard {
    patterns: Vec<At<ContentPattern>>,
}

impl Guard for FormGuard {
    fn name(&self) -> &'static str {
        "content"
    }

    fn interest(&self) -> Interest {
        outgoing()
    }

    fn reads_bodies(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.value.effect > Effect::Allow)
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        if self.patterns.is_empty() {
            return;
        }
        scene.deed.contents(|_, bytes| {
            for (index, At { value, place }) in self.patterns.iter().enumerate() {
                if value.effect > Effect::Allow && value.pattern.is_match(bytes) {
                    let rule = format!("content.patterns[{index}]");
                    let message = format!("{} would leave", quoted(&value.name));
                    let found = Found::new("content", value.effect, Risk::Critical, rule, Some(place), message);
                    findings.push(found.text(value.pattern.as_str()));
                }
            }
        });
    }

    fn explain(&self) -> Vec<String> {
        let name = |at: &At<ContentPattern>| {
            format!("what looks like {}: {}", quoted(&at.value.name), at.value.effect.as_str())
        };
        self.patterns.iter().map(name).collect()
    }
}

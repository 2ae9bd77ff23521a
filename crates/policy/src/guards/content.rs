//! Guard `content`: secrets and personal data in bytes that leave.

use std::borrow::Cow;

use bartizan_model::{ActionKind, Deed, Risk, Sighting, SightingClass};

use crate::deeds::names;
use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::language::{ContentEffect, ContentRule, PolicyFile};
use crate::pattern::Wildcard;
use crate::place::{At, Place};

/// How sure a scanner must be where the policy doesn't say.
const SCORE: u8 = 50;

pub(super) fn compile(file: &PolicyFile) -> Option<Box<dyn Guard>> {
    let section = file.content.as_ref()?;
    let lists = [
        (ContentEffect::Allow, &section.allow),
        (ContentEffect::Redact, &section.redact),
        (ContentEffect::Ask, &section.ask),
        (ContentEffect::Deny, &section.deny),
    ];
    let rules = lists.into_iter().flat_map(|(effect, list)| {
        let rules = list.iter().flatten().enumerate();
        rules.map(move |(index, rule)| Rule::compile(effect, index, rule))
    });
    Some(Box::new(ContentGuard {
        secret: section.secret.clone(),
        personal: section.personal.clone(),
        score: section.score.as_ref().map_or(SCORE, |score| score.value),
        rules: rules.collect(),
    }))
}

#[derive(Debug)]
struct ContentGuard {
    secret: Option<At<ContentEffect>>,
    personal: Option<At<ContentEffect>>,
    score: u8,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    name: String,
    place: Place,
    effect: ContentEffect,
    class: Option<SightingClass>,
    kind: Option<Wildcard>,
    to: Vec<Wildcard>,
}

impl Rule {
    fn compile(effect: ContentEffect, index: usize, rule: &At<ContentRule>) -> Self {
        Self {
            name: format!("content.{}[{index}]", effect.as_str()),
            place: rule.place.clone(),
            effect,
            class: rule.value.class,
            kind: rule.value.kind.as_deref().map(Wildcard::new),
            to: rule.value.to.iter().map(|to| Wildcard::new(to)).collect(),
        }
    }

    fn matches(&self, sighting: &Sighting, deed: &Deed) -> bool {
        self.class.is_none_or(|class| class == sighting.class)
            && self.kind.as_ref().is_none_or(|kind| kind.matches(sighting.kind.as_bytes(), true))
            && (self.to.is_empty()
                || sinks(deed).any(|sink| self.to.iter().any(|to| to.matches(sink.as_bytes(), true))))
    }
}

/// Where the bytes would go, as `to` names it: a word for the sort of place, and the place itself.
fn sinks(deed: &Deed) -> impl Iterator<Item = Cow<'_, str>> {
    let word = match deed {
        Deed::FileWrite { .. } | Deed::FilePatch { .. } => "file",
        Deed::HttpRequest { .. } => "http",
        Deed::LlmRequest { .. } => "model",
        Deed::MessageSend { .. } => "message",
        Deed::ToolCall { .. } => "tool",
        Deed::BrowserAct { .. } => "browser",
        Deed::ComputerAct { operation, .. } if operation.starts_with("clipboard") => "clipboard",
        _ => "computer",
    };
    std::iter::once(Cow::Borrowed(word)).chain(names(deed))
}

impl Guard for ContentGuard {
    fn name(&self) -> &'static str {
        "content"
    }

    fn interest(&self) -> Interest {
        use ActionKind::{
            BrowserAct, ComputerAct, FilePatch, FileWrite, HttpRequest, LlmRequest, MessageSend, ToolCall,
        };
        Interest::of(&[HttpRequest, ToolCall, LlmRequest, MessageSend, BrowserAct, ComputerAct, FileWrite, FilePatch])
    }

    fn reads_bodies(&self) -> bool {
        let holds_back = |effect: &Option<At<ContentEffect>>| {
            effect.as_ref().is_some_and(|effect| effect.value != ContentEffect::Allow)
        };
        let rules = self.rules.iter().any(|rule| rule.effect != ContentEffect::Allow);
        rules || holds_back(&self.secret) || holds_back(&self.personal)
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        for sighting in scene.look.sightings {
            let class = match sighting.class {
                SightingClass::Secret => &self.secret,
                SightingClass::Personal => &self.personal,
                _ => continue,
            };
            if sighting.score < self.score {
                continue;
            }
            let rule =
                self.rules.iter().filter(|rule| rule.matches(sighting, scene.deed)).max_by_key(|rule| rule.effect);
            let (effect, name, place) = match (rule, class) {
                (Some(rule), _) => (rule.effect, rule.name.clone(), &rule.place),
                (None, Some(class)) => (class.value, format!("content.{}", sighting.class.as_str()), &class.place),
                (None, None) => continue,
            };
            let what = if sighting.class == SightingClass::Secret { "a secret" } else { "personal data" };
            if effect == ContentEffect::Redact {
                let message = format!("{what} is taken out before it leaves (`{}`)", sighting.kind);
                findings.redact(&name, sighting);
                findings.push(Found::new("content", effect.effect(), Risk::Low, name, Some(place), message));
                continue;
            }
            let risk = if sighting.class == SightingClass::Secret { Risk::Critical } else { Risk::High };
            let message = format!("{what} would leave (`{}`)", sighting.kind);
            findings.push(Found::new("content", effect.effect(), risk, name, Some(place), message));
        }
    }

    fn explain(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (what, effect) in [("secrets", &self.secret), ("personal data", &self.personal)] {
            if let Some(effect) = effect {
                lines.push(format!("{what} in what leaves: {}", effect.value.as_str()));
            }
        }
        if !self.rules.is_empty() {
            lines.push(format!("{} rules for single kinds and destinations", self.rules.len()));
        }
        lines
    }
}

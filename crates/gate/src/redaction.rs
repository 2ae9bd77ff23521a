//! Takes out of an action what its verdict wants taken out, before anybody may carry it out.

use std::borrow::Cow;

use bartizan_model::{Action, Deed, Effect, Obligation, RedactError, Risk, RuleRef, Sighting, SightingClass, Verdict};
use bartizan_scan::replace::{Replacer, Style};

use crate::gate::Gate;

/// Times what is left is looked at anew and taken out as well. Once is enough but for text that reads as something else
/// without its middle; what takes longer was made to.
const ROUNDS_MAX: usize = 4;

/// A decision, and the action without what the decision wants taken out of it.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) verdict: Verdict,
    pub(crate) clean: Option<Box<Action>>,
}

impl Gate {
    /// Decides, and takes out what is to be taken out. Where that can't be done, or whoever carries it out would not go by
    /// what is left (`redactable`), the decision is to deny.
    pub(crate) fn decided(&self, action: &Action, sightings: &[Sighting], redactable: bool) -> Decided {
        let verdict = self.parts.decider.decide(action, sightings);
        if verdict.effect == Effect::Deny || !verdict.redacts() {
            return Decided { verdict, clean: None };
        }
        let clean = if redactable {
            self.without(action, &verdict)
        } else {
            Err("what carries it out can't do that; send it without".to_owned())
        };
        match clean {
            Ok(clean) => Decided { verdict, clean: Some(Box::new(clean)) },
            Err(why) => Decided { verdict: denied(verdict, &why), clean: None },
        }
    }

    fn without(&self, action: &Action, verdict: &Verdict) -> Result<Action, String> {
        let mut clean = action.clone();
        let mut wanted = Cow::Borrowed(verdict);
        for _ in 0..ROUNDS_MAX {
            clean.deed = self.taken_out(clean.deed, &wanted).map_err(|error| error.to_string())?;
            let left = self.parts.decider.decide(&clean, &self.sightings(&clean));
            if left.effect > verdict.effect {
                return Err(format!("what is left is held back by `{}`", left.rule.rule));
            }
            if !left.redacts() {
                return Ok(clean);
            }
            wanted = Cow::Owned(left);
        }
        Err("what is left reads as something that must be taken out, too; send it without".to_owned())
    }

    fn taken_out(&self, deed: Deed, verdict: &Verdict) -> Result<Deed, RedactError> {
        let replacer = Replacer::new(Style::Label);
        let mut parts = Vec::new();
        deed.contents(|part, bytes| {
            let seen = self.parts.scanner.scan(bytes).into_iter().map(|sighting| sighting.in_part(part));
            let seen: Vec<_> = seen.filter(|sighting| verdict.takes_out(sighting)).map(as_scanned).collect();
            if !seen.is_empty() {
                parts.push((part, replacer.replace(bytes, &seen)));
            }
        });
        parts.into_iter().try_fold(deed, |deed, (part, bytes)| deed.with_part(part, bytes))
    }
}

/// The sighting in the scanner's own words, to be replaced.
fn as_scanned(sighting: Sighting) -> bartizan_scan::Sighting {
    let (class, word) = match sighting.class {
        SightingClass::Secret => (bartizan_scan::Class::Secret, "secret"),
        SightingClass::Injection => (bartizan_scan::Class::Injection, "injection"),
        SightingClass::Hidden => (bartizan_scan::Class::Hidden, "hidden"),
        _ => (bartizan_scan::Class::Personal, "personal"),
    };
    let kind = match sighting.kind {
        Cow::Borrowed(kind) => kind,
        // The scanner's kinds are all known by name; of any other the class is.
        Cow::Owned(_) => word,
    };
    bartizan_scan::Sighting { class, kind, score: sighting.score, span: sighting.span }
}

/// The same decision where what it wants can't be done.
fn denied(mut verdict: Verdict, why: &str) -> Verdict {
    let wanted = std::mem::take(&mut verdict.obligations);
    for obligation in wanted {
        if let Obligation::Redact { rule, class, kind, part, .. } = obligation {
            let class = class.as_str();
            let part = part.as_str();
            verdict.reason = format!("`{kind}` ({class}) would have to be taken out of the {part}, and {why}");
            verdict.rule = RuleRef { rule, text: None, source: None };
            break;
        }
    }
    verdict.effect = Effect::Deny;
    verdict.risk = verdict.risk.max(Risk::High);
    verdict
}

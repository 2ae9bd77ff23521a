//! What every compiled rule carries, and which of those that match is named.

use bartizan_model::{Effect, RuleRef};

use crate::place::Place;

/// A rule's identity in verdicts.
#[derive(Debug, Clone)]
pub(crate) struct RuleInfo {
    /// Dotted place in the effective policy, e.g. `net.allow[2]`.
    pub(crate) rule: String,
    pub(crate) text: String,
    /// Absent for rules that hold whatever a policy says.
    pub(crate) place: Option<Place>,
    pub(crate) effect: Effect,
    /// How specific it is.
    pub(crate) rank: u32,
}

impl RuleInfo {
    pub(crate) fn new(rule: String, text: &str, place: &Place, effect: Effect, rank: u32) -> Self {
        Self { rule, text: text.to_owned(), place: Some(place.clone()), effect, rank }
    }

    pub(crate) fn reference(&self) -> RuleRef {
        RuleRef {
            rule: self.rule.clone(),
            text: Some(self.text.clone()),
            source: self.place.as_ref().map(Place::short),
        }
    }
}

/// The most specific matching rule of each effect.
#[derive(Debug, Default)]
pub(crate) struct Best {
    deny: Option<(u32, u32)>,
    ask: Option<(u32, u32)>,
    allow: Option<(u32, u32)>,
}

impl Best {
    /// Takes note of a match. Of two equally specific rules the later one, nearer to the user, is named.
    pub(crate) fn offer(&mut self, effect: Effect, rank: u32, id: u32) {
        let slot = match effect {
            Effect::Deny => &mut self.deny,
            Effect::Ask => &mut self.ask,
            Effect::Allow => &mut self.allow,
        };
        *slot = (*slot).max(Some((rank, id)));
    }

    /// Deny beats ask beats allow.
    pub(crate) fn winner(&self) -> Option<(Effect, u32)> {
        let named = |effect, slot: Option<(u32, u32)>| slot.map(|(_, id)| (effect, id));
        named(Effect::Deny, self.deny).or(named(Effect::Ask, self.ask)).or(named(Effect::Allow, self.allow))
    }
}

/// The index as rules are numbered; policies are bounded far below.
pub(crate) fn id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

//! Counters of budgets: what is used, and what is reserved by actions under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bartizan_model::Effect;

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Run,
    Session,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    Requests,
    Bytes,
    Tokens,
    /// In millionths of the currency.
    Cost,
}

impl Unit {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
        }
    }
}

/// What an action takes from one budget.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) scope: Scope,
    /// Names the counter; one for each rule and unit.
    pub(crate) key: Arc<str>,
    /// The rule that limits it, e.g. `budgets.session.requests`.
    pub(crate) rule: Arc<str>,
    pub(crate) unit: Unit,
    pub(crate) amount: u64,
    pub(crate) limit: u64,
    /// What becomes of what would go over.
    pub(crate) over: Effect,
    /// What a million tokens cost, sent and answered: known where the cost is that of a model.
    pub(crate) price: Option<(u64, u64)>,
    /// Taken even if it goes over: a person said so.
    pub(crate) forced: bool,
}

/// Counters that all sessions of a run share, or those of one session.
#[derive(Debug, Default)]
pub struct Counters {
    counts: Mutex<Counts>,
}

/// Used and reserved. There are as many as the policy has budgets, so their number is bounded by its size.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    taken: HashMap<Arc<str>, u64>,
}

impl Counters {
    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn taken(&self, charge: &Charge) -> u64 {
        self.lock().taken.get(&charge.key).copied().unwrap_or(0)
    }

    /// Gives back what was reserved and not used, or takes what was used beyond it.
    pub(super) fn settle(&self, charge: &Charge, used: u64) {
        let mut counts = self.lock();
        if let Some(taken) = counts.taken.get_mut(&charge.key) {
            *taken = taken.saturating_sub(charge.amount).saturating_add(used);
        }
    }
}

impl Counts {
    pub(super) fn has_room(&self, charge: &Charge) -> bool {
        let taken = self.taken.get(&charge.key).copied().unwrap_or(0);
        // What is used up leaves no room even for what takes nothing yet.
        charge.forced
            || (taken.saturating_add(charge.amount) <= charge.limit && (charge.amount > 0 || taken < charge.limit))
    }

    pub(super) fn reserve(&mut self, charge: &Charge) {
        let taken = self.taken.entry(charge.key.clone()).or_default();
        *taken = taken.saturating_add(charge.amount);
    }
}

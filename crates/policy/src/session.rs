//! What one run or session has read, done and used up. Everything in it is bounded, locking is inside, and it has no
//! clock: whoever calls says what time it is.

mod counters;
mod labels;
mod provenance;

pub use counters::Counters;
pub(crate) use counters::{Charge, Scope, Unit};
pub use labels::Label;
pub(crate) use provenance::Named;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bartizan_model::{ActionId, Digest};
use jiff::Timestamp;

use labels::LabelSet;
use provenance::Words;

/// Most sequences followed at once: more than any policy has rules; what comes later isn't followed but held.
const SEQUENCES_MAX: usize = 1024;

/// Questions to models that are remembered: a loop over this many different ones isn't noticed.
const QUESTIONS_MAX: usize = 1024;

/// The memory of one run or session.
#[derive(Debug, Default)]
pub struct Session {
    labels: LabelSet,
    /// What all sessions of a run use up together.
    run: Arc<Counters>,
    own: Counters,
    words: Mutex<Words>,
    sequences: Mutex<HashMap<String, Progress>>,
    begun: Mutex<HashMap<ActionId, Begun>>,
    started: Mutex<Option<Timestamp>>,
    /// Questions to models, the newest last.
    questions: Mutex<VecDeque<(Digest, Timestamp)>>,
    /// Something could not be remembered; what depends on it holds from now on.
    overflowed: AtomicBool,
}

/// What an action under way has taken, and what had been read before it.
#[derive(Debug)]
struct Begun {
    charges: Vec<Charge>,
    labels: Vec<Label>,
}

/// How far a sequence has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) step: usize,
    pub(crate) at: Option<Timestamp>,
}

impl Session {
    /// A session on its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A session of a run whose sessions share these counters.
    #[must_use]
    pub fn of_run(run: &Arc<Counters>) -> Self {
        Self { run: run.clone(), ..Self::default() }
    }

    /// Data with this label was read.
    pub fn add_label(&self, label: &Label) {
        self.labels.add(label);
    }

    /// Whether data with this label was read.
    #[must_use]
    pub fn has_label(&self, label: &Label) -> bool {
        self.labels.has(label)
    }

    /// Every label there is, in a fixed order.
    #[must_use]
    pub fn labels(&self) -> Vec<Label> {
        self.labels.all()
    }

    /// The principal's own words.
    pub fn instruct(&self, text: &str) {
        lock(&self.words).instruct(text);
    }

    /// A value of trusted configuration: a host, a recipient, a path.
    pub fn trust(&self, value: &str) {
        lock(&self.words).trust(value);
    }

    /// Text from an untrusted place.
    pub fn hear(&self, text: &str) {
        lock(&self.words).hear(text);
    }

    /// Where a value was named.
    pub(crate) fn named(&self, value: &str) -> Named {
        lock(&self.words).named(value)
    }

    pub(crate) fn progress(&self, key: &str) -> Option<Progress> {
        lock(&self.sequences).get(key).copied()
    }

    pub(crate) fn set_progress(&self, key: &str, progress: Progress) {
        let mut sequences = lock(&self.sequences);
        if let Some(known) = sequences.get_mut(key) {
            *known = progress;
        } else if sequences.len() < SEQUENCES_MAX {
            sequences.insert(key.to_owned(), progress);
        } else {
            self.overflowed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether something could not be remembered.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// A model is asked this.
    pub(crate) fn ask(&self, question: Digest, now: Timestamp) {
        let mut questions = lock(&self.questions);
        if questions.len() == QUESTIONS_MAX {
            questions.pop_front();
        }
        questions.push_back((question, now));
    }

    /// How often a model was asked this since then.
    pub(crate) fn asked(&self, question: &Digest, since: Timestamp) -> u64 {
        let questions = lock(&self.questions);
        let same = questions.iter().filter(|(asked, at)| asked == question && *at >= since);
        u64::try_from(same.count()).unwrap_or(u64::MAX)
    }

    /// When its first action was begun.
    pub(crate) fn started(&self) -> Option<Timestamp> {
        *lock(&self.started)
    }

    pub(crate) fn start(&self, now: Option<Timestamp>) {
        let mut started = lock(&self.started);
        *started = started.or(now);
    }

    pub(crate) fn used(&self, charge: &Charge) -> u64 {
        self.counters(charge.scope).taken(charge)
    }

    fn counters(&self, scope: Scope) -> &Counters {
        match scope {
            Scope::Run => &self.run,
            Scope::Session => &self.own,
        }
    }

    /// Whether this action is under way.
    pub(crate) fn has_begun(&self, action: &ActionId) -> bool {
        lock(&self.begun).contains_key(action)
    }

    /// Whether data with this label had been read before this action was begun.
    pub(crate) fn had_label(&self, action: &ActionId, label: &Label) -> bool {
        lock(&self.begun).get(action).is_some_and(|begun| begun.labels.contains(label))
    }

    /// Takes all of these or none. The answer is the first there is no room for.
    pub(crate) fn reserve(&self, action: &ActionId, charges: Vec<Charge>) -> Result<(), Charge> {
        // Always the run's first, so that two sessions never wait for each other.
        let mut run = self.run.lock();
        let mut own = self.own.lock();
        for charge in &charges {
            let counts = match charge.scope {
                Scope::Run => &run,
                Scope::Session => &own,
            };
            if !counts.has_room(charge) {
                return Err(charge.clone());
            }
        }
        for charge in &charges {
            let counts = match charge.scope {
                Scope::Run => &mut run,
                Scope::Session => &mut own,
            };
            counts.reserve(charge);
        }
        drop((run, own));
        lock(&self.begun).insert(action.clone(), Begun { charges, labels: self.labels.all() });
        Ok(())
    }

    /// Turns what an action had reserved into what it used; `actual` says how much of each, nothing for what the
    /// reservation estimates best.
    pub(crate) fn settle(&self, action: &ActionId, actual: impl Fn(&Charge) -> Option<u64>) {
        let Some(begun) = lock(&self.begun).remove(action) else { return };
        for charge in begun.charges {
            let used = actual(&charge).unwrap_or(charge.amount);
            self.counters(charge.scope).settle(&charge, used);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

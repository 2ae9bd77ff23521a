//! The sessions of one process: what each run or session of an agent has read, done and used up, between one action
//! and the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bartizan_model::Action;
use bartizan_policy::{Counters, Session};

/// Most sessions told apart. Those that come later share one memory, which is only stricter.
const SESSIONS_MAX: usize = 4096;

/// Every session there is.
#[derive(Default)]
pub struct Sessions {
    /// What all of them use up together.
    run: Arc<Counters>,
    known: Mutex<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    /// The session an action belongs to: the one it names, or its run's, or the process's own.
    pub fn of(&self, action: &Action) -> Arc<Session> {
        let name = action.session.as_ref().map(|session| session.as_str());
        self.named(name.or(action.run.as_ref().map(|run| run.as_str())).unwrap_or_default())
    }

    /// The session of this name.
    pub fn named(&self, name: &str) -> Arc<Session> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = known.get(name) {
            return session.clone();
        }
        let name = if known.len() < SESSIONS_MAX { name } else { "" };
        known.entry(name.to_owned()).or_insert_with(|| Arc::new(Session::of_run(&self.run))).clone()
    }
}

//! Notices changes of everything a policy is made of: its files and Rego modules, the project's, the settings, bundles
//! and exceptions. A better policy takes over whole; a broken one changes nothing and says so.

use std::time::{Duration, Instant};

use crate::home::Home;
use crate::policies::{Choice, Policies, Stamps};

/// How often there is a look: soon enough for a person, cheap enough to forget.
pub const PERIOD: Duration = Duration::from_millis(500);

/// What a look found.
pub enum Change {
    /// Another policy holds from now on.
    Better(Policies),
    /// The files changed and can't be used; the policy stays as it was. Said once for each problem.
    Broken(String),
}

/// Watches what a policy was loaded from.
pub struct Reloader {
    home: Home,
    choice: Choice,
    policies: Policies,
    stamps: Stamps,
    looked_at: Instant,
    /// What is wrong with the files; while something is, they are read again at every look, because what mends them
    /// may be a file that wasn't there before.
    broken: Option<String>,
}

impl Reloader {
    /// Watches from now on.
    pub fn new(home: Home, choice: Choice, policies: Policies) -> Self {
        let stamps = Stamps::of(&policies.watched);
        Self { home, choice, policies, stamps, looked_at: Instant::now(), broken: None }
    }

    /// Looks, unless it has just looked.
    pub fn look_if_due(&mut self) -> Option<Change> {
        if self.looked_at.elapsed() < PERIOD {
            return None;
        }
        self.look()
    }

    /// Looks now.
    pub fn look(&mut self) -> Option<Change> {
        self.looked_at = Instant::now();
        let now = Stamps::of(&self.policies.watched);
        if now == self.stamps && self.broken.is_none() {
            return None;
        }
        self.stamps = now;
        match Policies::load(&self.home, &self.choice, &self.policies.workspace) {
            Ok(loaded) => {
                let same = loaded.set.digest() == self.policies.set.digest()
                    && loaded.set.exceptions() == self.policies.set.exceptions()
                    && loaded.set.grants() == self.policies.set.grants()
                    && loaded.set.bundle() == self.policies.set.bundle();
                let mended = self.broken.take().is_some();
                self.stamps = Stamps::of(&loaded.watched);
                self.policies = loaded;
                (!same || mended).then(|| Change::Better(self.policies.clone()))
            }
            Err(error) => {
                let problem = format!("{error:#}");
                let told = self.broken.as_ref() == Some(&problem);
                self.broken = Some(problem.clone());
                (!told).then(|| {
                    Change::Broken(format!(
                        "the policy's files changed but can't be used, so the policy stays as it was: {problem}"
                    ))
                })
            }
        }
    }
}

//! The stages of an action as types. None can be made outside this crate: every constructor is private to
//! the gate, and none is `Clone`, so a stage is passed on exactly once.

use bartizan_model::{Action, Approval, Deed, Digest, Sighting, Verdict};
use zeroize::Zeroizing;

use crate::clean::Clean;
use crate::ports::{Outgoing, Position, Released, SecretsError};

/// An action whose principal is established and whose exact form is fixed by its digest.
#[derive(Debug)]
#[must_use]
pub struct Identified {
    pub(crate) action: Action,
    pub(crate) digest: Digest,
    /// The action as it is kept and shown.
    pub(crate) kept: Clean<Action>,
    /// Whoever carries it out goes by [`Armed::action`].
    pub(crate) redactable: bool,
}

/// An identified action whose content was looked at. Made only by scanning.
#[derive(Debug)]
#[must_use]
pub struct Scanned {
    pub(crate) identified: Identified,
    pub(crate) sightings: Vec<Sighting>,
}

/// A scanned action that policy allows, or allows to be asked about. Made only by deciding.
#[derive(Debug)]
#[must_use]
pub struct Permitted {
    pub(crate) scanned: Scanned,
    pub(crate) verdict: Verdict,
    /// The action without what the verdict wants taken out of it.
    pub(crate) clean: Option<Box<Action>>,
}

/// A permitted action that needed no person, or got a person's yes for exactly this deed. Made only by approving.
#[derive(Debug)]
#[must_use]
pub struct Approved {
    pub(crate) permitted: Permitted,
    pub(crate) approval: Option<Approval>,
}

/// An approved action whose intent is on disk. Made only by a durable ledger entry.
#[derive(Debug)]
#[must_use]
pub struct Opened {
    pub(crate) approved: Approved,
    /// Its verdict and approval as they were kept.
    pub(crate) verdict: Clean<Verdict>,
    pub(crate) approval: Option<Clean<Approval>>,
    pub(crate) position: Position,
}

/// An opened action with everything it needs: the only thing an effect accepts. Made only by injecting.
///
/// It must be given back to [`crate::Gate::close`]; if the process dies first, the entry stays open and
/// recovery marks its outcome as unknown.
#[derive(Debug)]
#[must_use]
pub struct Armed {
    pub(crate) opened: Opened,
    pub(crate) released: Released,
}

impl Identified {
    /// The action.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// The same, said to be carried out as [`Armed::action`] then says, which may be without some of its content. What
    /// is carried out exactly as it was handed in must not say so: where policy wants something taken out of it, it is
    /// denied.
    pub fn redactable(mut self) -> Self {
        self.redactable = true;
        self
    }
}

impl Scanned {
    /// What was seen in its content.
    #[must_use]
    pub fn sightings(&self) -> &[Sighting] {
        &self.sightings
    }
}

impl Permitted {
    /// The decision.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The action to carry out.
    pub(crate) fn action(&self) -> &Action {
        self.clean.as_deref().unwrap_or(&self.scanned.identified.action)
    }
}

impl Armed {
    /// The action to carry out: exactly as it was decided, without what policy wants taken out of it.
    #[must_use]
    pub fn action(&self) -> &Action {
        self.opened.approved.permitted.action()
    }

    /// What was seen in its content.
    #[must_use]
    pub fn sightings(&self) -> &[Sighting] {
        &self.opened.approved.permitted.scanned.sightings
    }

    /// The decision it rests on.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.opened.approved.permitted.verdict
    }

    /// Puts the values that were released for this very action in the places of their placeholders.
    ///
    /// # Errors
    /// A value can't stand where it is bound to.
    pub fn fill(&self, request: &mut Outgoing) -> Result<(), SecretsError> {
        self.released.fill(request)
    }

    /// The text with what was released for this very action in it, where the action hands a secret to the box itself.
    /// `None` where nothing was.
    #[must_use]
    pub fn text(&self, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match &self.action().deed {
            Deed::SecretUse { destination: Some(destination), .. } => self.released.text(destination, text),
            _ => None,
        }
    }

    /// The ledger entry that holds its intent.
    #[must_use]
    pub fn position(&self) -> Position {
        self.opened.position
    }
}

//! The approval desk: where questions wait until somebody, anywhere, answers. It is the gate's usual
//! [`Approver`]; terminals, sockets and pages watch it and answer through it, and exactly one answer wins.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bartizan_model::{Approval, ApprovalReach, Digest};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use crate::ports::{Answer, Approver, BoxFuture, Clock, Question};

/// Questions that may wait at once; more are answered with [`Answer::NoAnswer`] rather than flooding a person.
pub const PENDING_MAX: usize = 64;

/// Characters of a question's number that a person types.
const NUMBER_CHARS: usize = 6;

/// Keeps the approvals that outlive a run.
pub trait Standing: Send + Sync {
    /// A standing approval for this action under this policy that hasn't ended, if there is one.
    fn find(&self, action: &Digest, policy: &Digest, now: Timestamp) -> Option<Approval>;
    /// Keeps an approval under this policy.
    ///
    /// # Errors
    /// It can't be stored; the sentence says why.
    fn keep(&self, approval: &Approval, policy: &Digest) -> Result<(), String>;
}

/// A question that waits.
#[derive(Debug, Clone)]
pub struct Pending {
    /// What a person types to name it.
    pub number: String,
    /// The question.
    pub question: Question,
}

/// What a person decided.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Yes, this far.
    Approve(ApprovalReach),
    /// No.
    Deny,
}

/// Why an answer did not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Answered, withdrawn or timed out already, or never asked.
    #[error("no question `{number}` is waiting; `bartizan approval list` shows those that are")]
    NotPending {
        /// What was named.
        number: String,
    },
    /// The person saw another action than the one that waits.
    #[error(
        "question `{number}` is about {waiting}, not {seen}; look at it again with `bartizan approval show {number}`"
    )]
    OtherAction {
        /// What was named.
        number: String,
        /// The waiting action's digest.
        waiting: Digest,
        /// The digest that was answered.
        seen: Digest,
    },
    /// The approval could not be made to last.
    #[error("the approval can't be kept: {reason}")]
    Keep {
        /// The cause.
        reason: String,
    },
    /// There is no time to stamp it with.
    #[error("{0}")]
    Clock(String),
}

struct Waiting {
    pending: Pending,
    answer: oneshot::Sender<Answer>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<String, Waiting>,
    for_this_run: HashMap<Digest, Approval>,
}

/// See the module's documentation.
pub struct Desk {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    standing: Arc<dyn Standing>,
    clock: Arc<dyn Clock>,
}

impl Desk {
    /// An empty desk.
    #[must_use]
    pub fn new(standing: Arc<dyn Standing>, clock: Arc<dyn Clock>) -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(0), standing, clock }
    }

    /// The questions that wait, oldest first.
    #[must_use]
    pub fn pending(&self) -> Vec<Pending> {
        let mut pending: Vec<_> = self.lock().waiting.values().map(|waiting| waiting.pending.clone()).collect();
        pending.sort_by_key(|pending| pending.question.asked_at);
        pending
    }

    /// Changes whenever a question comes or goes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Answers a question. `seen` is the digest of the action the person looked at, where they could.
    ///
    /// # Errors
    /// It no longer waits (somebody else was first), it is about another action, or the approval can't be kept.
    pub fn answer(
        &self,
        number: &str,
        seen: Option<Digest>,
        decision: Decision,
        by: &str,
        via: &str,
    ) -> Result<(), AnswerError> {
        let number = number.to_ascii_uppercase();
        let at = self.clock.now().map_err(|error| AnswerError::Clock(error.to_string()))?;
        let mut state = self.lock();
        let Some(waiting) = state.waiting.get(&number) else {
            return Err(AnswerError::NotPending { number });
        };
        let question = &waiting.pending.question;
        let digest = question.action_digest;
        if let Some(seen) = seen.filter(|seen| *seen != digest) {
            return Err(AnswerError::OtherAction { number, waiting: digest, seen });
        }
        let reach = match decision {
            Decision::Deny => {
                if let Some(waiting) = state.waiting.remove(&number) {
                    let _ = waiting.answer.send(Answer::Denied { by: by.to_owned() });
                }
                drop(state);
                self.notify();
                return Ok(());
            }
            Decision::Approve(reach) => reach,
        };
        let approval = Approval { action_digest: digest, by: by.to_owned(), via: via.to_owned(), reach, at };
        match approval.reach {
            ApprovalReach::Once => {}
            ApprovalReach::Run => {
                state.for_this_run.insert(digest, approval.clone());
            }
            ApprovalReach::Until(_) => {
                let policy = question.verdict.policy;
                self.standing.keep(&approval, &policy).map_err(|reason| AnswerError::Keep { reason })?;
                state.for_this_run.insert(digest, approval.clone());
            }
        }
        let answered: Vec<String> = if approval.reach == ApprovalReach::Once {
            vec![number]
        } else {
            let same = |waiting: &Waiting| waiting.pending.question.action_digest == digest;
            state.waiting.iter().filter(|(_, waiting)| same(waiting)).map(|(number, _)| number.clone()).collect()
        };
        for number in answered {
            if let Some(waiting) = state.waiting.remove(&number) {
                let _ = waiting.answer.send(Answer::Approved(approval.clone()));
            }
        }
        drop(state);
        self.notify();
        Ok(())
    }

    fn granted(&self, question: &Question) -> Option<Approval> {
        let now = self.clock.now().ok()?;
        let lasts = |approval: &Approval| !matches!(approval.reach, ApprovalReach::Until(until) if until <= now);
        let for_this_run =
            self.lock().for_this_run.get(&question.action_digest).filter(|approval| lasts(approval)).cloned();
        for_this_run.or_else(|| self.standing.find(&question.action_digest, &question.verdict.policy, now))
    }

    fn enter(&self, question: Question) -> Option<(String, oneshot::Receiver<Answer>)> {
        let mut state = self.lock();
        if state.waiting.len() >= PENDING_MAX {
            return None;
        }
        let id = question.action.id.as_str();
        let number = (NUMBER_CHARS..=id.len())
            .filter_map(|chars| id.get(id.len() - chars..))
            .find(|number| !state.waiting.contains_key(*number))?
            .to_owned();
        let (answer, receiver) = oneshot::channel();
        let pending = Pending { number: number.clone(), question };
        state.waiting.insert(number.clone(), Waiting { pending, answer });
        Some((number, receiver))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.changed.send_modify(|version| *version += 1);
    }
}

/// Takes the question off the desk when its asker goes away, by timeout or because the program gave up.
struct Withdraw<'a> {
    desk: &'a Desk,
    number: &'a str,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        if self.desk.lock().waiting.remove(self.number).is_some() {
            self.desk.notify();
        }
    }
}

impl Approver for Desk {
    fn ask(&self, question: Question) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            if let Some(approval) = self.granted(&question) {
                return Answer::Approved(approval);
            }
            let Some((number, receiver)) = self.enter(question) else { return Answer::NoAnswer };
            let _withdraw = Withdraw { desk: self, number: &number };
            self.notify();
            receiver.await.unwrap_or(Answer::NoAnswer)
        })
    }
}

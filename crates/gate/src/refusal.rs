//! Refusals: why an action did not happen. A refusal is a value, recorded like everything else.

use std::fmt;

use bartizan_model::{Refused, RuleRef, Verdict};

use crate::ports::Position;

/// What stopped an action.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RefusalCause {
    /// Policy denies it.
    Policy,
    /// A person said no.
    Person {
        /// Who.
        by: String,
    },
    /// It needed a person and none answered in time.
    NoAnswer,
    /// Something that must work does not: ledger, key, clock, secrets.
    Failure(String),
}

/// An action that will not happen, and why.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub(crate) cause: RefusalCause,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) position: Option<Position>,
}

impl Refusal {
    /// What stopped it.
    #[must_use]
    pub fn cause(&self) -> &RefusalCause {
        &self.cause
    }

    /// The rule that decided, if it came to a decision.
    #[must_use]
    pub fn rule(&self) -> Option<&RuleRef> {
        self.verdict.as_ref().map(|verdict| &verdict.rule)
    }

    /// The decision, if it came to one.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// The ledger entry that records it; absent only when the ledger itself failed.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    pub(crate) fn recorded_cause(&self) -> Refused {
        match &self.cause {
            RefusalCause::Policy => Refused::Policy,
            RefusalCause::Person { by } => Refused::Person { by: by.clone() },
            RefusalCause::NoAnswer => Refused::NoAnswer,
            RefusalCause::Failure(detail) => Refused::Failure { detail: detail.clone() },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, &self.verdict) {
            (RefusalCause::Policy, Some(verdict)) => {
                write!(formatter, "denied by `{}`: {}", verdict.rule.rule, verdict.reason)
            }
            (RefusalCause::Policy, None) => formatter.write_str("denied by policy"),
            (RefusalCause::Person { by }, _) => write!(formatter, "denied by {by}"),
            (RefusalCause::NoAnswer, _) => {
                formatter.write_str("denied: it needs a person's answer and none came in time")
            }
            (RefusalCause::Failure(detail), _) => write!(formatter, "refused: {detail}"),
        }
    }
}

impl std::error::Error for Refusal {}

//! The gate's ports: what it needs from the world, each a small object-safe trait. Adapters live above.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bartizan_model::{
    Action, Approval, Deed, Digest, Outcome, Record, RequestNeeds, SealedReceipt, SecretUse, Sighting, SightingClass,
    Verdict,
};
use jiff::Timestamp;
use zeroize::Zeroize as _;
use zeroize::Zeroizing;

/// A boxed future, as every asynchronous port returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Decides. Pure and quick: it never blocks, never does I/O, and always has an answer.
pub trait Decider: Send + Sync {
    /// The verdict over this action, in whose content a scanner saw this, under the policy in force. Changes nothing.
    fn decide(&self, action: &Action, sightings: &[Sighting]) -> Verdict;
    /// What deciding over this request needs to know of it, beside what the deed says already. Cheap: it is asked of
    /// every request, before its body is read.
    fn needs(&self, deed: &Deed) -> RequestNeeds {
        let _ = deed;
        RequestNeeds::default()
    }
    /// The action is about to be carried out under this verdict: takes what it needs from budgets, and remembers it.
    ///
    /// # Errors
    /// There is no room for it any more; the verdict that says so. Nothing was taken.
    fn begin(&self, action: &Action, sightings: &[Sighting], verdict: &Verdict) -> Result<(), Box<Verdict>> {
        let _ = (action, sightings, verdict);
        Ok(())
    }
    /// What was begun has ended; without an outcome it never came about.
    fn settle(&self, action: &Action, outcome: Option<&Outcome>) {
        let _ = (action, outcome);
    }
    /// How long a person has to answer an `ask`.
    fn approval_timeout(&self) -> Duration;
}

/// Looks at content. Pure: no I/O, and linear in what it is given.
pub trait Scanner: Send + Sync {
    /// What there is to see in these bytes, by offset.
    fn scan(&self, bytes: &[u8]) -> Vec<Sighting>;
}

impl Scanner for bartizan_scan::Scanner {
    fn scan(&self, bytes: &[u8]) -> Vec<Sighting> {
        let class = |class| match class {
            bartizan_scan::Class::Secret => SightingClass::Secret,
            bartizan_scan::Class::Personal => SightingClass::Personal,
            bartizan_scan::Class::Injection => SightingClass::Injection,
            bartizan_scan::Class::Hidden => SightingClass::Hidden,
        };
        let seen = bartizan_scan::Scanner::scan(self, bytes).into_iter();
        seen.map(|seen| Sighting::new(class(seen.class), seen.kind, seen.score, seen.span)).collect()
    }
}

/// What a person is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The action, redacted: what may be shown.
    pub action: Action,
    /// What the answer is bound to.
    pub action_digest: Digest,
    /// Why it is asked.
    pub verdict: Verdict,
    /// When the question was put.
    pub asked_at: Timestamp,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

/// A person's answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Yes; the gate refuses it unless it is bound to the very action.
    Approved(Approval),
    /// No.
    Denied {
        /// Who said so.
        by: String,
    },
    /// Nobody could be asked, or nobody answered.
    NoAnswer,
}

/// Gets a person's answer. The gate bounds the wait; dropping the future withdraws the question.
pub trait Approver: Send + Sync {
    /// Puts the question and waits for the answer.
    fn ask(&self, question: Question) -> BoxFuture<'_, Answer>;
}

/// Why secrets could not be injected.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct SecretsError {
    /// The cause and the next step, never a value.
    pub reason: String,
}

/// A request on its way out, as far as a secret may stand in it. Once filled it holds values, so it is wiped when it
/// is dropped.
#[derive(Clone, Default)]
pub struct Outgoing {
    /// Path, in its canonical form.
    pub path: String,
    /// Query without `?`.
    pub query: Option<String>,
    /// Names and values, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body, where it is at hand.
    pub body: Option<Vec<u8>>,
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.query.zeroize();
        self.body.zeroize();
        self.headers.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outgoing").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Puts the values that were released for one action in the places of their placeholders.
pub trait Fill: Send + Sync {
    /// Fills a request in. Only what was released is put in, and only where it was released for.
    ///
    /// # Errors
    /// A value can't stand where it is bound to, such as a line break in a header.
    fn fill(&self, request: &mut Outgoing) -> Result<(), SecretsError>;

    /// The text with the values that were released for this destination in it, for what the box itself is to hold.
    fn text(&self, destination: &str, text: &[u8]) -> Zeroizing<Vec<u8>>;
}

/// What was released for one action: nothing for most.
#[derive(Default)]
pub struct Released(Option<Box<dyn Fill>>);

impl Released {
    /// The action needs no secret.
    #[must_use]
    pub fn nothing() -> Self {
        Self(None)
    }

    /// The values the action needs.
    #[must_use]
    pub fn values(fill: Box<dyn Fill>) -> Self {
        Self(Some(fill))
    }

    /// Fills a request in.
    ///
    /// # Errors
    /// As [`Fill::fill`].
    pub fn fill(&self, request: &mut Outgoing) -> Result<(), SecretsError> {
        self.0.as_ref().map_or(Ok(()), |released| released.fill(request))
    }

    /// The text with what was released for this destination; `None` where nothing was.
    #[must_use]
    pub fn text(&self, destination: &str, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.as_ref().map(|released| released.text(destination, text))
    }
}

impl std::fmt::Debug for Released {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.0.is_some() { "Released(..)" } else { "Released" })
    }
}

/// Makes the secrets a verdict releases available to the effect.
pub trait Secrets: Send + Sync {
    /// Whether there is any secret that a placeholder could stand for. Without one no request is looked through.
    fn any(&self) -> bool {
        false
    }

    /// The placeholders that stand anywhere in this request, those that no binding covers too: policy decides over
    /// them with the request.
    fn wanted(&self, request: &Outgoing) -> Vec<SecretUse> {
        let _ = request;
        Vec::new()
    }

    /// Prepares what this action needs: the values that its verdict's [`bartizan_model::Obligation::Inject`] names.
    ///
    /// # Errors
    /// A secret the action needs can't be released.
    fn inject(&self, action: &Action, verdict: &Verdict) -> Result<Released, SecretsError>;
}

/// Where an entry stands in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Sequence number, from 0.
    pub seq: u64,
    /// Hash of the entry's bytes.
    pub hash: Digest,
}

/// Why an entry could not be kept.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the ledger can't be written: {reason}")]
pub struct AppendError {
    /// The cause and the next step.
    pub reason: String,
}

/// Keeps records. A completed append is durable.
pub trait Ledger: Send + Sync {
    /// Appends one record as of this moment; resolves when it is on disk.
    fn append(&self, at: Timestamp, record: Record) -> BoxFuture<'_, Result<Position, AppendError>>;
}

/// Why a receipt could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("a receipt can't be signed: {reason}")]
pub struct SignError {
    /// The cause and the next step.
    pub reason: String,
}

/// Signs receipts.
pub trait Signer: Send + Sync {
    /// Signs the DSSE pre-authentication encoding of this payload.
    ///
    /// # Errors
    /// The key is gone or refuses.
    fn sign(&self, payload_type: &str, payload: &[u8]) -> Result<SealedReceipt, SignError>;
}

/// Why there is no time.
#[derive(Debug, thiserror::Error)]
#[error("the clock can't be trusted: {reason}")]
pub struct ClockError {
    /// The cause and the next step.
    pub reason: String,
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present moment; never earlier than what it said before.
    ///
    /// # Errors
    /// The clock went back, or stands before the ledger's last entry.
    fn now(&self) -> Result<Timestamp, ClockError>;
}

/// What the gate tells whoever watches; the record is what the ledger was given.
#[derive(Debug, Clone)]
pub struct Event {
    /// Where the entry stands; absent when the ledger itself failed.
    pub position: Option<Position>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub record: Record,
}

/// Watches. Never blocks, never fails, decides nothing.
pub trait Observer: Send + Sync {
    /// Something was recorded.
    fn notice(&self, event: &Event);
}

//! The gate itself: the one sequence of stages, and the records every way through it leaves behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_model::receipt::{PAYLOAD_TYPE, Statement};
use bartizan_model::{
    Action, Approval, ApprovalReach, CONTENT_BYTES_MAX, Content, Digest, Effect, Outcome, OutcomeStatus, Record,
    Refused, RunId, SealedReceipt, Sighting, Verdict, canonical,
};
use bartizan_scan::Redactor;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::ports::{
    Answer, AppendError, Approver, Clock, Decider, Event, Ledger, Observer, Position, Question, Scanner, Secrets,
    Signer,
};
use crate::refusal::{Refusal, RefusalCause};
use crate::stage::{Approved, Armed, Identified, Opened, Permitted, Scanned};

/// Largest action in canonical bytes, its content sealed: a command line of the kernel's usual limit fits, a flood doesn't.
pub const ACTION_BYTES_MAX: usize = 512 * 1024;

/// Most sightings one action is decided by: a content with more has been understood long before.
const SIGHTINGS_MAX: usize = 1024;

/// What a gate is made of.
#[expect(missing_docs, reason = "each field is the port of the same name")]
pub struct Parts {
    pub scanner: Arc<dyn Scanner>,
    pub decider: Arc<dyn Decider>,
    pub approver: Arc<dyn Approver>,
    pub secrets: Arc<dyn Secrets>,
    pub ledger: Arc<dyn Ledger>,
    pub signer: Arc<dyn Signer>,
    pub clock: Arc<dyn Clock>,
    pub redactor: Arc<Redactor>,
    pub observers: Vec<Arc<dyn Observer>>,
}

/// The one way from a wish to a deed.
pub struct Gate {
    parts: Parts,
    /// Counts changes of policy, for questions that wait.
    changes: watch::Sender<u64>,
}

impl Gate {
    /// A gate over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, changes: watch::Sender::new(0) }
    }

    /// Takes an action through every stage before its effect. The result is the only thing an effect
    /// accepts; the effect's end goes to [`Gate::close`].
    ///
    /// # Errors
    /// The refusal, already recorded.
    pub async fn admit(&self, action: Action) -> Result<Armed, Refusal> {
        let identified = self.identify(action).await?;
        let permitted = self.decide(self.scan(identified)).await?;
        let approved = self.approve(permitted).await?;
        let opened = self.open(approved).await?;
        self.inject(opened).await
    }

    /// Decides and records without anything being done by us, for those who carry the action out themselves.
    ///
    /// # Errors
    /// No decision could be reached or kept. A `deny` is a verdict here, not a refusal.
    pub async fn judge(&self, action: Action) -> Result<Verdict, Refusal> {
        let Scanned { identified, sightings } = self.scan(self.identify(action).await?);
        let mut verdict = self.parts.decider.decide(&identified.action, &sightings);
        if verdict.effect != Effect::Deny {
            match self.parts.decider.begin(&identified.action, &sightings, &verdict) {
                // Nobody will tell us how it ends, so it counts as done.
                Ok(()) => self.parts.decider.settle(&identified.action, Some(&Outcome::new(OutcomeStatus::Done))),
                Err(denied) => verdict = *denied,
            }
        }
        let record = match self.kept(&identified.action) {
            Ok(action) => {
                Record::Judged { action, action_digest: identified.digest, verdict: self.clean_verdict(&verdict) }
            }
            Err(detail) => return Err(self.refuse(identified, Some(verdict), RefusalCause::Failure(detail)).await),
        };
        match self.append(record).await {
            Ok(_) => Ok(verdict),
            Err(error) => {
                Err(Refusal { cause: RefusalCause::Failure(error.to_string()), verdict: Some(verdict), position: None })
            }
        }
    }

    /// First stage: fixes the exact action by its digest.
    ///
    /// # Errors
    /// The action is too large, has no canonical form, or holds content that can't be looked at.
    pub async fn identify(&self, action: Action) -> Result<Identified, Refusal> {
        let failure = |detail: String| Refusal { cause: RefusalCause::Failure(detail), verdict: None, position: None };
        if action.deed.content().is_some_and(Content::is_sealed) {
            return Err(failure(
                "the action's content is sealed, so it can't be looked at; hand in the content".into(),
            ));
        }
        let bytes = canonical::bytes(&action.deed.sealed()).map_err(|error| failure(error.to_string()))?;
        let content_bytes = action.deed.content().map_or(0, Content::length_bytes);
        let too_large = [
            ("the action", bytes.len() as u64, ACTION_BYTES_MAX),
            ("the action's content", content_bytes, CONTENT_BYTES_MAX),
        ];
        if let Some((what, bytes, most)) = too_large.into_iter().find(|(_, bytes, most)| *bytes > *most as u64) {
            let mut refusal = failure(format!("{what} has {bytes} bytes, the most is {most}"));
            let message = format!("oversized {} from `{}`", action.deed.kind().as_str(), action.principal.name);
            refusal.position = self.note(action.run, "gate.oversized", &message, BTreeMap::new()).await.ok();
            return Err(refusal);
        }
        let digest = action.digest().map_err(|error| failure(error.to_string()))?;
        Ok(Identified { action, digest })
    }

    /// Second stage: what there is to see in the action's content.
    pub fn scan(&self, identified: Identified) -> Scanned {
        let sightings = self.sightings(&identified.action);
        Scanned { identified, sightings }
    }

    fn sightings(&self, action: &Action) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        action.deed.contents(|part, bytes| {
            let room = SIGHTINGS_MAX.saturating_sub(sightings.len());
            let seen = self.parts.scanner.scan(bytes);
            sightings.extend(seen.into_iter().take(room).map(|sighting| sighting.in_part(part)));
        });
        sightings
    }

    /// Third stage: policy.
    ///
    /// # Errors
    /// Policy denies it.
    pub async fn decide(&self, scanned: Scanned) -> Result<Permitted, Refusal> {
        let verdict = self.parts.decider.decide(&scanned.identified.action, &scanned.sightings);
        match verdict.effect {
            Effect::Allow | Effect::Ask => Ok(Permitted { scanned, verdict }),
            Effect::Deny => Err(self.refuse(scanned.identified, Some(verdict), RefusalCause::Policy).await),
        }
    }

    /// Fourth stage: a person, where policy wants one. Policy is asked again after the wait: what was
    /// tightened meanwhile holds.
    ///
    /// # Errors
    /// The person said no, nobody answered, the answer is for another action, or policy now denies.
    pub async fn approve(&self, permitted: Permitted) -> Result<Approved, Refusal> {
        if permitted.verdict.effect == Effect::Allow {
            return Ok(Approved { permitted, approval: None });
        }
        let Permitted { scanned: Scanned { identified, sightings }, verdict } = permitted;
        let answer = match self.question(&identified, &verdict) {
            Ok(question) => self.answer(question, &identified, &sightings).await,
            Err(detail) => return Err(self.refuse(identified, Some(verdict), RefusalCause::Failure(detail)).await),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(verdict) if verdict.effect == Effect::Deny => {
                return Err(self.refuse(identified, Some(*verdict), RefusalCause::Policy).await);
            }
            Err(verdict) => {
                let scanned = Scanned { identified, sightings };
                return Ok(Approved { permitted: Permitted { scanned, verdict: *verdict }, approval: None });
            }
        };
        let approval = match answer {
            Answer::Approved(approval) => approval,
            Answer::Denied { by } => {
                return Err(self.refuse(identified, Some(verdict), RefusalCause::Person { by }).await);
            }
            Answer::NoAnswer => return Err(self.refuse(identified, Some(verdict), RefusalCause::NoAnswer).await),
        };
        if let Err(detail) = self.check_approval(&approval, identified.digest) {
            return Err(self.refuse(identified, Some(verdict), RefusalCause::Failure(detail)).await);
        }
        let verdict = self.parts.decider.decide(&identified.action, &sightings);
        if verdict.effect == Effect::Deny {
            return Err(self.refuse(identified, Some(verdict), RefusalCause::Policy).await);
        }
        let scanned = Scanned { identified, sightings };
        Ok(Approved { permitted: Permitted { scanned, verdict }, approval: Some(approval) })
    }

    /// Waits for the answer, unless a changed policy makes it needless: then the verdict that does.
    async fn answer(
        &self,
        question: Question,
        identified: &Identified,
        sightings: &[Sighting],
    ) -> Result<Answer, Box<Verdict>> {
        let mut changes = self.changes.subscribe();
        let timeout = question.timeout;
        let asked = tokio::time::timeout(timeout, self.parts.approver.ask(question));
        let mut asked = std::pin::pin!(asked);
        loop {
            tokio::select! {
                answer = &mut asked => return Ok(answer.unwrap_or(Answer::NoAnswer)),
                Ok(()) = changes.changed() => {
                    let verdict = self.parts.decider.decide(&identified.action, sightings);
                    if verdict.effect != Effect::Ask {
                        return Err(Box::new(verdict));
                    }
                }
            }
        }
    }

    /// The policy has changed: questions that wait are decided anew. What is denied now is refused at once, what is
    /// allowed now goes on unasked.
    pub fn redecide(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Fifth stage: budgets give what it needs, and the intent is on disk before anything is done.
    ///
    /// # Errors
    /// A budget was used up meanwhile, or the ledger can't keep it.
    pub async fn open(&self, approved: Approved) -> Result<Opened, Refusal> {
        let Approved { permitted: Permitted { scanned, verdict }, approval } = approved;
        let Scanned { identified, sightings } = scanned;
        if let Err(denied) = self.parts.decider.begin(&identified.action, &sightings, &verdict) {
            return Err(self.refuse(identified, Some(*denied), RefusalCause::Policy).await);
        }
        let record = match self.kept(&identified.action) {
            Ok(action) => Record::Opened {
                action,
                action_digest: identified.digest,
                verdict: self.clean_verdict(&verdict),
                approval: approval.clone(),
            },
            Err(detail) => {
                self.parts.decider.settle(&identified.action, None);
                return Err(self.refuse(identified, Some(verdict), RefusalCause::Failure(detail)).await);
            }
        };
        match self.append(record).await {
            Ok(position) => {
                let permitted = Permitted { scanned: Scanned { identified, sightings }, verdict };
                Ok(Opened { approved: Approved { permitted, approval }, position })
            }
            Err(error) => {
                self.parts.decider.settle(&identified.action, None);
                Err(Refusal { cause: RefusalCause::Failure(error.to_string()), verdict: Some(verdict), position: None })
            }
        }
    }

    /// Sixth stage: what the effect needs.
    ///
    /// # Errors
    /// A secret can't be released; the opened entry is closed as failed.
    pub async fn inject(&self, opened: Opened) -> Result<Armed, Refusal> {
        let permitted = &opened.approved.permitted;
        let injected = self.parts.secrets.inject(&permitted.scanned.identified.action, &permitted.verdict);
        match injected {
            Ok(()) => Ok(Armed { opened }),
            Err(error) => {
                let verdict = permitted.verdict.clone();
                let outcome = Outcome::new(OutcomeStatus::Failed).with_detail(error.to_string());
                let position = self.close(Armed { opened }, outcome).await.ok();
                Err(Refusal { cause: RefusalCause::Failure(error.to_string()), verdict: Some(verdict), position })
            }
        }
    }

    /// Last stages: cleans the outcome, signs the receipt, closes the entry and tells the observers.
    ///
    /// # Errors
    /// The ledger can't keep it; the entry stays open and recovery will say `unknown`.
    pub async fn close(&self, armed: Armed, outcome: Outcome) -> Result<Position, AppendError> {
        let Opened { approved: Approved { permitted: Permitted { scanned, verdict }, approval }, position } =
            armed.opened;
        let identified = scanned.identified;
        self.parts.decider.settle(&identified.action, Some(&outcome));
        let fail = |reason: String| AppendError { reason };
        let action = self.kept(&identified.action).map_err(fail)?;
        let outcome = self.clean(&outcome).map_err(fail)?;
        let verdict = self.clean_verdict(&verdict);
        let receipt = self
            .sign(&Statement {
                action: &action,
                action_digest: identified.digest,
                verdict: Some(&verdict),
                approval: approval.as_ref(),
                outcome: Some(&outcome),
                refused: None,
                opened: Some(position.seq),
                opened_hash: Some(position.hash),
            })
            .map_err(fail)?;
        let record = Record::Closed {
            action_id: action.id,
            run: action.run,
            opened: position.seq,
            outcome,
            receipt: Some(receipt),
        };
        self.append(record).await
    }

    /// Records something a person should know that is no action.
    ///
    /// # Errors
    /// The ledger can't keep it.
    pub async fn note(
        &self,
        run: Option<RunId>,
        topic: &str,
        message: &str,
        figures: BTreeMap<String, i64>,
    ) -> Result<Position, AppendError> {
        let message = self.parts.redactor.redact(message).into_owned();
        self.append(Record::Noted { run, topic: topic.to_owned(), message, figures }).await
    }

    /// What would be decided, without recording: for what compiled layers let through unasked.
    #[must_use]
    pub fn foresee(&self, action: &Action) -> Effect {
        self.parts.decider.decide(action, &self.sightings(action)).effect
    }

    /// Decides without recording, to re-decide what was admitted before under a policy that has changed since.
    #[must_use]
    pub fn still_allows(&self, armed: &Armed) -> bool {
        self.parts.decider.decide(armed.action(), armed.sightings()).effect != Effect::Deny
    }

    fn question(&self, identified: &Identified, verdict: &Verdict) -> Result<Question, String> {
        Ok(Question {
            action: self.kept(&identified.action)?,
            action_digest: identified.digest,
            verdict: self.clean_verdict(verdict),
            asked_at: self.now()?,
            timeout: self.parts.decider.approval_timeout(),
        })
    }

    fn check_approval(&self, approval: &Approval, digest: Digest) -> Result<(), String> {
        if approval.action_digest != digest {
            return Err(format!("the approval is bound to {}, the action is {digest}", approval.action_digest));
        }
        match &approval.reach {
            ApprovalReach::Until(until) if *until <= self.now()? => Err(format!("the approval ended at {until}")),
            _ => Ok(()),
        }
    }

    /// Records a refusal with its receipt. If even that fails, the refusal says so: nothing happened either way.
    async fn refuse(&self, identified: Identified, verdict: Option<Verdict>, cause: RefusalCause) -> Refusal {
        let mut refusal = Refusal { cause, verdict, position: None };
        match self.refused_record(&identified, &refusal) {
            Ok(record) => match self.append(record).await {
                Ok(position) => refusal.position = Some(position),
                Err(error) => refusal.cause = RefusalCause::Failure(error.to_string()),
            },
            Err(detail) => refusal.cause = RefusalCause::Failure(detail),
        }
        refusal
    }

    fn refused_record(&self, identified: &Identified, refusal: &Refusal) -> Result<Record, String> {
        let action = self.kept(&identified.action)?;
        let verdict = refusal.verdict.as_ref().map(|verdict| self.clean_verdict(verdict));
        let refused: Refused = self.clean(&refusal.recorded_cause())?;
        let receipt = self.sign(&Statement {
            action: &action,
            action_digest: identified.digest,
            verdict: verdict.as_ref(),
            approval: None,
            outcome: None,
            refused: Some(&refused),
            opened: None,
            opened_hash: None,
        })?;
        Ok(Record::Refused { action, action_digest: identified.digest, verdict, refused, receipt: Some(receipt) })
    }

    fn sign(&self, statement: &Statement<'_>) -> Result<SealedReceipt, String> {
        let payload = statement.payload().map_err(|error| error.to_string())?;
        self.parts.signer.sign(PAYLOAD_TYPE, &payload).map_err(|error| error.to_string())
    }

    fn now(&self) -> Result<Timestamp, String> {
        self.parts.clock.now().map_err(|error| error.to_string())
    }

    async fn append(&self, record: Record) -> Result<Position, AppendError> {
        let at = self.now().map_err(|reason| AppendError { reason })?;
        let result = self.parts.ledger.append(at, record.clone()).await;
        let event = Event { position: result.as_ref().ok().copied(), at, record };
        for observer in &self.parts.observers {
            observer.notice(&event);
        }
        result
    }

    /// An action as it is kept and shown: content sealed, every string redacted.
    fn kept(&self, action: &Action) -> Result<Action, String> {
        let sealed = Action {
            id: action.id.clone(),
            deed: action.deed.sealed().into_owned(),
            principal: action.principal.clone(),
            run: action.run.clone(),
            session: action.session.clone(),
            process: action.process.clone(),
        };
        self.clean(&sealed)
    }

    /// A copy in which every string has passed the redactor.
    fn clean<T: Serialize + DeserializeOwned + Clone>(&self, value: &T) -> Result<T, String> {
        let mut json = serde_json::to_value(value).map_err(|error| error.to_string())?;
        if !self.parts.redactor.redact_json(&mut json) {
            return Ok(value.clone());
        }
        serde_json::from_value(json).map_err(|error| format!("redaction left no valid value: {error}"))
    }

    /// A verdict quotes the policy's own words; the rule's text may carry a secret pasted into a policy.
    fn clean_verdict(&self, verdict: &Verdict) -> Verdict {
        let redact = |text: &str| self.parts.redactor.redact(text).into_owned();
        let mut verdict = verdict.clone();
        verdict.reason = redact(&verdict.reason);
        verdict.rule.text = verdict.rule.text.as_deref().map(redact);
        for finding in &mut verdict.findings {
            finding.message = redact(&finding.message);
        }
        verdict
    }
}

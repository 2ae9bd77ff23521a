//! The gate itself: the one sequence of stages, and the records every way through it leaves behind.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bartizan_model::receipt::{PAYLOAD_TYPE, Statement};
use bartizan_model::{
    Action, Approval, ApprovalReach, CONTENT_BYTES_MAX, Content, Deed, Digest, Effect, Outcome, OutcomeStatus, Record,
    Refused, RequestNeeds, RunId, SealedReceipt, SecretUse, Sighting, Verdict, canonical,
};
use bartizan_scan::{Mask, Redactor};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::clean::Clean;
use crate::ports::{
    Answer, AppendError, Approver, Clock, Decider, Event, Ledger, Observer, Outgoing, Position, Question, Released,
    Scanner, Secrets, Signer,
};
use crate::redaction::Decided;
use crate::refusal::{Refusal, RefusalCause};
use crate::stage::{Approved, Armed, Identified, Opened, Permitted, Scanned};

/// Largest action in canonical bytes, its content sealed: a command line of the kernel's usual limit fits, a flood doesn't.
pub const ACTION_BYTES_MAX: usize = 512 * 1024;

/// Most sightings one action is decided by: a content with more has been understood long before.
const SIGHTINGS_MAX: usize = 1024;

/// What is said to those who carry an action out themselves.
#[derive(Debug, Clone)]
#[must_use]
pub struct Judged {
    /// The decision.
    pub verdict: Verdict,
    /// What is to be carried out instead of what was asked for, where something had to be taken out of it.
    pub redacted: Option<Deed>,
}

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
    pub(crate) parts: Parts,
    /// Counts changes of policy, for questions that wait.
    changes: watch::Sender<u64>,
}

impl Gate {
    /// A gate over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, changes: watch::Sender::new(0) }
    }

    /// Takes an action through every stage before its effect, which is carried out exactly as it is handed in. The
    /// result is the only thing an effect accepts; the effect's end goes to [`Gate::close`].
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

    /// Decides and records without anything being done by us, for those who carry the action out themselves, exactly as
    /// they hand it in.
    ///
    /// # Errors
    /// No decision could be reached or kept. A `deny` is a verdict here, not a refusal.
    pub async fn judge(&self, action: Action) -> Result<Verdict, Refusal> {
        let identified = self.identify(action).await?;
        Ok(self.judge_identified(identified).await?.verdict)
    }

    /// As [`Self::judge`], for those who carry out what they are given back.
    ///
    /// # Errors
    /// As for [`Self::judge`].
    pub async fn judge_redactable(&self, action: Action) -> Result<Judged, Refusal> {
        let identified = self.identify(action).await?.redactable();
        self.judge_identified(identified).await
    }

    async fn judge_identified(&self, identified: Identified) -> Result<Judged, Refusal> {
        let Scanned { identified, sightings } = self.scan(identified);
        let Decided { mut verdict, mut clean } = self.decided(&identified.action, &sightings, identified.redactable);
        if verdict.effect != Effect::Deny {
            match self.parts.decider.begin(&identified.action, &sightings, &verdict) {
                // Nobody will tell us how it ends, so it counts as done.
                Ok(()) => self.parts.decider.settle(&identified.action, Some(&Outcome::new(OutcomeStatus::Done))),
                Err(denied) => (verdict, clean) = (*denied, None),
            }
        }
        let kept = self.clean_verdict(&verdict);
        match self.append(Clean::judged(&identified.kept, identified.digest, kept)).await {
            Ok(_) => Ok(Judged { verdict, redacted: clean.map(|action| action.deed) }),
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
        let kept = Clean::action(&self.parts.redactor, &action).map_err(failure)?;
        Ok(Identified { action, digest, kept, redactable: false })
    }

    /// Second stage: what there is to see in the action's content.
    pub fn scan(&self, identified: Identified) -> Scanned {
        let sightings = self.sightings(&identified.action);
        Scanned { identified, sightings }
    }

    pub(crate) fn sightings(&self, action: &Action) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        action.deed.contents(|part, bytes| {
            let seen = self.parts.scanner.scan(bytes);
            sightings.extend(seen.into_iter().map(|sighting| sighting.in_part(part)));
        });
        if sightings.len() > SIGHTINGS_MAX { foremost(sightings) } else { sightings }
    }

    /// Third stage: policy.
    ///
    /// # Errors
    /// Policy denies it.
    pub async fn decide(&self, scanned: Scanned) -> Result<Permitted, Refusal> {
        let Scanned { identified, sightings } = &scanned;
        let Decided { verdict, clean } = self.decided(&identified.action, sightings, identified.redactable);
        match verdict.effect {
            Effect::Allow | Effect::Ask => Ok(Permitted { scanned, verdict, clean }),
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
        let Permitted { scanned: Scanned { identified, sightings }, verdict, .. } = permitted;
        let answer = match self.question(&identified, &verdict) {
            Ok(question) => self.answer(question, &identified, &sightings).await,
            Err(detail) => return Err(self.refuse(identified, Some(verdict), RefusalCause::Failure(detail)).await),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(decided) if decided.verdict.effect == Effect::Deny => {
                return Err(self.refuse(identified, Some(decided.verdict), RefusalCause::Policy).await);
            }
            Err(decided) => {
                let Decided { verdict, clean } = *decided;
                let scanned = Scanned { identified, sightings };
                return Ok(Approved { permitted: Permitted { scanned, verdict, clean }, approval: None });
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
        let Decided { verdict, clean } = self.decided(&identified.action, &sightings, identified.redactable);
        if verdict.effect == Effect::Deny {
            return Err(self.refuse(identified, Some(verdict), RefusalCause::Policy).await);
        }
        let scanned = Scanned { identified, sightings };
        Ok(Approved { permitted: Permitted { scanned, verdict, clean }, approval: Some(approval) })
    }

    /// Waits for the answer, unless a changed policy makes it needless: then the decision that does.
    async fn answer(
        &self,
        question: Question,
        identified: &Identified,
        sightings: &[Sighting],
    ) -> Result<Answer, Box<Decided>> {
        let mut changes = self.changes.subscribe();
        let timeout = question.timeout;
        let asked = tokio::time::timeout(timeout, self.parts.approver.ask(question));
        let mut asked = std::pin::pin!(asked);
        loop {
            tokio::select! {
                answer = &mut asked => return Ok(answer.unwrap_or(Answer::NoAnswer)),
                Ok(()) = changes.changed() => {
                    let decided = self.decided(&identified.action, sightings, identified.redactable);
                    if decided.verdict.effect != Effect::Ask {
                        return Err(Box::new(decided));
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
        let Approved { permitted: Permitted { scanned, verdict, clean }, approval } = approved;
        let Scanned { identified, sightings } = scanned;
        if let Err(denied) = self.parts.decider.begin(&identified.action, &sightings, &verdict) {
            return Err(self.refuse(identified, Some(*denied), RefusalCause::Policy).await);
        }
        let kept_approval = approval.as_ref().map(|approval| Clean::value(&self.parts.redactor, approval)).transpose();
        let kept_approval = match kept_approval {
            Ok(approval) => approval,
            Err(detail) => {
                self.parts.decider.settle(&identified.action, None);
                return Err(self.refuse(identified, Some(verdict), RefusalCause::Failure(detail)).await);
            }
        };
        let kept = self.clean_verdict(&verdict);
        let record = Clean::opened(&identified.kept, identified.digest, &kept, kept_approval.as_ref());
        match self.append(record).await {
            Ok(position) => {
                let permitted = Permitted { scanned: Scanned { identified, sightings }, verdict, clean };
                let approved = Approved { permitted, approval };
                Ok(Opened { approved, verdict: kept, approval: kept_approval, position })
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
        let injected = self.parts.secrets.inject(permitted.action(), &permitted.verdict);
        match injected {
            Ok(released) => Ok(Armed { opened, released }),
            Err(error) => {
                let verdict = permitted.verdict.clone();
                let outcome = Outcome::new(OutcomeStatus::Failed).with_detail(error.to_string());
                let position = self.close(Armed { opened, released: Released::nothing() }, outcome).await.ok();
                Err(Refusal { cause: RefusalCause::Failure(error.to_string()), verdict: Some(verdict), position })
            }
        }
    }

    /// Last stages: cleans the outcome, signs the receipt, closes the entry and tells the observers.
    ///
    /// # Errors
    /// The ledger can't keep it; the entry stays open and recovery will say `unknown`.
    pub async fn close(&self, armed: Armed, outcome: Outcome) -> Result<Position, AppendError> {
        let Opened { approved, verdict, approval, position } = armed.opened;
        let Identified { action, digest, kept, .. } = approved.permitted.scanned.identified;
        self.parts.decider.settle(&action, Some(&outcome));
        let fail = |reason: String| AppendError { reason };
        let outcome = Clean::value(&self.parts.redactor, &outcome).map_err(fail)?;
        let receipt = self
            .sign(&Statement {
                action: kept.inner(),
                action_digest: digest,
                verdict: Some(verdict.inner()),
                approval: approval.as_ref().map(Clean::inner),
                outcome: Some(outcome.inner()),
                refused: None,
                opened: Some(position.seq),
                opened_hash: Some(position.hash),
            })
            .map_err(fail)?;
        self.append(Clean::closed(&kept, position.seq, outcome, receipt)).await
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
        let clean = |text| Clean::text(&self.parts.redactor, text);
        self.append(Clean::noted(run, clean(topic), clean(message), figures)).await
    }

    /// What would be decided, without recording: for what compiled layers let through unasked.
    #[must_use]
    pub fn foresee(&self, action: &Action) -> Effect {
        self.decided(action, &self.sightings(action), false).verdict.effect
    }

    /// Whether there is any secret that a placeholder could stand for.
    #[must_use]
    pub fn holds_secrets(&self) -> bool {
        self.parts.secrets.any()
    }

    /// The secrets this request asks for by placeholders, to be named in its action. `None` where there is no secret at
    /// all, so that nobody needs to make a copy of a request to find out.
    #[must_use]
    pub fn wanted(&self, request: impl FnOnce() -> Outgoing) -> Option<(Outgoing, Vec<SecretUse>)> {
        self.parts.secrets.any().then(|| {
            let request = request();
            let wanted = self.parts.secrets.wanted(&request);
            (request, wanted)
        })
    }

    /// What deciding over this request needs to know of it: whether its body must be at hand, and which headers stand in
    /// its deed.
    #[must_use]
    pub fn needs(&self, deed: &Deed) -> RequestNeeds {
        self.parts.decider.needs(deed)
    }

    /// Looks at a piece of what an admitted action carries on without its being at hand. Nothing is recorded: whoever
    /// carries it stops, and its outcome says why.
    ///
    /// # Errors
    /// The action would not be let through with this in it, and why: policy denies it, wants a person to decide, or
    /// wants something taken out, which can't be done to what has begun to leave.
    pub fn passing(&self, armed: &Armed, piece: &[u8]) -> Result<(), Box<Verdict>> {
        let mut action = armed.action().clone();
        if !action.deed.carry(piece) {
            return Ok(());
        }
        let seen = self.sightings(&action);
        let verdict = self.parts.decider.decide(&action, &seen);
        if verdict.effect > armed.verdict().effect || verdict.redacts() { Err(Box::new(verdict)) } else { Ok(()) }
    }

    /// Takes values that are known out of bytes that come back, piece by piece; `None` where none is known.
    #[must_use]
    pub fn mask(&self) -> Option<Mask> {
        self.parts.redactor.mask()
    }

    /// Decides without recording, to re-decide what was admitted before under a policy that has changed since.
    #[must_use]
    pub fn still_allows(&self, armed: &Armed) -> bool {
        let Scanned { identified, sightings } = &armed.opened.approved.permitted.scanned;
        let Decided { verdict, clean } = self.decided(&identified.action, sightings, identified.redactable);
        let same = || clean.is_none_or(|clean| clean.deed == armed.action().deed);
        verdict.effect != Effect::Deny && same()
    }

    fn question(&self, identified: &Identified, verdict: &Verdict) -> Result<Question, String> {
        Ok(Question {
            action: identified.kept.inner().clone(),
            action_digest: identified.digest,
            verdict: self.clean_verdict(verdict).into_inner(),
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

    fn refused_record(&self, identified: &Identified, refusal: &Refusal) -> Result<Clean<Record>, String> {
        let verdict = refusal.verdict.as_ref().map(|verdict| self.clean_verdict(verdict));
        let refused: Clean<Refused> = Clean::value(&self.parts.redactor, &refusal.recorded_cause())?;
        let receipt = self.sign(&Statement {
            action: identified.kept.inner(),
            action_digest: identified.digest,
            verdict: verdict.as_ref().map(Clean::inner),
            approval: None,
            outcome: None,
            refused: Some(refused.inner()),
            opened: None,
            opened_hash: None,
        })?;
        Ok(Clean::refused(&identified.kept, identified.digest, verdict, refused, receipt))
    }

    fn sign(&self, statement: &Statement<'_>) -> Result<SealedReceipt, String> {
        let payload = statement.payload().map_err(|error| error.to_string())?;
        self.parts.signer.sign(PAYLOAD_TYPE, &payload).map_err(|error| error.to_string())
    }

    fn now(&self) -> Result<Timestamp, String> {
        self.parts.clock.now().map_err(|error| error.to_string())
    }

    async fn append(&self, record: Clean<Record>) -> Result<Position, AppendError> {
        let record = record.into_inner();
        let at = self.now().map_err(|reason| AppendError { reason })?;
        let result = self.parts.ledger.append(at, record.clone()).await;
        let event = Event { position: result.as_ref().ok().copied(), at, record };
        for observer in &self.parts.observers {
            observer.notice(&event);
        }
        result
    }

    fn clean_verdict(&self, verdict: &Verdict) -> Clean<Verdict> {
        Clean::verdict(&self.parts.redactor, verdict)
    }
}

/// What counts of very many sightings: the surest of each kind in each part, then the surest. However content is padded
/// with what does no harm, nothing else is hidden by it.
fn foremost(mut sightings: Vec<Sighting>) -> Vec<Sighting> {
    sightings.sort_by_key(|sighting| std::cmp::Reverse(sighting.score));
    let mut known = HashSet::new();
    let (mut foremost, rest): (Vec<_>, Vec<_>) = sightings
        .into_iter()
        .partition(|sighting| known.insert((sighting.class, sighting.kind.clone(), sighting.part)));
    foremost.truncate(SIGHTINGS_MAX);
    let room = SIGHTINGS_MAX - foremost.len();
    foremost.extend(rest.into_iter().take(room));
    foremost
}

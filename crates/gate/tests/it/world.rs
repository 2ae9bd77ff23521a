//! Small ports for the gate's own tests: a ledger in memory, a decider by host name, a settable clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bartizan_gate::{
    AppendError, Approver, BoxFuture, Clock, ClockError, Decider, Desk, Gate, Ledger, Parts, Position, Released,
    Secrets, SecretsError, SignError, Signer, Standing,
};
use bartizan_model::{
    Action, ActionId, Approval, Deed, Digest, Effect, Obligation, Outcome, OutcomeStatus, Principal, Record, Risk,
    RuleRef, SealedReceipt, Sighting, SightingClass, Verdict,
};
use bartizan_scan::Redactor;
use jiff::Timestamp;

pub struct World {
    pub records: Mutex<Vec<Record>>,
    pub ledger_broken: Mutex<bool>,
    pub clock_broken: Mutex<bool>,
    pub now: Mutex<Timestamp>,
    pub kept: Mutex<Vec<(Approval, Digest)>>,
    pub deny_everything: Mutex<bool>,
    /// What the decider was told of the way of actions: `begin`, `done`, `failed`, `never`.
    pub ways: Mutex<Vec<&'static str>>,
    /// Nothing may begin any more.
    pub used_up: Mutex<bool>,
    /// Secrets are taken out of what may leave, instead of holding it back.
    pub redacts: bool,
}

impl World {
    pub fn new() -> Arc<Self> {
        Self::of(false)
    }

    pub fn redacting() -> Arc<Self> {
        Self::of(true)
    }

    fn of(redacts: bool) -> Arc<Self> {
        Arc::new(Self {
            redacts,
            records: Mutex::default(),
            ledger_broken: Mutex::default(),
            clock_broken: Mutex::default(),
            now: Mutex::new("2026-01-01T00:00:00Z".parse().unwrap()),
            kept: Mutex::default(),
            deny_everything: Mutex::default(),
            ways: Mutex::default(),
            used_up: Mutex::default(),
        })
    }

    pub fn gate(self: &Arc<Self>) -> (Gate, Arc<Desk>) {
        let desk = Arc::new(Desk::new(self.clone(), self.clone()));
        (self.gate_with(desk.clone()), desk)
    }

    pub fn gate_with(self: &Arc<Self>, approver: Arc<dyn Approver>) -> Gate {
        Gate::new(Parts {
            scanner: Arc::new(bartizan_scan::Scanner::standard()),
            decider: self.clone(),
            approver,
            secrets: self.clone(),
            ledger: self.clone(),
            signer: self.clone(),
            clock: self.clone(),
            redactor: Arc::new(Redactor::standard()),
            observers: Vec::new(),
        })
    }

    pub fn kinds(&self) -> Vec<&'static str> {
        let name = |record: &Record| match record {
            Record::Opened { .. } => "opened",
            Record::Closed { .. } => "closed",
            Record::Refused { .. } => "refused",
            Record::Judged { .. } => "judged",
            _ => "noted",
        };
        self.records.lock().unwrap().iter().map(name).collect()
    }
}

/// A connection; the first label of the host says what the policy thinks of it.
pub fn connect(host: &str) -> Action {
    Action {
        id: ActionId::generate(),
        deed: Deed::NetConnect { host: host.into(), port: 443 },
        principal: Principal::local_human("alice"),
        run: None,
        session: None,
        process: None,
    }
}

impl Decider for World {
    fn decide(&self, action: &Action, sightings: &[Sighting]) -> Verdict {
        let host = match &action.deed {
            Deed::NetConnect { host, .. } => host.as_str(),
            // What holds a secret may not leave.
            _ if !self.redacts && sightings.iter().any(|seen| seen.class == SightingClass::Secret) => "deny.test",
            _ => "allow.test",
        };
        let effect = match host.split('.').next() {
            _ if *self.deny_everything.lock().unwrap() => Effect::Deny,
            Some("allow" | "vault") => Effect::Allow,
            Some("ask") => Effect::Ask,
            _ => Effect::Deny,
        };
        Verdict {
            effect,
            risk: Risk::Low,
            rule: RuleRef { rule: "net.test".into(), text: None, source: None },
            reason: "as the test wants".into(),
            findings: Vec::new(),
            obligations: if self.redacts { sightings.iter().filter_map(taken_out).collect() } else { Vec::new() },
            policy: Digest::of_bytes(b"policy"),
            bundle: None,
        }
    }

    fn begin(&self, action: &Action, sightings: &[Sighting], _: &Verdict) -> Result<(), Box<Verdict>> {
        if *self.used_up.lock().unwrap() {
            let mut verdict = self.decide(action, sightings);
            verdict.effect = Effect::Deny;
            verdict.rule.rule = "budgets.test".into();
            return Err(Box::new(verdict));
        }
        self.ways.lock().unwrap().push("begin");
        Ok(())
    }

    fn settle(&self, _: &Action, outcome: Option<&Outcome>) {
        let way = match outcome.map(|outcome| outcome.status) {
            Some(OutcomeStatus::Done) => "done",
            Some(_) => "failed",
            None => "never",
        };
        self.ways.lock().unwrap().push(way);
    }

    fn approval_timeout(&self) -> Duration {
        Duration::from_secs(60)
    }
}

fn taken_out(sighting: &Sighting) -> Option<Obligation> {
    let Sighting { class, kind, part, .. } = sighting;
    (*class == SightingClass::Secret).then(|| Obligation::Redact {
        rule: "content.secret".into(),
        class: *class,
        kind: kind.to_string(),
        part: *part,
    })
}

impl Secrets for World {
    fn inject(&self, action: &Action, _verdict: &Verdict) -> Result<Released, SecretsError> {
        if action.deed.target().starts_with("vault") {
            return Err(SecretsError { reason: "secret `x` is not released".into() });
        }
        Ok(Released::nothing())
    }
}

impl Ledger for World {
    fn append(&self, _at: Timestamp, record: Record) -> BoxFuture<'_, Result<Position, AppendError>> {
        Box::pin(async move {
            if *self.ledger_broken.lock().unwrap() {
                return Err(AppendError { reason: "no space left".into() });
            }
            let mut records = self.records.lock().unwrap();
            records.push(record);
            Ok(Position { seq: records.len() as u64 - 1, hash: Digest::of_bytes(b"entry") })
        })
    }
}

impl Signer for World {
    fn sign(&self, _payload_type: &str, payload: &[u8]) -> Result<SealedReceipt, SignError> {
        Ok(SealedReceipt { version: 1, key_id: "k".into(), signature: Digest::of_bytes(payload).to_string() })
    }
}

impl Clock for World {
    fn now(&self) -> Result<Timestamp, ClockError> {
        if *self.clock_broken.lock().unwrap() {
            return Err(ClockError { reason: "it went back a year".into() });
        }
        Ok(*self.now.lock().unwrap())
    }
}

impl Standing for World {
    fn find(&self, action: &Digest, policy: &Digest, _now: Timestamp) -> Option<Approval> {
        let kept = self.kept.lock().unwrap();
        kept.iter()
            .find(|(approval, under)| approval.action_digest == *action && under == policy)
            .map(|kept| kept.0.clone())
    }

    fn keep(&self, approval: &Approval, policy: &Digest) -> Result<(), String> {
        self.kept.lock().unwrap().push((approval.clone(), *policy));
        Ok(())
    }
}

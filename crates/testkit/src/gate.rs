//! A gate that lets everything pass, for tests of effects that ask for proof of admission.

use std::sync::Arc;
use std::time::Duration;

use bartizan_gate::{
    Answer, AppendError, Approver, Armed, BoxFuture, Clock, ClockError, Decider, Gate, Ledger, Parts, Position,
    Question, Released, Secrets, SecretsError, SignError, Signer,
};
use bartizan_model::{
    Action, ActionId, Deed, Digest, Effect, Principal, Record, Risk, RuleRef, SealedReceipt, Sighting, Verdict,
};
use bartizan_scan::Redactor;
use jiff::Timestamp;

/// Proof that a command was admitted, by a gate that admits everything and remembers nothing.
///
/// # Panics
/// The gate refuses, which it can't.
pub async fn admitted(command: &str) -> Armed {
    let open = Arc::new(Open);
    let gate = Gate::new(Parts {
        scanner: Arc::new(bartizan_scan::Scanner::standard()),
        decider: open.clone(),
        approver: open.clone(),
        secrets: open.clone(),
        ledger: open.clone(),
        signer: open.clone(),
        clock: open,
        redactor: Arc::new(Redactor::standard()),
        observers: Vec::new(),
    });
    let deed = Deed::ExecRun { program: command.to_owned(), args: vec![command.to_owned()], cwd: None };
    let action = Action {
        id: ActionId::generate(),
        deed,
        principal: Principal::local_human("test"),
        run: None,
        session: None,
        process: None,
    };
    gate.admit(action).await.expect("an open gate")
}

struct Open;

impl Decider for Open {
    fn decide(&self, _action: &Action, _sightings: &[Sighting]) -> Verdict {
        Verdict {
            effect: Effect::Allow,
            risk: Risk::Low,
            rule: RuleRef { rule: "test".into(), text: None, source: None },
            reason: "a test wants it".into(),
            findings: Vec::new(),
            obligations: Vec::new(),
            policy: Digest::of_bytes(b"test"),
            bundle: None,
        }
    }

    fn approval_timeout(&self) -> Duration {
        Duration::ZERO
    }
}

impl Approver for Open {
    fn ask(&self, _question: Question) -> BoxFuture<'_, Answer> {
        Box::pin(async { Answer::NoAnswer })
    }
}

impl Secrets for Open {
    fn inject(&self, _action: &Action, _verdict: &Verdict) -> Result<Released, SecretsError> {
        Ok(Released::nothing())
    }
}

impl Ledger for Open {
    fn append(&self, _at: Timestamp, _record: Record) -> BoxFuture<'_, Result<Position, AppendError>> {
        Box::pin(async { Ok(Position { seq: 0, hash: Digest::of_bytes(b"entry") }) })
    }
}

impl Signer for Open {
    fn sign(&self, _payload_type: &str, _payload: &[u8]) -> Result<SealedReceipt, SignError> {
        Ok(SealedReceipt { version: 1, key_id: "test".into(), signature: String::new() })
    }
}

impl Clock for Open {
    fn now(&self) -> Result<Timestamp, ClockError> {
        Ok(Timestamp::now())
    }
}

//! A ledger in a temporary home, and what to put into it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bartizan_crypto::{PublicKey, SigningKey};
use bartizan_ledger::{FileLedger, Index, LedgerOptions, LedgerSigner, Report, VerifyOptions, verify};
use bartizan_model::receipt::{PAYLOAD_TYPE, Statement};
use bartizan_model::verdict::{Effect, Risk, RuleRef};
use bartizan_model::{
    Action, ActionId, Deed, Digest, Outcome, OutcomeStatus, Principal, Record, Refused, RunId, Verdict,
};
use jiff::Timestamp;
use tempfile::TempDir;

/// A home with a key; the witness is beside it.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) segment_bytes_max: u64,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with_segments(u64::MAX)
    }

    pub(crate) fn with_segments(segment_bytes_max: u64) -> Self {
        let key = Arc::new(SigningKey::from_seed(&[7; 32]));
        Self { directory: tempfile::tempdir().unwrap(), key, segment_bytes_max }
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.directory.path().join("ledger")
    }

    pub(crate) fn witness(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key.public()
    }

    pub(crate) fn options(&self) -> LedgerOptions {
        let mut options = LedgerOptions::new(self.ledger()).with_witness(self.witness());
        options.segment_bytes_max = self.segment_bytes_max;
        options
    }

    pub(crate) fn open(&self) -> FileLedger {
        FileLedger::open(self.options(), Arc::clone(&self.key)).unwrap()
    }

    pub(crate) fn index(&self) -> Index {
        Index::open(&self.directory.path().join("state.db"), &self.ledger()).unwrap()
    }

    pub(crate) fn signer(&self) -> LedgerSigner {
        LedgerSigner::new(Arc::clone(&self.key))
    }

    pub(crate) fn verify(&self) -> Report {
        let options = VerifyOptions { witness: Some(self.witness()), checkpoint: None };
        verify(&self.ledger(), &self.public(), &options).unwrap()
    }

    /// Verification that may use nothing outside the ledger's directory.
    pub(crate) fn verify_alone(&self) -> Report {
        verify(&self.ledger(), &self.public(), &VerifyOptions::default()).unwrap()
    }

    pub(crate) fn segment(&self, number: u32) -> PathBuf {
        self.ledger().join(format!("{number:08}.jsonl"))
    }

    /// All lines of all segments.
    pub(crate) fn lines(&self) -> Vec<String> {
        (1..)
            .map_while(|number| fs::read_to_string(self.segment(number)).ok())
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// Fills a new ledger with so many notes and closes it.
    pub(crate) fn filled(self, entries: u64) -> Self {
        let ledger = self.open();
        for number in 0..entries {
            ledger.append_blocking(Timestamp::now(), &note(&format!("entry {number}"))).unwrap();
        }
        drop(ledger);
        self
    }
}

pub(crate) fn note(message: &str) -> Record {
    Record::Noted { run: None, topic: "test.note".to_owned(), message: message.to_owned(), figures: [].into() }
}

pub(crate) fn verdict(effect: Effect) -> Verdict {
    Verdict {
        effect,
        risk: Risk::Low,
        rule: RuleRef { rule: "net.allow[0]".into(), text: None, source: None },
        reason: "a test says so".into(),
        findings: Vec::new(),
        obligations: Vec::new(),
        policy: Digest::of_bytes(b"policy"),
        bundle: None,
    }
}

pub(crate) fn action(run: Option<&RunId>, agent: &str, deed: Deed) -> Action {
    Action {
        id: ActionId::generate(),
        deed,
        principal: Principal::boxed_agent(agent, Some("coding_assistant".into()), "alice"),
        run: run.cloned(),
        session: None,
        process: None,
    }
}

pub(crate) fn connect(host: &str) -> Deed {
    Deed::NetConnect { host: host.into(), port: 443 }
}

/// Opens and, if told so, closes an action with a receipt, as the gate does.
pub(crate) fn deed(home: &Home, ledger: &FileLedger, action: &Action, close: bool) -> u64 {
    use bartizan_gate::Signer as _;
    let verdict = verdict(Effect::Allow);
    let opened = Record::Opened {
        action: action.clone(),
        action_digest: action.digest().unwrap(),
        verdict: verdict.clone(),
        approval: None,
    };
    let position = ledger.append_blocking(Timestamp::now(), &opened).unwrap();
    if close {
        let outcome = Outcome::new(OutcomeStatus::Done).with_figure("sent_bytes", 12);
        let statement = Statement {
            action,
            action_digest: action.digest().unwrap(),
            verdict: Some(&verdict),
            approval: None,
            outcome: Some(&outcome),
            refused: None,
            opened: Some(position.seq),
            opened_hash: Some(position.hash),
        };
        let receipt = home.signer().sign(PAYLOAD_TYPE, &statement.payload().unwrap()).unwrap();
        let closed = Record::Closed {
            action_id: action.id.clone(),
            run: action.run.clone(),
            opened: position.seq,
            outcome,
            receipt: Some(receipt),
        };
        ledger.append_blocking(Timestamp::now(), &closed).unwrap();
    }
    position.seq
}

/// Refuses an action with a receipt, as the gate does.
pub(crate) fn refuse(home: &Home, ledger: &FileLedger, action: &Action, effect: Effect, refused: Refused) {
    use bartizan_gate::Signer as _;
    let verdict = verdict(effect);
    let statement = Statement {
        action,
        action_digest: action.digest().unwrap(),
        verdict: Some(&verdict),
        approval: None,
        outcome: None,
        refused: Some(&refused),
        opened: None,
        opened_hash: None,
    };
    let receipt = Some(home.signer().sign(PAYLOAD_TYPE, &statement.payload().unwrap()).unwrap());
    let action_digest = action.digest().unwrap();
    let record = Record::Refused { action: action.clone(), action_digest, verdict: Some(verdict), refused, receipt };
    ledger.append_blocking(Timestamp::now(), &record).unwrap();
}

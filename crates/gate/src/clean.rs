//! What may be written down and shown: values that have passed the redactor, each once. Nothing but this module can make
//! them, and the gate's ledger takes nothing else, so that there is no way to a record around the redactor.

use std::collections::BTreeMap;

use bartizan_model::{Action, Approval, Digest, Outcome, Record, Refused, RunId, SealedReceipt, Verdict};
use bartizan_scan::Redactor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value whose every string has passed the redactor.
#[derive(Debug, Clone)]
pub(crate) struct Clean<T>(T);

impl<T> Clean<T> {
    pub(crate) fn inner(&self) -> &T {
        &self.0
    }

    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T: Serialize + DeserializeOwned + Clone> Clean<T> {
    /// A copy in which every string has passed the redactor.
    ///
    /// # Errors
    /// What is left is no value of this type.
    pub(crate) fn value(redactor: &Redactor, value: &T) -> Result<Self, String> {
        let mut json = serde_json::to_value(value).map_err(|error| error.to_string())?;
        if !redactor.redact_json(&mut json) {
            return Ok(Self(value.clone()));
        }
        serde_json::from_value(json).map(Self).map_err(|error| format!("redaction left no valid value: {error}"))
    }
}

impl Clean<Action> {
    /// An action as it is kept and shown: content sealed, every string redacted.
    ///
    /// # Errors
    /// What is left is no action.
    pub(crate) fn action(redactor: &Redactor, action: &Action) -> Result<Self, String> {
        let sealed = Action {
            id: action.id.clone(),
            deed: action.deed.sealed().into_owned(),
            principal: action.principal.clone(),
            run: action.run.clone(),
            session: action.session.clone(),
            process: action.process.clone(),
        };
        Self::value(redactor, &sealed)
    }
}

impl Clean<Verdict> {
    /// A verdict quotes the policy's own words; the rule's text may carry a secret pasted into a policy. All other words
    /// in it are Bartizan's.
    pub(crate) fn verdict(redactor: &Redactor, verdict: &Verdict) -> Self {
        let redact = |text: &str| redactor.redact(text).into_owned();
        let mut verdict = verdict.clone();
        verdict.reason = redact(&verdict.reason);
        verdict.rule.text = verdict.rule.text.as_deref().map(redact);
        for finding in &mut verdict.findings {
            finding.message = redact(&finding.message);
        }
        Self(verdict)
    }
}

impl Clean<String> {
    pub(crate) fn text(redactor: &Redactor, text: &str) -> Self {
        Self(redactor.redact(text).into_owned())
    }
}

/// Records are made of clean parts. Receipts hold a key's name and a signature, and digests are no text.
impl Clean<Record> {
    pub(crate) fn opened(
        action: &Clean<Action>,
        action_digest: Digest,
        verdict: &Clean<Verdict>,
        approval: Option<&Clean<Approval>>,
    ) -> Self {
        Self(Record::Opened {
            action: action.0.clone(),
            action_digest,
            verdict: verdict.0.clone(),
            approval: approval.map(|approval| approval.0.clone()),
        })
    }

    pub(crate) fn closed(action: &Clean<Action>, opened: u64, outcome: Clean<Outcome>, receipt: SealedReceipt) -> Self {
        Self(Record::Closed {
            action_id: action.0.id.clone(),
            run: action.0.run.clone(),
            opened,
            outcome: outcome.0,
            receipt: Some(receipt),
        })
    }

    pub(crate) fn refused(
        action: &Clean<Action>,
        action_digest: Digest,
        verdict: Option<Clean<Verdict>>,
        refused: Clean<Refused>,
        receipt: SealedReceipt,
    ) -> Self {
        Self(Record::Refused {
            action: action.0.clone(),
            action_digest,
            verdict: verdict.map(Clean::into_inner),
            refused: refused.0,
            receipt: Some(receipt),
        })
    }

    pub(crate) fn judged(action: &Clean<Action>, action_digest: Digest, verdict: Clean<Verdict>) -> Self {
        Self(Record::Judged { action: action.0.clone(), action_digest, verdict: verdict.0 })
    }

    pub(crate) fn noted(
        run: Option<RunId>,
        topic: Clean<String>,
        message: Clean<String>,
        figures: BTreeMap<String, i64>,
    ) -> Self {
        Self(Record::Noted { run, topic: topic.0, message: message.0, figures })
    }
}

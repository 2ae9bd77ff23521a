//! Standing approvals: a yes that outlives its run, kept as a signed file. Bound to the exact action and the
//! exact policy; anything that doesn't verify is no approval.

use std::path::PathBuf;
use std::sync::Arc;

use bartizan_crypto::{Envelope, SigningKey};
use bartizan_gate::Standing;
use bartizan_model::{Approval, ApprovalReach, Digest, canonical};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::{read_bounded, write_new};

/// DSSE payload type of a standing approval.
const PAYLOAD_TYPE: &str = "application/vnd.bartizan.approval+json";

/// Largest approval file.
const FILE_BYTES_MAX: u64 = 16 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    approval: Approval,
    policy: Digest,
}

/// Standing approvals as files of one directory.
pub struct StandingFiles {
    directory: PathBuf,
    key: Arc<SigningKey>,
}

impl StandingFiles {
    /// The approvals in this directory, signed with this key.
    pub fn new(directory: PathBuf, key: Arc<SigningKey>) -> Self {
        Self { directory, key }
    }

    fn file(&self, action: &Digest, policy: &Digest) -> PathBuf {
        let name = Digest::of_bytes(format!("{action} {policy}").as_bytes());
        self.directory.join(format!("{}.json", name.hex()))
    }

    fn read(&self, file: &std::path::Path) -> Option<Kept> {
        let bytes = read_bounded(file, FILE_BYTES_MAX).ok()?;
        let envelope = Envelope::from_json(&bytes).ok()?;
        let payload = envelope.verify(&self.key.public()).ok().filter(|_| envelope.payload_type == PAYLOAD_TYPE)?;
        serde_json::from_slice(&payload).ok()
    }
}

impl Standing for StandingFiles {
    fn find(&self, action: &Digest, policy: &Digest, now: Timestamp) -> Option<Approval> {
        let kept = self.read(&self.file(action, policy))?;
        let lasts = matches!(kept.approval.reach, ApprovalReach::Until(until) if until > now);
        let bound = kept.approval.action_digest == *action && kept.policy == *policy;
        (lasts && bound).then(|| Approval { via: "standing".into(), ..kept.approval })
    }

    fn keep(&self, approval: &Approval, policy: &Digest) -> Result<(), String> {
        let kept = Kept { approval: approval.clone(), policy: *policy };
        let payload = canonical::bytes(&kept).map_err(|error| error.to_string())?;
        let envelope = Envelope::sign(PAYLOAD_TYPE, &payload, &self.key);
        let json = envelope.to_json().map_err(|error| error.to_string())?;
        let file = self.file(&approval.action_digest, policy);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.to_string()),
            _ => {}
        }
        write_new(&file, json.as_bytes()).map(|_| ()).map_err(|error| format!("{error:#}"))
    }
}

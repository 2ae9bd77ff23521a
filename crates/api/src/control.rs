//! Talking to a running box: one JSON request a line over its `control.sock`, one JSON reply a line back.
//! The socket stands in the home's `run` directory, which only the owner can reach and no box can see.

use bartizan_model::{Action, Digest, Verdict};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest request or reply line.
pub const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is asked of a running box.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case", deny_unknown_fields)]
pub enum ControlRequest {
    /// How it is doing.
    BoxShow,
    /// End it.
    BoxStop,
    /// The questions that wait.
    ApprovalList,
    /// Answer one.
    ApprovalAnswer {
        /// The question's number.
        number: String,
        /// Digest of the action that was looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<Digest>,
        /// The answer.
        answer: WireDecision,
    },
}

/// A person's answer on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
pub enum WireDecision {
    /// This once.
    Once,
    /// For this run.
    Run,
    /// Under this policy until then.
    Until {
        /// The end.
        until: Timestamp,
    },
    /// No.
    Deny,
}

/// What a running box answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum ControlReply {
    /// Done.
    Done,
    /// The box.
    Box(BoxStatus),
    /// The questions.
    Approvals {
        /// Oldest first.
        approvals: Vec<PendingApproval>,
    },
    /// Refused.
    Error {
        /// Why, and what to do.
        message: String,
    },
}

/// A question that waits for a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingApproval {
    /// What a person types to name it.
    pub number: String,
    /// The action, redacted.
    pub action: Action,
    /// What the answer is bound to.
    pub action_digest: Digest,
    /// Why it is asked.
    pub verdict: Verdict,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it is denied for want of an answer.
    pub until: Timestamp,
}

/// A running box.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BoxStatus {
    /// The run.
    pub run: String,
    /// Its name.
    pub name: String,
    /// The persona or policy it runs under.
    pub policy: String,
    /// The command.
    pub command: Vec<String>,
    /// Workspace on the host.
    pub workspace: String,
    /// Since when.
    pub started_at: Timestamp,
    /// Process id of the Bartizan process that keeps it.
    pub keeper_pid: u32,
    /// The processes inside, as seen from outside.
    #[serde(default)]
    pub processes: Vec<u32>,
    /// Each layer and its state.
    #[serde(default)]
    pub layers: Vec<LayerState>,
    /// Counts of decisions so far.
    #[serde(default)]
    pub counts: Counts,
}

/// One layer of a box.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerState {
    /// Its name.
    pub layer: String,
    /// Whether it is in force.
    pub enforced: bool,
    /// What exactly.
    pub detail: String,
}

/// Decisions of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Admitted without a person.
    pub allowed: u64,
    /// Admitted by a person.
    pub approved: u64,
    /// Refused.
    pub denied: u64,
}

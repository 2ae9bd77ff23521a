//! The box's side of the control socket: status, stop, questions and answers, for this account only.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bartizan_api::control::{BoxStatus, ControlReply, ControlRequest, LINE_BYTES_MAX, PendingApproval, WireDecision};
use bartizan_gate::{Decision, Desk, Pending};
use bartizan_model::ApprovalReach;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::account::Account;
use crate::control::socket_path;

/// Clients served at once; they are this account's own commands.
const CLIENTS_MAX: usize = 64;

/// How long a client may take to say what it wants.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What the socket gives access to.
pub struct Controlled {
    /// The questions.
    pub desk: Arc<Desk>,
    /// The box's status, made when asked.
    pub status: Box<dyn Fn() -> BoxStatus + Send + Sync>,
    /// Ends the box.
    pub stop: Box<dyn Fn() + Send + Sync>,
}

/// Binds the socket in the run's directory.
pub fn bind(directory: &Path) -> anyhow::Result<UnixListener> {
    let (handle, path) = socket_path(directory).with_context(|| format!("failed to open `{}`", directory.display()))?;
    let listener =
        UnixListener::bind(path).with_context(|| format!("failed to make a socket in `{}`", directory.display()))?;
    drop(handle);
    Ok(listener)
}

/// Serves until dropped.
pub async fn serve(listener: UnixListener, controlled: Arc<Controlled>) {
    let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(permit) = clients.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors or the like: let others finish before the next try.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let controlled = controlled.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(REQUEST_TIMEOUT, answer(stream, &controlled)).await;
            drop(permit);
        });
    }
}

async fn answer(stream: UnixStream, controlled: &Controlled) -> std::io::Result<()> {
    let ours = rustix::process::geteuid().as_raw();
    let theirs = stream.peer_cred()?.uid();
    let (reader, mut writer) = stream.into_split();
    let mut stops = false;
    let reply = if theirs == ours || theirs == 0 {
        let mut line = Vec::new();
        BufReader::new(reader.take(LINE_BYTES_MAX as u64)).read_until(b'\n', &mut line).await?;
        match serde_json::from_slice(&line) {
            Ok(request) => {
                stops = matches!(request, ControlRequest::BoxStop);
                reply(request, controlled)
            }
            Err(error) => ControlReply::Error { message: format!("the request can't be read: {error}") },
        }
    } else {
        ControlReply::Error { message: "only the account that started a box may talk to it".into() }
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    let told = writer.write_all(&line).await;
    if stops {
        // Only now: this process may end with the box, and its answer with it.
        (controlled.stop)();
    }
    told
}

fn reply(request: ControlRequest, controlled: &Controlled) -> ControlReply {
    match request {
        ControlRequest::BoxShow => ControlReply::Box((controlled.status)()),
        ControlRequest::BoxStop => ControlReply::Done,
        ControlRequest::ApprovalList => {
            ControlReply::Approvals { approvals: controlled.desk.pending().into_iter().map(wire).collect() }
        }
        ControlRequest::ApprovalAnswer { number, seen, answer } => {
            let decision = match answer {
                WireDecision::Once => Decision::Approve(ApprovalReach::Once),
                WireDecision::Run => Decision::Approve(ApprovalReach::Run),
                WireDecision::Until { until } => Decision::Approve(ApprovalReach::Until(until)),
                WireDecision::Deny => Decision::Deny,
            };
            match controlled.desk.answer(&number, seen, decision, &Account::current().name, "cli") {
                Ok(()) => ControlReply::Done,
                Err(error) => ControlReply::Error { message: error.to_string() },
            }
        }
    }
}

fn wire(pending: Pending) -> PendingApproval {
    let question = pending.question;
    let until = question.asked_at.saturating_add(question.timeout).unwrap_or(question.asked_at);
    PendingApproval {
        number: pending.number,
        action: question.action,
        action_digest: question.action_digest,
        verdict: question.verdict,
        asked_at: question.asked_at,
        until,
    }
}

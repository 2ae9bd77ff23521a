//! Answers the box's warden: every program that is to start and every guarded name that is to be made
//! becomes an action and passes the gate while the asking thread waits.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use bartizan_gate::Gate;
use bartizan_model::text::exact;
use bartizan_model::{Action, ActionId, Deed, Effect, Outcome, OutcomeStatus, Principal, Process, RunId};
use bartizan_sandbox::{Answer, Answers, Operation, WardenRequest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::account::Account;
use crate::policies::Policies;

/// Who the box's actions belong to.
#[derive(Clone)]
pub struct Subject {
    /// The agent.
    pub principal: Principal,
    /// Its run.
    pub run: RunId,
}

impl Subject {
    /// The agent of this name in this run.
    pub fn new(name: &str, policies: &Policies, run: &RunId) -> Self {
        let principal = Principal::boxed_agent(name, policies.persona.clone(), Account::current().name);
        Self { principal, run: run.clone() }
    }

    /// An action of this box.
    pub fn action(&self, deed: Deed, process: Option<Process>) -> Action {
        Action {
            id: ActionId::generate(),
            deed,
            principal: self.principal.clone(),
            run: Some(self.run.clone()),
            session: None,
            process,
        }
    }
}

/// Answers until the box is gone. The first start of a program is the command itself, which was admitted
/// before the box was made.
pub async fn serve(gate: Arc<Gate>, subject: Subject, mut requests: mpsc::Receiver<WardenRequest>, answers: Answers) {
    let mut command_started = false;
    // At most one question stands for each thread of the box, whose number is limited.
    let mut held: HashMap<u64, JoinHandle<()>> = HashMap::new();
    while let Some(request) = requests.recv().await {
        held.retain(|_, task| !task.is_finished());
        let (id, deed, pid) = match request {
            WardenRequest::Exec { id, .. } if !command_started => {
                command_started = true;
                answers.answer(id, Answer::Allow);
                continue;
            }
            WardenRequest::Exec { id, truncated: true, .. } => {
                // What can't be read whole can't be decided.
                answers.answer(id, Answer::Deny);
                let note = "a program was refused: its arguments are too long to be decided";
                let _ = gate.note(Some(subject.run.clone()), "exec.oversized", note, Default::default()).await;
                continue;
            }
            WardenRequest::Exec { id, pid, program, argv, cwd, .. } => {
                let args = argv.iter().map(|argument| exact(argument.as_bytes())).collect();
                let program = exact(program.as_os_str().as_bytes());
                (id, Deed::ExecRun { program, args, cwd: Some(exact(cwd.as_os_str().as_bytes())) }, pid)
            }
            WardenRequest::Write { id, pid, operation, path } => {
                let path = exact(path.as_os_str().as_bytes());
                (
                    id,
                    Deed::FileWrite { path, operation: Some(operation_name(operation).to_owned()), content: None },
                    pid,
                )
            }
            WardenRequest::Withdrawn { id } => {
                if let Some(task) = held.remove(&id) {
                    task.abort();
                }
                continue;
            }
            _ => continue,
        };
        let process = u32::try_from(pid).ok().map(|pid| Process { pid, in_box: true, executable: None });
        let action = subject.action(deed, process);
        if matches!(action.deed, Deed::FileWrite { .. }) && gate.foresee(&action) == Effect::Allow {
            // As with every other name in a writable tree, the compiled policy has allowed it already; the
            // warden asks because its patterns are coarser.
            answers.answer(id, Answer::Allow);
            continue;
        }
        let (gate, answers) = (gate.clone(), answers.clone());
        held.insert(id, tokio::spawn(decide(gate, action, id, answers)));
    }
}

async fn decide(gate: Arc<Gate>, action: Action, id: u64, answers: Answers) {
    match gate.admit(action).await {
        Ok(armed) => {
            answers.answer(id, Answer::Allow);
            // A close that fails leaves the entry open; recovery will say `unknown`, which is the truth.
            let _ = gate.close(armed, Outcome::new(OutcomeStatus::Done)).await;
        }
        Err(_) => answers.answer(id, Answer::Deny),
    }
}

fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "create",
        Operation::Directory => "mkdir",
        Operation::Node => "mknod",
        Operation::Symlink => "symlink",
        Operation::Link => "link",
        Operation::Rename => "rename",
    }
}

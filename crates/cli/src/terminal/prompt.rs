//! Questions and answers, as the relay and its users exchange them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::commands::{Command, Commands};

/// What a person is shown. The text is already redacted; the panel makes it printable.
#[derive(Debug, Clone, Default)]
pub(crate) struct PromptView {
    /// What is asked, in a few words.
    pub(crate) title: String,
    /// The action, such as `net.connect`.
    pub(crate) action: String,
    /// Exactly what it is done to.
    pub(crate) target: String,
    /// Who asks: agent and persona.
    pub(crate) principal: String,
    /// The process that does it.
    pub(crate) process: String,
    /// The rule that wants a person.
    pub(crate) rule: String,
    /// Why it wants one.
    pub(crate) reason: String,
    /// How bad it could be: `low`, `medium`, `high` or `critical`.
    pub(crate) risk: String,
    /// The start of the action's digest, which an answer from elsewhere names too.
    pub(crate) digest: String,
    /// The whole canonical action; may have several lines.
    pub(crate) details: String,
    /// How long an answer is waited for.
    pub(crate) timeout: Duration,
}

/// What came of a question. All but the first three mean no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PromptAnswer {
    /// This action, this time.
    Once,
    /// Whenever it comes up in this run.
    ForRun,
    /// Under this policy, for so long.
    ForPolicyUntil(Duration),
    /// A person said no.
    Deny,
    /// Nobody answered in time.
    TimedOut,
    /// It was answered elsewhere, or the terminal is gone.
    Cancelled,
}

/// A question on its way to the panel.
pub(super) struct Question {
    pub(super) id: u64,
    pub(super) view: PromptView,
    pub(super) deadline: Instant,
    pub(super) answer: oneshot::Sender<PromptAnswer>,
}

/// Asks the person at the terminal. Questions wait for each other.
#[derive(Clone)]
pub(crate) struct Prompter {
    commands: Arc<Commands>,
}

impl Prompter {
    pub(super) fn new(commands: Arc<Commands>) -> Self {
        Self { commands }
    }

    /// Asks, and waits for the answer, the timeout, or for `cancelled`. Dropping the future withdraws the question.
    pub(crate) async fn prompt(&self, view: PromptView, cancelled: impl Future<Output = ()>) -> PromptAnswer {
        let (answer, answered) = oneshot::channel();
        let timeout = view.timeout;
        let id = self.commands.next_question();
        let _withdrawal = Withdrawal { commands: &self.commands, id };
        let deadline = Instant::now() + timeout;
        self.commands.send(Command::Ask(Box::new(Question { id, view, deadline, answer })));
        tokio::select! {
            answer = answered => answer.unwrap_or(PromptAnswer::Cancelled),
            () = cancelled => PromptAnswer::Cancelled,
            // The panel times out by itself; this is for a terminal that has stopped taking output.
            () = tokio::time::sleep(timeout + Duration::from_secs(1)) => PromptAnswer::TimedOut,
        }
    }
}

/// Takes the question back, however the wait ended.
struct Withdrawal<'a> {
    commands: &'a Commands,
    id: u64,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.commands.send(Command::Withdraw(self.id));
    }
}

//! Puts the desk's questions to the person at the terminal, and their answers back on the desk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bartizan_gate::{Decision, Desk, Pending};
use bartizan_model::ApprovalReach;
use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::account::Account;
use crate::output::short;
use crate::terminal::{PlainPrompt, PromptAnswer, PromptView, Prompter};

/// Characters of a digest that tell two actions apart at a glance.
const DIGEST_CHARS: usize = 19;

/// Characters of a target in an announcement; `approval show` has the whole.
const TARGET_CHARS: usize = 200;

/// How a person at this terminal is asked.
#[derive(Clone)]
pub enum Asker {
    /// By a panel over the program's screen.
    Panel(Prompter),
    /// In a line, beside a program that runs in pipes.
    Line(Arc<PlainPrompt>),
}

/// Asks every question that comes until dropped. A question that is answered elsewhere disappears.
pub async fn serve(desk: Arc<Desk>, asker: Asker) {
    let mut changes = desk.watch();
    let mut asked: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        let pending = desk.pending();
        asked.retain(|number, task| {
            let waits = pending.iter().any(|pending| pending.number == *number);
            if !waits {
                // Dropping its future takes the question off the screen.
                task.abort();
            }
            waits
        });
        for pending in pending {
            let number = pending.number.clone();
            asked.entry(number).or_insert_with(|| tokio::spawn(ask(desk.clone(), asker.clone(), pending)));
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Says on standard error what waits and how to answer it, where nobody can be asked.
pub async fn announce(desk: Arc<Desk>) {
    let mut changes = desk.watch();
    let mut announced: HashSet<String> = HashSet::new();
    loop {
        let pending = desk.pending();
        announced.retain(|number| pending.iter().any(|pending| pending.number == *number));
        for Pending { number, question } in pending {
            if announced.insert(number.clone()) {
                let deed = &question.action.deed;
                eprintln!(
                    "bartizan: {} {} waits {}s for an answer: `bartizan approval approve {number}` or `… deny {number}`",
                    deed.kind().as_str(),
                    short(&deed.target(), TARGET_CHARS),
                    question.timeout.as_secs(),
                );
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn ask(desk: Arc<Desk>, asker: Asker, pending: Pending) {
    let seen = pending.question.action_digest;
    let view = view(&pending);
    let answer = match asker {
        Asker::Panel(prompter) => prompter.prompt(view, std::future::pending()).await,
        Asker::Line(prompt) => prompt.prompt(view, std::future::pending()).await,
    };
    let decision = match answer {
        PromptAnswer::Once => Decision::Approve(ApprovalReach::Once),
        PromptAnswer::ForRun => Decision::Approve(ApprovalReach::Run),
        PromptAnswer::ForPolicyUntil(span) => match Timestamp::now().checked_add(span) {
            Ok(until) => Decision::Approve(ApprovalReach::Until(until)),
            Err(_) => Decision::Deny,
        },
        PromptAnswer::Deny => Decision::Deny,
        // The gate's own timeout denies; a terminal that is gone leaves the question to others.
        PromptAnswer::TimedOut | PromptAnswer::Cancelled => return,
    };
    // Somebody else may have been quicker; then theirs counts.
    let _ = desk.answer(&pending.number, Some(seen), decision, &Account::current().name, "terminal");
}

fn view(pending: &Pending) -> PromptView {
    let question = &pending.question;
    let (action, verdict) = (&question.action, &question.verdict);
    let persona = action.principal.persona.as_deref().map(|persona| format!(" as {persona}")).unwrap_or_default();
    let source = verdict.rule.source.as_deref().map(|source| format!(" ({source})")).unwrap_or_default();
    let waited = Timestamp::now().duration_since(question.asked_at).unsigned_abs();
    PromptView {
        title: format!("{} · {}", action.principal.name, pending.number),
        action: action.deed.kind().as_str().to_owned(),
        target: action.deed.target(),
        principal: format!("{}{persona}", action.principal.name),
        process: action
            .process
            .as_ref()
            .map(|process| format!("{} ({})", process.executable.as_deref().unwrap_or("process"), process.pid))
            .unwrap_or_default(),
        rule: format!("{}{source}", verdict.rule.rule),
        reason: verdict.reason.clone(),
        risk: format!("{:?}", verdict.risk).to_lowercase(),
        digest: question.action_digest.to_string().chars().take(DIGEST_CHARS).collect(),
        details: serde_json::to_string_pretty(action).unwrap_or_default(),
        timeout: question.timeout.saturating_sub(waited),
    }
}

//! One action's way through the gate, and every way it can end early.

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_gate::{Answer, Approver, BoxFuture, Question, RefusalCause};
use bartizan_model::{
    Action, Approval, ApprovalReach, Content, Deed, Digest, Effect, Outcome, OutcomeStatus, Record, Refused,
};

use crate::world::{World, connect};

#[tokio::test]
async fn intent_is_kept_before_the_effect_and_the_outcome_after() {
    let world = World::new();
    let (gate, _) = world.gate();
    let armed = gate.admit(connect("allow.test")).await.unwrap();
    assert_eq!(world.kinds(), ["opened"]);
    gate.close(armed, Outcome::new(OutcomeStatus::Done)).await.unwrap();
    assert_eq!(world.kinds(), ["opened", "closed"]);
    let records = world.records.lock().unwrap();
    let Record::Closed { opened: 0, receipt: Some(_), .. } = &records[1] else { panic!("{records:?}") };
}

#[tokio::test]
async fn a_denial_is_recorded_with_its_receipt() {
    let world = World::new();
    let (gate, _) = world.gate();
    let refusal = gate.admit(connect("deny.test")).await.unwrap_err();
    assert!(matches!(refusal.cause(), RefusalCause::Policy));
    assert!(refusal.position().is_some());
    let records = world.records.lock().unwrap();
    let Record::Refused { refused: Refused::Policy, receipt: Some(_), .. } = &records[0] else { panic!("{records:?}") };
}

#[tokio::test]
async fn a_broken_ledger_admits_nothing() {
    let world = World::new();
    *world.ledger_broken.lock().unwrap() = true;
    let (gate, _) = world.gate();
    let refusal = gate.admit(connect("allow.test")).await.unwrap_err();
    assert!(matches!(refusal.cause(), RefusalCause::Failure(reason) if reason.contains("no space left")));
    assert!(gate.judge(connect("allow.test")).await.is_err());
}

#[tokio::test]
async fn a_broken_clock_admits_nothing() {
    let world = World::new();
    *world.clock_broken.lock().unwrap() = true;
    let (gate, _) = world.gate();
    assert!(gate.admit(connect("allow.test")).await.is_err());
    assert!(world.kinds().is_empty());
}

#[tokio::test]
async fn an_unreleased_secret_closes_the_entry_as_failed() {
    let world = World::new();
    let (gate, _) = world.gate();
    assert!(gate.admit(connect("vault.test")).await.is_err());
    assert_eq!(world.kinds(), ["opened", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_denies() {
    let world = World::new();
    let (gate, desk) = world.gate();
    let refusal = gate.admit(connect("ask.test")).await.unwrap_err();
    assert!(matches!(refusal.cause(), RefusalCause::NoAnswer));
    assert!(desk.pending().is_empty());
    assert_eq!(world.kinds(), ["refused"]);
}

#[tokio::test]
async fn an_oversized_action_is_refused_and_noted() {
    let world = World::new();
    let (gate, _) = world.gate();
    let mut action = connect("allow.test");
    action.deed = Deed::ExecRun { program: "x".repeat(600 * 1024), args: Vec::new(), cwd: None };
    assert!(gate.admit(action).await.is_err());
    assert_eq!(world.kinds(), ["noted"]);
}

#[tokio::test]
async fn secrets_never_reach_the_ledger() {
    let world = World::new();
    let (gate, _) = world.gate();
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let mut action = connect("deny.test");
    action.principal.name = format!("agent {token}");
    let _ = gate.admit(action).await;
    let armed = gate.admit(connect("allow.test")).await.unwrap();
    gate.close(armed, Outcome::new(OutcomeStatus::Failed).with_detail(format!("said {token}"))).await.unwrap();
    gate.note(None, "test", &token, BTreeMap::new()).await.unwrap();
    let text = serde_json::to_string(&*world.records.lock().unwrap()).unwrap();
    assert!(!text.contains(&token), "{text}");
}

/// Answers yes to something else.
struct Confused;

impl Approver for Confused {
    fn ask(&self, question: Question) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            Answer::Approved(Approval {
                action_digest: Digest::of_bytes(b"another action"),
                by: "mallory".into(),
                via: "test".into(),
                reach: ApprovalReach::Once,
                at: question.asked_at,
            })
        })
    }
}

#[tokio::test]
async fn an_approval_of_another_action_counts_for_nothing() {
    let world = World::new();
    let gate = world.gate_with(Arc::new(Confused));
    let refusal = gate.admit(connect("ask.test")).await.unwrap_err();
    assert!(refusal.to_string().contains("bound to"), "{refusal}");
    assert_eq!(world.kinds(), ["refused"]);
}

/// Says yes, but policy is tightened while it thinks.
struct Slow(Arc<World>);

impl Approver for Slow {
    fn ask(&self, question: Question) -> BoxFuture<'_, Answer> {
        *self.0.deny_everything.lock().unwrap() = true;
        Box::pin(async move {
            Answer::Approved(Approval {
                action_digest: question.action_digest,
                by: "alice".into(),
                via: "test".into(),
                reach: ApprovalReach::Once,
                at: question.asked_at,
            })
        })
    }
}

#[tokio::test]
async fn policy_tightened_during_the_wait_holds() {
    let world = World::new();
    let gate = world.gate_with(Arc::new(Slow(world.clone())));
    let refusal = gate.admit(connect("ask.test")).await.unwrap_err();
    assert!(matches!(refusal.cause(), RefusalCause::Policy));
}

#[tokio::test]
async fn judging_records_without_doing() {
    let world = World::new();
    let (gate, _) = world.gate();
    assert_eq!(gate.judge(connect("deny.test")).await.unwrap().effect, Effect::Deny);
    assert_eq!(gate.judge(connect("ask.test")).await.unwrap().effect, Effect::Ask);
    assert_eq!(world.kinds(), ["judged", "judged"]);
}

fn send(content: Content) -> Action {
    let mut action = connect("allow.test");
    action.deed = Deed::MessageSend { channel: "email".into(), recipient: "bob@example.com".into(), content };
    action
}

#[tokio::test]
async fn content_is_looked_at_and_kept_only_sealed() {
    let world = World::new();
    let (gate, _) = world.gate();
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let refusal = gate.admit(send(format!("take {token}").into())).await.unwrap_err();
    assert!(matches!(refusal.cause(), RefusalCause::Policy));
    let armed = gate.admit(send("plain words".into())).await.unwrap();
    assert!(armed.sightings().is_empty());
    gate.close(armed, Outcome::new(OutcomeStatus::Done)).await.unwrap();
    gate.judge(send(Content::Bytes(b"other words".to_vec()))).await.unwrap();
    let records = world.records.lock().unwrap();
    let text = serde_json::to_string(&*records).unwrap();
    assert!(!text.contains(&token) && !text.contains("words") && !text.contains("base64"), "{text}");
    for record in records.iter() {
        let (Record::Opened { action, action_digest, .. }
        | Record::Refused { action, action_digest, .. }
        | Record::Judged { action, action_digest, .. }) = record
        else {
            continue;
        };
        assert_eq!(action.digest().unwrap(), *action_digest, "a digest can be made again from what is kept");
    }
}

#[tokio::test]
async fn content_that_cannot_be_looked_at_is_refused() {
    let world = World::new();
    let (gate, _) = world.gate();
    let sealed = Content::from("words").sealed();
    assert!(gate.admit(send(sealed.clone())).await.unwrap_err().to_string().contains("sealed"));
    assert!(gate.judge(send(sealed)).await.is_err());
    let large = "x".repeat(bartizan_model::CONTENT_BYTES_MAX + 1);
    assert!(gate.admit(send(large.into())).await.unwrap_err().to_string().contains("the most is"));
    assert_eq!(world.kinds(), ["noted"]);
}

#[tokio::test]
async fn whoever_decides_hears_what_becomes_of_it() {
    let world = World::new();
    let (gate, _) = world.gate();
    let ways = || std::mem::take(&mut *world.ways.lock().unwrap());
    let armed = gate.admit(connect("allow.test")).await.unwrap();
    assert_eq!(ways(), ["begin"]);
    gate.close(armed, Outcome::new(OutcomeStatus::Done)).await.unwrap();
    assert_eq!(ways(), ["done"]);
    gate.admit(connect("deny.test")).await.unwrap_err();
    assert!(ways().is_empty());
    gate.admit(connect("vault.test")).await.unwrap_err();
    assert_eq!(ways(), ["begin", "failed"]);
    gate.judge(connect("allow.test")).await.unwrap();
    assert_eq!(ways(), ["begin", "done"]);
    *world.ledger_broken.lock().unwrap() = true;
    gate.admit(connect("allow.test")).await.unwrap_err();
    assert_eq!(ways(), ["begin", "never"]);
}

#[tokio::test]
async fn what_was_used_up_meanwhile_is_refused() {
    let world = World::new();
    let (gate, _) = world.gate();
    *world.used_up.lock().unwrap() = true;
    let refusal = gate.admit(connect("allow.test")).await.unwrap_err();
    assert!(matches!(refusal.cause(), RefusalCause::Policy));
    assert_eq!(refusal.rule().unwrap().rule, "budgets.test");
    assert_eq!(world.kinds(), ["refused"]);
    assert_eq!(gate.judge(connect("allow.test")).await.unwrap().effect, Effect::Deny);
}

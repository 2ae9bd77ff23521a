//! Questions and answers: held, bound, exactly one wins.

use std::sync::Arc;

use bartizan_gate::{AnswerError, Decision, Desk};
use bartizan_model::{ApprovalReach, Digest};

use crate::world::{World, connect};

async fn asked(desk: &Desk, count: usize) -> Vec<String> {
    let mut watch = desk.watch();
    loop {
        let pending = desk.pending();
        if pending.len() >= count {
            return pending.into_iter().map(|pending| pending.number).collect();
        }
        watch.changed().await.unwrap();
    }
}

#[tokio::test]
async fn once_means_once() {
    let world = World::new();
    let (gate, desk) = world.gate();
    let gate = Arc::new(gate);
    let first = tokio::spawn({
        let gate = gate.clone();
        async move { gate.admit(connect("ask.test")).await }
    });
    let number = asked(&desk, 1).await.remove(0);
    desk.answer(&number.to_lowercase(), None, Decision::Approve(ApprovalReach::Once), "alice", "test").unwrap();
    assert!(first.await.unwrap().is_ok());

    let second = tokio::spawn({
        let gate = gate.clone();
        async move { gate.admit(connect("ask.test")).await }
    });
    let number = asked(&desk, 1).await.remove(0);
    desk.answer(&number, None, Decision::Deny, "alice", "test").unwrap();
    assert!(second.await.unwrap().is_err());
}

#[tokio::test]
async fn a_run_s_approval_covers_the_same_action_only() {
    let world = World::new();
    let (gate, desk) = world.gate();
    let gate = Arc::new(gate);
    let same: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let gate = gate.clone();
                async move { gate.admit(connect("ask.test")).await.is_ok() }
            })
        })
        .collect();
    let number = asked(&desk, 3).await.remove(1);
    desk.answer(&number, None, Decision::Approve(ApprovalReach::Run), "alice", "test").unwrap();
    for task in same {
        assert!(task.await.unwrap());
    }
    assert!(gate.admit(connect("ask.test")).await.is_ok());
    let other = tokio::spawn({
        let gate = gate.clone();
        async move { gate.admit(connect("ask.other")).await.is_ok() }
    });
    let number = asked(&desk, 1).await.remove(0);
    desk.answer(&number, None, Decision::Deny, "alice", "test").unwrap();
    assert!(!other.await.unwrap());
}

#[tokio::test]
async fn exactly_one_answer_wins() {
    let world = World::new();
    let (gate, desk) = world.gate();
    let task = tokio::spawn(async move { gate.admit(connect("ask.test")).await.is_ok() });
    let number = asked(&desk, 1).await.remove(0);
    let answers: Vec<_> = (0..8)
        .map(|_| {
            let (desk, number) = (desk.clone(), number.clone());
            std::thread::spawn(move || desk.answer(&number, None, Decision::Approve(ApprovalReach::Once), "x", "test"))
        })
        .collect();
    let won = answers.into_iter().map(|answer| answer.join().unwrap()).filter(Result::is_ok).count();
    assert_eq!(won, 1);
    assert!(task.await.unwrap());
}

#[tokio::test]
async fn an_answer_to_another_action_is_refused() {
    let world = World::new();
    let (gate, desk) = world.gate();
    let task = tokio::spawn(async move { gate.admit(connect("ask.test")).await.is_ok() });
    let number = asked(&desk, 1).await.remove(0);
    let seen = Some(Digest::of_bytes(b"what was shown before"));
    let error = desk.answer(&number, seen, Decision::Approve(ApprovalReach::Once), "x", "test").unwrap_err();
    assert!(matches!(error, AnswerError::OtherAction { .. }));
    desk.answer(&number, None, Decision::Deny, "x", "test").unwrap();
    assert!(!task.await.unwrap());
}

#[tokio::test]
async fn a_standing_approval_ends_with_its_date_and_its_policy() {
    let world = World::new();
    let until = "2026-01-02T00:00:00Z".parse().unwrap();
    {
        let (gate, desk) = world.gate();
        let task = tokio::spawn(async move { gate.admit(connect("ask.test")).await.is_ok() });
        let number = asked(&desk, 1).await.remove(0);
        desk.answer(&number, None, Decision::Approve(ApprovalReach::Until(until)), "alice", "test").unwrap();
        assert!(task.await.unwrap());
    }
    let (gate, _) = world.gate();
    assert!(gate.admit(connect("ask.test")).await.is_ok(), "a new run finds it");
    *world.now.lock().unwrap() = "2026-01-03T00:00:00Z".parse().unwrap();
    let refusal = gate.admit(connect("ask.test")).await.unwrap_err();
    assert!(refusal.to_string().contains("ended"), "{refusal}");
}

#[tokio::test]
async fn a_question_leaves_the_desk_with_its_asker() {
    let world = World::new();
    let (gate, desk) = world.gate();
    let task = tokio::spawn(async move { gate.admit(connect("ask.test")).await.is_ok() });
    let number = asked(&desk, 1).await.remove(0);
    task.abort();
    let _ = task.await;
    assert!(desk.pending().is_empty());
    assert!(desk.answer(&number, None, Decision::Deny, "alice", "test").is_err());
}

//! What policy wants taken out is taken out before anybody gets to carry the action out, or nothing is carried out.

use bartizan_gate::RefusalCause;
use bartizan_model::{Action, Content, Deed, Effect, Outcome, OutcomeStatus};

use crate::world::{World, connect};

fn token() -> String {
    format!("ghp_{}", "a1B2".repeat(9))
}

fn action(deed: Deed) -> Action {
    Action { deed, ..connect("allow.test") }
}

fn send(text: &str) -> Action {
    action(Deed::MessageSend { channel: "email".into(), recipient: "bob@example.com".into(), content: text.into() })
}

fn text(deed: &Deed) -> String {
    deed.content().and_then(Content::text).unwrap().to_owned()
}

#[tokio::test]
async fn what_is_armed_is_without_it() {
    let world = World::redacting();
    let (gate, _) = world.gate();
    let asked = send(&format!("take {} now", token()));
    let digest = asked.digest().unwrap();
    let identified = gate.identify(asked).await.unwrap().redactable();
    let permitted = gate.decide(gate.scan(identified)).await.unwrap();
    let opened = gate.open(gate.approve(permitted).await.unwrap()).await.unwrap();
    let armed = gate.inject(opened).await.unwrap();
    assert_eq!(text(&armed.action().deed), "take [redacted:github-token] now");
    assert!(gate.still_allows(&armed));
    gate.close(armed, Outcome::new(OutcomeStatus::Done)).await.unwrap();
    let records = serde_json::to_string(&*world.records.lock().unwrap()).unwrap();
    assert!(records.contains(&digest.to_string()), "what was asked for is what is recorded: {records}");
    assert!(records.contains("\"obligation\":\"redact\"") && !records.contains(&token()), "{records}");
}

#[tokio::test]
async fn whoever_carries_it_out_as_it_is_may_not() {
    let world = World::redacting();
    let (gate, _) = world.gate();
    let refusal = gate.admit(send(&token())).await.unwrap_err();
    assert!(matches!(refusal.cause(), RefusalCause::Policy) && refusal.rule().unwrap().rule == "content.secret");
    let verdict = gate.judge(send(&token())).await.unwrap();
    assert!(verdict.effect == Effect::Deny && verdict.obligations.is_empty(), "{verdict:?}");
    assert_eq!(gate.foresee(&send(&token())), Effect::Deny);
    assert_eq!(gate.foresee(&send("words")), Effect::Allow);
    let judged = gate.judge_redactable(send(&format!("{0} {0}", token()))).await.unwrap();
    assert_eq!(text(&judged.redacted.unwrap()), "[redacted:github-token] [redacted:github-token]");
}

#[tokio::test]
async fn what_cannot_be_taken_out_is_denied() {
    let world = World::redacting();
    let (gate, _) = world.gate();
    let patch = Deed::FilePatch { path: "/x".into(), patch: format!("+{}", token()).into() };
    let page = Deed::BrowserAct {
        operation: "navigate".into(),
        url: format!("https://a.test/{}", token()),
        label: None,
        content: None,
    };
    for deed in [patch, page] {
        let judged = gate.judge_redactable(action(deed)).await.unwrap();
        assert!(judged.verdict.effect == Effect::Deny && judged.redacted.is_none(), "{judged:?}");
        assert!(judged.verdict.reason.contains("something else would be done"), "{judged:?}");
    }
}

/// A thousand addresses before a token hid it once: only so many sightings were decided by.
#[tokio::test]
async fn padding_hides_nothing() {
    for world in [World::new(), World::redacting()] {
        let (gate, _) = world.gate();
        let padding: String = (0..3000).map(|number| format!("user{number}@example.org ")).collect();
        let padded = send(&format!("{padding}{}", token()));
        assert_eq!(gate.judge(padded.clone()).await.unwrap().effect, Effect::Deny);
        assert_eq!(gate.foresee(&padded), Effect::Deny);
    }
}

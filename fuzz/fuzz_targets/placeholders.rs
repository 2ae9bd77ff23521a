//! A request from hostile bytes with a placeholder wherever a `$` is: it is found wherever it is filled in, and nothing
//! else of the request changes.
#![no_main]

use std::sync::LazyLock;

use bartizan_gate::store::SecretValue;
use bartizan_gate::{Outgoing, Secrets as _};
use bartizan_scan::Known;
use bartizan_vault::{Broker, Loan};
use libfuzzer_sys::fuzz_target;

const VALUE: &str = "the-value-of-it";

static BROKER: LazyLock<Broker> = LazyLock::new(|| {
    let value = SecretValue::copy(VALUE.as_bytes()).unwrap();
    Broker::new(vec![Loan { name: "KEY".into(), value, until: None }], &Known::default()).unwrap()
});

fuzz_target!(|data: (String, Vec<(String, String)>, String)| {
    let placeholder = BROKER.placeholder("KEY").unwrap();
    let with = |text: &str| text.replace('$', placeholder);
    let (query, headers, body) = data;
    let mut request = Outgoing::default();
    request.path = "/".into();
    request.query = Some(with(&query));
    request.headers = headers.iter().map(|(name, value)| (name.clone(), with(value).into_bytes())).collect();
    request.body = Some(with(&body).into_bytes());
    let wanted = BROKER.wanted(&request);
    let obligations: Vec<_> = wanted
        .iter()
        .filter(|one| one.name == "KEY")
        .map(|one| serde_json::json!({ "obligation": "inject", "name": one.name, "at": one.at }))
        .collect();
    let verdict = serde_json::from_value(serde_json::json!({
        "effect": "allow", "risk": "LOW", "rule": { "rule": "net.allow[0]" }, "reason": "",
        "obligations": obligations,
        "policy": format!("sha256:{}", "0".repeat(64)),
    }));
    let Ok(verdict) = verdict else { return };
    let action = serde_json::from_value(serde_json::json!({
        "id": bartizan_model::ActionId::generate(),
        "deed": { "kind": "net.connect", "host": "a", "port": 1 },
        "principal": bartizan_model::Principal::local_human("fuzz"),
    }))
    .unwrap();
    let before = request.clone();
    let released = BROKER.inject(&action, &verdict).unwrap();
    if released.fill(&mut request).is_err() {
        return;
    }
    assert_eq!(before.path, request.path);
    if wanted.is_empty() {
        assert_eq!((&before.query, &before.headers, &before.body), (&request.query, &request.headers, &request.body));
    }
    if let Some(body) = &request.body
        && serde_json::from_slice::<serde_json::Value>(before.body.as_ref().unwrap()).is_ok()
    {
        assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok());
    }
});

//! The published vectors hold: canonical bytes, digests and verdicts are what other implementations were told.
//! `BLESS=1 cargo test -p bartizan-policy vectors` writes the answers anew, for vectors that were added.

use std::fs;
use std::path::{Path, PathBuf};

use bartizan_model::{Action, ActionId, Deed, Principal, canonical};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source};
use serde_json::{Value, json};

fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/v1/vectors").join(name)
}

/// Compares each line's answers with what `answer` says now.
fn check(name: &str, answer: impl Fn(&Value) -> Value) {
    let path = vectors(name);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 12, "{name} has only {} vectors", lines.len());
    let mut fresh = String::new();
    for line in &lines {
        let mut told = line.clone();
        for (key, value) in answer(line).as_object().unwrap() {
            told[key] = value.clone();
        }
        if std::env::var_os("BLESS").is_none() {
            assert_eq!(line, &told, "{name}: {}", line["name"]);
        }
        fresh.push_str(&told.to_string());
        fresh.push('\n');
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, fresh).unwrap();
    }
}

#[test]
fn actions_have_these_bytes_and_digests() {
    check("actions.jsonl", |line| {
        let deed: Deed = serde_json::from_value(line["deed"].clone()).unwrap();
        let principal: Principal = serde_json::from_value(line["principal"].clone()).unwrap();
        let bound = json!({"version": 1, "deed": deed.sealed(), "principal": principal});
        let bytes = canonical::bytes(&bound).unwrap();
        let action = Action { id: ActionId::generate(), deed, principal, run: None, session: None, process: None };
        assert_eq!(action.digest().unwrap(), bartizan_model::Digest::of_bytes(&bytes), "{}", line["name"]);
        json!({"canonical": String::from_utf8(bytes).unwrap(), "digest": action.digest().unwrap()})
    });
}

#[test]
fn deeds_get_these_verdicts() {
    let context = Context::new(Path::new("/home/ana"), Path::new("/home/ana/project")).unwrap();
    check("verdicts.jsonl", |line| {
        let source = Source::new("policy.yaml", line["policy"].as_str().unwrap());
        let policy = Policy::load(&source, &BuiltinsOnly).unwrap_or_else(|errors| panic!("{errors}"));
        let set = PolicySet::new(policy, None, context.clone()).unwrap();
        let verdict = set.verdict(&serde_json::from_value(line["deed"].clone()).unwrap());
        json!({"effect": verdict.effect, "rule": verdict.rule.rule})
    });
}

//! A guard for `git push`: forced pushes are refused, and a push to a release branch is asked for. After untrusted
//! content was read in the session, every push is asked for.
//!
//! Build it with `cargo build --release` and name the result in your policy:
//! `guards: [{ wasm: ./guard_example.wasm }]`.

use exports::bartizan::guard::checker::{Effect, Finding, Guest, Risk};
use serde::Deserialize;

wit_bindgen::generate!({ path: "../../spec/wit", world: "guard" });

/// As much of the input as this guard needs; the rest is passed over.
#[derive(Deserialize)]
struct Input {
    deed: Deed,
    session: Session,
}

/// Deeds of other kinds have other fields.
#[derive(Deserialize)]
struct Deed {
    kind: String,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Deserialize)]
struct Session {
    labels: Vec<String>,
}

struct Pushes;

impl Guest for Pushes {
    fn check(input: String) -> Result<Vec<Finding>, String> {
        let input: Input = serde_json::from_str(&input).map_err(|error| error.to_string())?;
        Ok(look(&input))
    }
}

fn look(input: &Input) -> Vec<Finding> {
    let mut words = input.deed.args.iter().map(String::as_str);
    let program = words.next().unwrap_or_default().rsplit('/').next();
    if input.deed.kind != "exec.run" || program != Some("git") || !words.any(|word| word == "push") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for word in words {
        if word == "-f" || word.starts_with("--force") || word.starts_with('+') {
            findings.push(Finding {
                effect: Effect::Deny,
                rule: "forced-push".to_owned(),
                message: format!("`{word}` rewrites what others have already fetched"),
                risk: Some(Risk::Critical),
            });
        }
        if word.starts_with("release/") {
            findings.push(ask("release-branch", format!("it pushes to `{word}`")));
        }
    }
    if input.session.labels.iter().any(|label| label == "untrusted") {
        findings.push(ask("push-after-untrusted", "it pushes after untrusted content was read".to_owned()));
    }
    findings
}

fn ask(rule: &str, message: String) -> Finding {
    Finding { effect: Effect::Ask, rule: rule.to_owned(), message, risk: None }
}

export!(Pushes);

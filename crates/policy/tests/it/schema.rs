//! The generated JSON Schema says what the decoder reads.

use std::collections::BTreeSet;

use bartizan_policy::{json_schema, parse};
use serde_json::Value;

fn resolve<'a>(root: &'a Value, mut at: &'a Value) -> &'a Value {
    loop {
        if let Some(reference) = at.get("$ref").and_then(Value::as_str) {
            at = root.pointer(reference.trim_start_matches('#')).unwrap();
        } else if let Some(inner) = at.get("anyOf").and_then(Value::as_array) {
            at = inner.iter().find(|option| option.get("type") != Some(&"null".into())).unwrap();
        } else {
            return at;
        }
    }
}

fn keys(schema: &Value) -> BTreeSet<String> {
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

/// Every key of the schema is known to the decoder, and the decoder's list of known keys names no other.
#[test]
fn schema_and_decoder_know_the_same_keys() {
    let root = json_schema();
    assert_eq!(root["additionalProperties"], Value::Bool(false));
    assert_eq!(root["properties"]["bartizan"]["const"], 1);
    let known = |yaml: &str, section: &str| -> BTreeSet<String> {
        let message = parse(yaml.as_bytes()).unwrap_err().errors()[0].message.clone();
        assert!(message.contains(section), "{message}");
        message.split("known are ").nth(1).unwrap().split(", ").map(str::to_owned).collect()
    };
    assert_eq!(keys(&root), known("bartizan: 1\nqqqqqqqqq: 1", "the policy"));
    for section in [
        "files",
        "exec",
        "net",
        "tools",
        "secrets",
        "models",
        "messages",
        "browser",
        "computer",
        "prompts",
        "content",
        "patches",
        "compat",
        "budgets",
        "labels",
        "env",
        "box",
        "limits",
        "approvals",
    ] {
        let schema = resolve(&root, &root["properties"][section]);
        assert_eq!(schema["additionalProperties"], Value::Bool(false), "{section}");
        assert_eq!(
            keys(schema),
            known(&format!("bartizan: 1\n{section}: {{ qqqqqqqqqqqqqq: 1 }}"), section),
            "{section}"
        );
    }
    let rule = root["$defs"]["NetRule"]["oneOf"][1].clone();
    assert_eq!(keys(&rule), known("bartizan: 1\nnet: { allow: [{ host: a.b, qqqqqqqq: 1 }] }", "a net rule"));
    let http = rule["properties"]["http"]["items"].clone();
    assert_eq!(
        keys(&http),
        known("bartizan: 1\nnet: { allow: [{ host: a.b, http: [{ qqqqqqqqq: 1 }] }] }", "an http rule")
    );
}

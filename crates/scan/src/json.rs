//! Redaction of JSON values, where a secret and the name that tells it may stand apart.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::Redactor;
use crate::detectors::{is_sensitive_flag, is_sensitive_name};
use crate::redactor::is_marker;

/// Deeper values are replaced whole: what can't be looked at isn't let through. serde_json itself stops at 128.
const DEPTH_MAX: usize = 128;

const TOO_DEEP: &str = "[redacted:too-deep]";
const NAMED: &str = "[redacted:secret]";

impl Redactor {
    /// Redacts every string in `value`, keys included.
    ///
    /// A value is taken out whole when its key, the `name` beside it, or the flag before it says that it is a
    /// secret: `{"password": …}`, `{"name": "authorization", "value": …}`, `["--token", …]`.
    ///
    /// Says whether anything may have been taken out; `false` means that the value is as it was.
    pub fn redact_json(&self, value: &mut Value) -> bool {
        self.redact_value(value, DEPTH_MAX)
    }

    fn redact_value(&self, value: &mut Value, depth: usize) -> bool {
        match value {
            Value::String(text) => self.redact_string(text),
            Value::Array(_) | Value::Object(_) if depth == 0 => {
                *value = Value::from(TOO_DEEP);
                true
            }
            Value::Array(items) => {
                let (mut after_flag, mut changed) = (false, false);
                for item in items {
                    if after_flag {
                        take_out(item);
                        changed = true;
                    }
                    after_flag = item.as_str().is_some_and(is_sensitive_flag);
                    changed |= self.redact_value(item, depth - 1);
                }
                changed
            }
            Value::Object(fields) => self.redact_fields(fields, depth - 1),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn redact_fields(&self, fields: &mut Map<String, Value>, depth: usize) -> bool {
        let mut changed = false;
        let names_a_secret = ["name", "key", "header"]
            .iter()
            .any(|label| fields.get(*label).and_then(Value::as_str).is_some_and(is_sensitive_name));
        if names_a_secret && let Some(value) = fields.get_mut("value") {
            take_out(value);
            changed = true;
        }
        for (key, value) in fields.iter_mut() {
            if is_sensitive_name(key) {
                take_out(value);
                changed = true;
            }
            changed |= self.redact_value(value, depth);
        }
        if fields.keys().any(|key| matches!(self.redact(key), Cow::Owned(_))) {
            *fields = std::mem::take(fields)
                .into_iter()
                .map(|(key, value)| (self.redact(&key).into_owned(), value))
                .collect();
            changed = true;
        }
        changed
    }

    fn redact_string(&self, text: &mut String) -> bool {
        match self.redact(text) {
            Cow::Owned(clean) => {
                *text = clean;
                true
            }
            Cow::Borrowed(_) => false,
        }
    }
}

/// Replaces a value known by its name to be secret; objects are left to their own names.
fn take_out(value: &mut Value) {
    match value {
        Value::String(text) if text.is_empty() || is_marker(text.as_bytes()) => {}
        Value::String(_) | Value::Number(_) => *value = Value::from(NAMED),
        Value::Array(items) => {
            for item in items {
                if !item.is_array() {
                    take_out(item);
                }
            }
        }
        Value::Object(_) | Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(mut value: Value, expected: Value) {
        let redactor = Redactor::standard();
        redactor.redact_json(&mut value);
        assert_eq!(value, expected);
        redactor.redact_json(&mut value);
        assert_eq!(value, expected, "a second pass changed it");
    }

    #[test]
    fn walks_strings_and_keys() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        check(
            json!({"argv": ["git", "clone", token], token.clone(): {"n": [1, true, null]}}),
            json!({"argv": ["git", "clone", "[redacted:github-token]"], "[redacted:github-token]": {"n": [1, true, null]}}),
        );
    }

    #[test]
    fn takes_out_what_a_name_beside_it_tells() {
        check(json!({"password": "short", "user": "me"}), json!({"password": NAMED, "user": "me"}));
        check(json!({"password": 1234, "token": null}), json!({"password": NAMED, "token": null}));
        check(json!({"set-cookie": ["a=1", "b=2"]}), json!({"set-cookie": [NAMED, NAMED]}));
        check(json!({"name": "Authorization", "value": "x"}), json!({"name": "Authorization", "value": NAMED}));
        check(json!(["mysql", "--password", "x", "-u", "me"]), json!(["mysql", "--password", NAMED, "-u", "me"]));
        check(json!({"name": "Accept", "value": "x"}), json!({"name": "Accept", "value": "x"}));
        check(json!({"tokens": 12, "path": "/x"}), json!({"tokens": 12, "path": "/x"}));
        // Nothing to take out, and what was taken out before keeps its kind.
        let left = json!({"password": "", "token": "[redacted:github-token]"});
        check(left.clone(), left);
    }

    #[test]
    fn does_not_follow_without_end() {
        let mut value = json!("password=hunter2");
        for _ in 0..10_000 {
            value = Value::Array(vec![value]);
        }
        Redactor::standard().redact_json(&mut value);
        let mut depth = 0;
        let mut inner = &value;
        while let Some(next) = inner.get(0) {
            inner = next;
            depth += 1;
        }
        assert_eq!((depth, inner), (DEPTH_MAX, &json!(TOO_DEEP)));
    }
}

//! `bartizan check`: one action a line in, one verdict a line out.

use bartizan_model::{Deed, SessionId, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest line read; larger ones are answered with an error and skipped. The most content an action may carry fits
/// in base64, with room for the rest.
pub const LINE_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Most trusted values of one line.
pub const TRUSTED_MAX: usize = 256;

/// One line of input: either the deed itself, or an envelope with what is known beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckRequest {
    /// Repeated in the answer.
    pub id: Option<Value>,
    /// The session the action belongs to; what it reads and does counts for later actions of the same one.
    pub session: Option<SessionId>,
    /// What the principal asked for, in its own words.
    pub instructions: Option<String>,
    /// Hosts, recipients, paths and other values of trusted configuration.
    pub trusted: Vec<String>,
    /// Whoever asks carries out `redacted` of the answer, where it has one, instead of the action.
    pub redact: bool,
    /// The action to decide.
    pub deed: Deed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    session: Option<SessionId>,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default)]
    trusted: Vec<String>,
    #[serde(default)]
    redact: bool,
    action: Deed,
}

/// One line of output.
#[derive(Debug, Clone, Serialize)]
pub struct CheckAnswer {
    /// The request's `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// The decision; absent when there is an error. Whoever gets no verdict must deny.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What is to be carried out instead of the action, where policy wanted something taken out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted: Option<Deed>,
    /// Why there is no decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl CheckRequest {
    /// Reads one line. Duplicate keys, unknown keys and unknown kinds are errors.
    ///
    /// # Errors
    /// What is wrong, with the column.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned())?;
        let has_envelope = crate::check::top_level_keys(text)?.iter().any(|key| key == "action");
        if has_envelope {
            let Envelope { id, session, instructions, trusted, redact, action: deed } =
                serde_json::from_str(text).map_err(|error| error.to_string())?;
            if trusted.len() > TRUSTED_MAX {
                return Err(format!("`trusted` has {} values, the most is {TRUSTED_MAX}", trusted.len()));
            }
            Ok(Self { id, session, instructions, trusted, redact, deed })
        } else {
            let deed = serde_json::from_str(text).map_err(|error| error.to_string())?;
            Ok(Self { id: None, session: None, instructions: None, trusted: Vec::new(), redact: false, deed })
        }
    }
}

/// The keys of the outermost object; an error when the text is no object or names a key twice.
fn top_level_keys(text: &str) -> Result<Vec<String>, String> {
    struct Keys(Vec<String>);

    impl<'de> Deserialize<'de> for Keys {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;

            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Keys;

                fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    formatter.write_str("a JSON object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                    let mut keys: Vec<String> = Vec::new();
                    while let Some(key) = map.next_key::<String>()? {
                        map.next_value::<serde::de::IgnoredAny>()?;
                        if keys.contains(&key) {
                            return Err(serde::de::Error::custom(format!("key `{key}` is there twice")));
                        }
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }

            deserializer.deserialize_map(Visitor)
        }
    }

    serde_json::from_str::<Keys>(text).map(|keys| keys.0).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_deed_or_an_envelope_and_refuses_the_rest() {
        let deed = r#"{"kind":"net.connect","host":"a.test","port":443}"#;
        assert_eq!(CheckRequest::parse(deed.as_bytes()).unwrap().id, None);
        let envelope = format!(r#"{{"id":7,"action":{deed}}}"#);
        assert_eq!(CheckRequest::parse(envelope.as_bytes()).unwrap().id, Some(Value::from(7)));
        let session = format!(r#"{{"session":"s-1","instructions":"go","trusted":["a.test"],"action":{deed}}}"#);
        let request = CheckRequest::parse(session.as_bytes()).unwrap();
        assert_eq!((request.session.unwrap().as_str(), request.trusted.len()), ("s-1", 1));
        for wrong in [
            r#"{"session":"../x","action":{"kind":"file.read","path":"/x"}}"#,
            r#"{"session":"","action":{"kind":"file.read","path":"/x"}}"#,
            "",
            "[]",
            "null",
            "{",
            "\u{feff}{}",
            r#"{"kind":"net.connect","host":"a.test","port":70000}"#,
            r#"{"kind":"net.connect","host":"a.test","host":"b.test","port":443}"#,
            r#"{"kind":"net.connect","host":"a.test","port":443,"allow":true}"#,
            r#"{"id":1,"action":{"kind":"file.read","path":"/x"},"verdict":"allow"}"#,
        ] {
            assert!(CheckRequest::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(CheckRequest::parse(b"\xff").is_err());
    }
}

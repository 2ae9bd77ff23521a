//! Events and decisions, so that an import can be held against what the other program decided.

use bartizan_model::{Content, Deed, Effect, Finding, Origin, Risk, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::read::EVENT_LINE_BYTES_MAX;
use crate::report::quoted;

/// Why an event can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EventError(String);

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its identifier.
    pub id: String,
    /// The session it belongs to.
    pub session: Option<String>,
    /// What it is about.
    pub subject: Subject,
    /// It has no content, only its digest, so guards over content had nothing to look at.
    missing_content: bool,
    /// Its path as written and as decided, where they differ.
    path: Option<(String, String)>,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A deed policies decide over.
    Deed(Box<Deed>),
    /// Something neither program has a guard for; it was always allowed.
    Unguarded(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Line {
    #[serde(alias = "event_id")]
    event_id: String,
    #[serde(alias = "event_type")]
    event_type: String,
    #[expect(dead_code, reason = "must be there; decisions don't depend on it")]
    timestamp: String,
    #[serde(default, alias = "session_id")]
    session_id: Option<String>,
    data: Map<String, Value>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    #[expect(dead_code, reason = "a known key that no guard reads")]
    context: Option<Value>,
}

impl Event {
    /// Reads one line of an event file. Relative paths are taken from `workspace`, an absolute path.
    ///
    /// # Errors
    /// It is too long, no JSON, of an unknown type, or lacks what its type needs.
    pub fn parse(line: &[u8], workspace: &str) -> Result<Self, EventError> {
        if line.len() > EVENT_LINE_BYTES_MAX {
            return Err(EventError(format!(
                "the event has {} bytes; at most {EVENT_LINE_BYTES_MAX} are read",
                line.len()
            )));
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| EventError(error.to_string()))?;
        let data = Data(&line.data);
        let kind = data.text(&["type"])?.unwrap_or_default();
        let agrees = |kinds: &[&str]| -> Result<(), EventError> {
            if kinds.contains(&kind) {
                return Ok(());
            }
            Err(EventError(format!(
                "`{}` and data of type `{}` don't go together",
                quoted(&line.event_type),
                quoted(kind)
            )))
        };
        let mut missing_content = false;
        let deed = match line.event_type.as_str() {
            "file_read" => {
                agrees(&["file"])?;
                Deed::FileRead { path: data.path(&["path"], workspace)? }
            }
            "file_write" => {
                agrees(&["file"])?;
                let content = data.content()?;
                missing_content = content.is_none();
                Deed::FileWrite { path: data.path(&["path"], workspace)?, operation: None, content }
            }
            "network_egress" => {
                agrees(&["network"])?;
                let host = data.required(&["host"])?.to_owned();
                let port = match line.data.get("port") {
                    None | Some(Value::Null) => 443,
                    Some(port) => port
                        .as_u64()
                        .and_then(|port| u16::try_from(port).ok())
                        .ok_or_else(|| EventError("`port` is no port".into()))?,
                };
                Deed::NetConnect { host, port }
            }
            "command_exec" => {
                agrees(&["command"])?;
                let program = data.required(&["command"])?.to_owned();
                let mut args = vec![program.clone()];
                args.extend(data.texts("args")?);
                Deed::ExecRun { program, args, cwd: None }
            }
            "patch_apply" => {
                agrees(&["patch"])?;
                Deed::FilePatch {
                    path: data.path(&["filePath", "file_path"], workspace)?,
                    patch: data.required(&["patchContent", "patch_content"])?.into(),
                }
            }
            "tool_call" => {
                agrees(&["tool"])?;
                let name = data.required(&["toolName", "tool_name"])?.to_owned();
                let said =
                    |key: &str| line.metadata.as_ref().and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
                let is_mcp =
                    said("toolKind").or(said("tool_kind")).is_some_and(|kind| kind.eq_ignore_ascii_case("mcp"))
                        || name.starts_with("mcp__");
                let server = if is_mcp { "mcp" } else { "local" }.to_owned();
                let arguments = line.data.get("parameters").cloned().unwrap_or(Value::Null);
                Deed::ToolCall { server, name, arguments }
            }
            "secret_access" => {
                agrees(&["secret"])?;
                let name = data.text(&["secretName", "secret_name", "name", "key"])?.unwrap_or("unnamed").to_owned();
                Deed::SecretUse { name, destination: None }
            }
            "custom" => {
                agrees(&["custom"])?;
                let custom = data.required(&["customType", "custom_type"])?;
                let origin = match custom.strip_prefix("hushclaw.").unwrap_or(custom) {
                    "untrusted_text" => Origin::Retrieved,
                    "user_input" => Origin::User,
                    other => {
                        return Ok(Self {
                            id: line.event_id,
                            session: line.session_id,
                            subject: Subject::Unguarded(quoted(other)),
                            missing_content: false,
                            path: None,
                        });
                    }
                };
                let source = data.text(&["source"])?.unwrap_or("event").to_owned();
                Deed::ContentReceive { origin, source, content: data.required(&["text"])?.into() }
            }
            other => return Err(EventError(format!("event type `{}` is not known", quoted(other)))),
        };
        let written = data.text(&["path", "filePath", "file_path"])?;
        let path = match (&deed, written) {
            (Deed::FileRead { path } | Deed::FileWrite { path, .. } | Deed::FilePatch { path, .. }, Some(written)) => {
                (path != written).then(|| (path.clone(), written.to_owned()))
            }
            _ => None,
        };
        let subject = Subject::Deed(Box::new(deed));
        Ok(Self { id: line.event_id, session: line.session_id, subject, missing_content, path })
    }

    /// The decision in the other program's form: for a deed from its verdict, else `None` for what has no guard.
    #[must_use]
    pub fn decision(&self, verdict: Option<&Verdict>) -> Decision {
        let mut decision = self.decision_of(verdict);
        if let Some((decided, written)) = &self.path {
            decision.message = decision.message.replace(decided.as_str(), written);
        }
        decision
    }

    fn decision_of(&self, verdict: Option<&Verdict>) -> Decision {
        let reason = self.missing_content.then(|| "missing_content_bytes".to_owned());
        let Some(verdict) = verdict else { return Decision { reason, ..Decision::allowed() } };
        // The gravest finding speaks; among equals the first.
        let gravest = verdict
            .findings
            .iter()
            .filter(|finding| finding.effect.unwrap_or(Effect::Allow) == verdict.effect && finding.effect.is_some())
            .reduce(|first, next| if next.risk > first.risk { next } else { first });
        if verdict.effect == Effect::Allow {
            let warning = verdict.findings.iter().find(|finding| finding.guard.starts_with("compat."));
            return match warning {
                Some(finding) => Decision { warn: true, allowed: true, denied: false, reason, ..Decision::of(finding) },
                None => Decision { reason, ..Decision::allowed() },
            };
        }
        match gravest {
            Some(finding) => Decision { reason, ..Decision::of(finding) },
            None => Decision {
                allowed: false,
                denied: true,
                warn: false,
                guard: Some(verdict.rule.rule.clone()),
                severity: Some(severity(verdict.risk)),
                message: verdict.reason.clone(),
                reason,
            },
        }
    }
}

/// A decision in the other program's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// It may happen.
    pub allowed: bool,
    /// It must not.
    pub denied: bool,
    /// It may, and somebody should look.
    pub warn: bool,
    /// The guard that decided.
    pub guard: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: Option<String>,
    /// For people.
    pub message: String,
    /// What to know beside.
    pub reason: Option<String>,
}

impl Decision {
    fn allowed() -> Self {
        Self {
            allowed: true,
            denied: false,
            warn: false,
            guard: None,
            severity: None,
            message: "Allowed".into(),
            reason: None,
        }
    }

    fn of(finding: &Finding) -> Self {
        let guard = finding.guard.strip_prefix("compat.").unwrap_or(&finding.guard);
        Self {
            allowed: false,
            denied: true,
            warn: false,
            guard: Some(guard.to_owned()),
            severity: Some(severity(finding.risk.unwrap_or(Risk::High))),
            message: finding.message.clone(),
            reason: None,
        }
    }

    /// `allowed`, `warn` or `blocked`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match (self.allowed, self.warn) {
            (false, _) => "blocked",
            (true, true) => "warn",
            (true, false) => "allowed",
        }
    }
}

fn severity(risk: Risk) -> String {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
        Risk::Critical => "critical",
    }
    .to_owned()
}

/// The data of an event, with its keys in either spelling.
struct Data<'a>(&'a Map<String, Value>);

impl<'a> Data<'a> {
    fn text(&self, keys: &[&str]) -> Result<Option<&'a str>, EventError> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((key, self.0.get(*key)?))) else { return Ok(None) };
        match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            _ => Err(EventError(format!("`data.{key}` must be a text"))),
        }
    }

    fn required(&self, keys: &[&str]) -> Result<&'a str, EventError> {
        let name = keys.first().copied().unwrap_or_default();
        self.text(keys)?.ok_or_else(|| EventError(format!("`data.{name}` is missing")))
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, EventError> {
        let problem = || EventError(format!("`data.{key}` must be a list of texts"));
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(problem)).collect()
            }
            Some(_) => Err(problem()),
        }
    }

    /// The path, absolute, with slashes.
    fn path(&self, keys: &[&str], workspace: &str) -> Result<String, EventError> {
        let path = self.required(keys)?.replace('\\', "/");
        if path.starts_with('/') { Ok(path) } else { Ok(format!("{}/{path}", workspace.trim_end_matches('/'))) }
    }

    fn content(&self) -> Result<Option<Content>, EventError> {
        if let Some(text) = self.text(&["content"])? {
            return Ok(Some(text.into()));
        }
        let Some(encoded) = self.text(&["contentBase64", "content_base64"])? else { return Ok(None) };
        serde_json::from_value(serde_json::json!({ "base64": encoded }))
            .map(Some)
            .map_err(|_| EventError("`data.contentBase64` is no base64".into()))
    }
}

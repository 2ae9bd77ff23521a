//! Actions: what an agent does, one deed at a time.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{CanonicalError, Digest};
use crate::content::Content;
use crate::id::{ActionId, RunId, SessionId};
use crate::principal::Principal;
use crate::sighting::Part;

/// One deed of an agent, with everything a decision may depend on.
///
/// The JSON form is the wire form of `bartizan check` and the ledger; `kind` selects the deed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Deed {
    /// Read a file; `path` is absolute.
    #[serde(rename = "file.read")]
    FileRead {
        /// Absolute path, lexically normalised.
        path: String,
    },
    /// Create, change, replace or remove a file; `path` is absolute.
    #[serde(rename = "file.write")]
    FileWrite {
        /// Absolute path, lexically normalised.
        path: String,
        /// What is done: `write`, `create`, `rename`, `link`, `symlink`, `mkdir`, `remove`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<String>,
        /// What is written, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Content>,
    },
    /// Change files by a patch; `path` is absolute.
    #[serde(rename = "file.patch")]
    FilePatch {
        /// The file that is patched, or the directory that paths in the patch are relative to.
        path: String,
        /// A unified diff.
        patch: Content,
    },
    /// Start a program.
    #[serde(rename = "exec.run")]
    ExecRun {
        /// The program as it was found (absolute) or as it was asked for.
        program: String,
        /// The argument vector, `argv[0]` included.
        args: Vec<String>,
        /// Working directory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<String>,
    },
    /// Open a TCP connection.
    #[serde(rename = "net.connect")]
    NetConnect {
        /// Host name in lower case without a final dot, or a literal address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// Ask for a name's addresses.
    #[serde(rename = "dns.query")]
    DnsQuery {
        /// Name in lower case without a final dot.
        name: String,
        /// Record type, e.g. `A`.
        record_type: String,
    },
    /// Send one HTTP request.
    #[serde(rename = "http.request")]
    HttpRequest {
        /// Method in upper case.
        method: String,
        /// `http` or `https`.
        scheme: String,
        /// Host, as in `net.connect`.
        host: String,
        /// TCP port.
        port: u16,
        /// Canonical path, always starting with `/`.
        path: String,
        /// Query without `?`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// The body, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Content>,
        /// The secrets it asks for by their placeholders.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        placeholders: Vec<SecretUse>,
        /// Those of its headers that rules look at.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<RequestHeader>,
        /// The protocol it asks to change to, such as `websocket`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upgrade: Option<String>,
    },
    /// Call a tool.
    #[serde(rename = "tool.call")]
    ToolCall {
        /// The server that offers the tool.
        server: String,
        /// The tool's name.
        name: String,
        /// Its arguments.
        #[serde(default)]
        arguments: Value,
    },
    /// Use a secret.
    #[serde(rename = "secret.use")]
    SecretUse {
        /// The secret's name, never its value.
        name: String,
        /// Where it would go.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        destination: Option<String>,
    },
    /// Take text into an agent's context.
    #[serde(rename = "content.receive")]
    ContentReceive {
        /// Who it comes from.
        origin: Origin,
        /// Where it comes from: a URL, a path, `server/tool`, a person's name.
        source: String,
        /// The text.
        content: Content,
    },
    /// Ask a language model.
    #[serde(rename = "llm.request")]
    LlmRequest {
        /// Who runs it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        /// The model's name.
        model: String,
        /// All that is sent to it.
        content: Content,
        /// How many tokens are sent, where it is known; else it is estimated from the length.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input_tokens: Option<u64>,
        /// How many tokens the answer may have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_tokens_max: Option<u64>,
    },
    /// Do something in a browser.
    #[serde(rename = "browser.act")]
    BrowserAct {
        /// What is done: `navigate`, `click`, `type`, `select`, `upload`, `download`, `evaluate`, …
        operation: String,
        /// The page it is done on, or gone to.
        url: String,
        /// What the element says that it is done to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        /// What is typed or uploaded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Content>,
    },
    /// Do something with a screen, keyboard, mouse or clipboard.
    #[serde(rename = "computer.act")]
    ComputerAct {
        /// What is done: `screenshot`, `click`, `type`, `key`, `clipboard.read`, `clipboard.write`, `file.transfer`, …
        operation: String,
        /// What it is done to: an application, a window, a key, a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// What is typed, copied or transferred.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Content>,
    },
    /// Send a message to somebody.
    #[serde(rename = "message.send")]
    MessageSend {
        /// Through what: `email`, `slack`, …
        channel: String,
        /// To whom.
        recipient: String,
        /// The message.
        content: Content,
    },
}

/// A header of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestHeader {
    /// Its name in lower case.
    pub name: String,
    /// Its value; bytes that are no UTF-8 are replaced.
    pub value: String,
}

/// A secret that a request asks for: its placeholder stands in the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretUse {
    /// The secret's name, never its value.
    pub name: String,
    /// Where the placeholder stands: `header.authorization`, `query.key`, `basic.password`, `json.auth.token`.
    pub at: String,
    /// What stands there, with `${NAME}` for the placeholder.
    pub text: String,
}

/// Who a text that enters an agent's context comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// The principal's own words.
    User,
    /// Looked up: a page, a file, a mail.
    Retrieved,
    /// A tool's result.
    Tool,
    /// What a language model answers.
    Model,
}

impl Origin {
    /// The word used everywhere: `user`, `retrieved`, `tool`, `model`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Retrieved => "retrieved",
            Self::Tool => "tool",
            Self::Model => "model",
        }
    }
}

/// The kinds of deed, for filters and rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the deed of the same name")]
pub enum ActionKind {
    #[serde(rename = "file.read")]
    FileRead,
    #[serde(rename = "file.write")]
    FileWrite,
    #[serde(rename = "exec.run")]
    ExecRun,
    #[serde(rename = "net.connect")]
    NetConnect,
    #[serde(rename = "dns.query")]
    DnsQuery,
    #[serde(rename = "http.request")]
    HttpRequest,
    #[serde(rename = "tool.call")]
    ToolCall,
    #[serde(rename = "secret.use")]
    SecretUse,
    #[serde(rename = "file.patch")]
    FilePatch,
    #[serde(rename = "content.receive")]
    ContentReceive,
    #[serde(rename = "llm.request")]
    LlmRequest,
    #[serde(rename = "browser.act")]
    BrowserAct,
    #[serde(rename = "computer.act")]
    ComputerAct,
    #[serde(rename = "message.send")]
    MessageSend,
}

impl ActionKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::FileRead,
        Self::FileWrite,
        Self::ExecRun,
        Self::NetConnect,
        Self::DnsQuery,
        Self::HttpRequest,
        Self::ToolCall,
        Self::SecretUse,
        Self::FilePatch,
        Self::ContentReceive,
        Self::LlmRequest,
        Self::BrowserAct,
        Self::ComputerAct,
        Self::MessageSend,
    ];

    /// The name on the wire, e.g. `net.connect`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileRead => "file.read",
            Self::FileWrite => "file.write",
            Self::ExecRun => "exec.run",
            Self::NetConnect => "net.connect",
            Self::DnsQuery => "dns.query",
            Self::HttpRequest => "http.request",
            Self::ToolCall => "tool.call",
            Self::SecretUse => "secret.use",
            Self::FilePatch => "file.patch",
            Self::ContentReceive => "content.receive",
            Self::LlmRequest => "llm.request",
            Self::BrowserAct => "browser.act",
            Self::ComputerAct => "computer.act",
            Self::MessageSend => "message.send",
        }
    }
}

impl Deed {
    /// Which kind of deed it is.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::FileRead { .. } => ActionKind::FileRead,
            Self::FileWrite { .. } => ActionKind::FileWrite,
            Self::ExecRun { .. } => ActionKind::ExecRun,
            Self::NetConnect { .. } => ActionKind::NetConnect,
            Self::DnsQuery { .. } => ActionKind::DnsQuery,
            Self::HttpRequest { .. } => ActionKind::HttpRequest,
            Self::ToolCall { .. } => ActionKind::ToolCall,
            Self::SecretUse { .. } => ActionKind::SecretUse,
            Self::FilePatch { .. } => ActionKind::FilePatch,
            Self::ContentReceive { .. } => ActionKind::ContentReceive,
            Self::LlmRequest { .. } => ActionKind::LlmRequest,
            Self::BrowserAct { .. } => ActionKind::BrowserAct,
            Self::ComputerAct { .. } => ActionKind::ComputerAct,
            Self::MessageSend { .. } => ActionKind::MessageSend,
        }
    }

    /// What it is done to, in one line for people and for searching: a path, a command, `host:port`, a URL.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::FileRead { path } | Self::FileWrite { path, .. } | Self::FilePatch { path, .. } => path.clone(),
            Self::ExecRun { program, args, .. } => {
                let mut line = program.clone();
                for argument in args.iter().skip(1) {
                    line.push(' ');
                    line.push_str(argument);
                }
                line
            }
            Self::NetConnect { host, port } => join_port(host, *port),
            Self::DnsQuery { name, record_type } => format!("{name} {record_type}"),
            Self::HttpRequest { method, scheme, host, port, path, query, .. } => {
                let query = query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
                match (scheme.as_str(), port) {
                    ("http", 80) | ("https", 443) => format!("{method} {scheme}://{host}{path}{query}"),
                    _ => format!("{method} {scheme}://{}{path}{query}", join_port(host, *port)),
                }
            }
            Self::ToolCall { server, name, .. } => format!("{server}/{name}"),
            Self::SecretUse { name, destination } => match destination {
                Some(destination) => format!("{name} → {destination}"),
                None => name.clone(),
            },
            Self::ContentReceive { origin, source, .. } => format!("{} {source}", origin.as_str()),
            Self::LlmRequest { provider, model, .. } => match provider {
                Some(provider) => format!("{provider}/{model}"),
                None => model.clone(),
            },
            Self::BrowserAct { operation, url, label, .. } => match label {
                Some(label) => format!("{operation} {url} `{label}`"),
                None => format!("{operation} {url}"),
            },
            Self::ComputerAct { operation, target, .. } => match target {
                Some(target) => format!("{operation} {target}"),
                None => operation.clone(),
            },
            Self::MessageSend { channel, recipient, .. } => format!("{channel}/{recipient}"),
        }
    }

    /// What it carries that is kept only sealed, if anything.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::FileWrite { content, .. } | Self::BrowserAct { content, .. } | Self::ComputerAct { content, .. } => {
                content.as_ref()
            }
            Self::HttpRequest { body, .. } => body.as_ref(),
            Self::FilePatch { patch: content, .. }
            | Self::ContentReceive { content, .. }
            | Self::LlmRequest { content, .. }
            | Self::MessageSend { content, .. } => Some(content),
            _ => None,
        }
    }

    pub(crate) fn content_mut(&mut self) -> Option<&mut Content> {
        match self {
            Self::FileWrite { content, .. } | Self::BrowserAct { content, .. } | Self::ComputerAct { content, .. } => {
                content.as_mut()
            }
            Self::HttpRequest { body, .. } => body.as_mut(),
            Self::FilePatch { patch: content, .. }
            | Self::ContentReceive { content, .. }
            | Self::LlmRequest { content, .. }
            | Self::MessageSend { content, .. } => Some(content),
            _ => None,
        }
    }

    /// Puts this piece of what streams in the place of a request's body, to be looked at by itself. Says whether the
    /// deed is one that carries such a body.
    pub fn carry(&mut self, piece: &[u8]) -> bool {
        let Self::HttpRequest { body, .. } = self else { return false };
        *body = Some(Content::Bytes(piece.to_vec()));
        true
    }

    /// The same deed with its content sealed: what digests are over and what the ledger keeps.
    #[must_use]
    pub fn sealed(&self) -> Cow<'_, Self> {
        if self.content().is_none_or(Content::is_sealed) {
            return Cow::Borrowed(self);
        }
        let mut sealed = self.without_content();
        if let (Some(place), Some(content)) = (sealed.content_mut(), self.content()) {
            *place = content.sealed();
        }
        Cow::Owned(sealed)
    }

    /// Everything but the content, which is left empty: so that sealing copies no megabytes.
    fn without_content(&self) -> Self {
        let nothing = || Content::Text(String::new());
        match self {
            Self::FileWrite { path, operation, content } => Self::FileWrite {
                path: path.clone(),
                operation: operation.clone(),
                content: content.as_ref().map(|_| nothing()),
            },
            Self::FilePatch { path, .. } => Self::FilePatch { path: path.clone(), patch: nothing() },
            Self::HttpRequest { method, scheme, host, port, path, query, body, placeholders, headers, upgrade } => {
                Self::HttpRequest {
                    method: method.clone(),
                    scheme: scheme.clone(),
                    host: host.clone(),
                    port: *port,
                    path: path.clone(),
                    query: query.clone(),
                    body: body.as_ref().map(|_| nothing()),
                    placeholders: placeholders.clone(),
                    headers: headers.clone(),
                    upgrade: upgrade.clone(),
                }
            }
            Self::ContentReceive { origin, source, .. } => {
                Self::ContentReceive { origin: *origin, source: source.clone(), content: nothing() }
            }
            Self::LlmRequest { provider, model, input_tokens, output_tokens_max, .. } => Self::LlmRequest {
                provider: provider.clone(),
                model: model.clone(),
                content: nothing(),
                input_tokens: *input_tokens,
                output_tokens_max: *output_tokens_max,
            },
            Self::BrowserAct { operation, url, label, content } => Self::BrowserAct {
                operation: operation.clone(),
                url: url.clone(),
                label: label.clone(),
                content: content.as_ref().map(|_| nothing()),
            },
            Self::ComputerAct { operation, target, content } => Self::ComputerAct {
                operation: operation.clone(),
                target: target.clone(),
                content: content.as_ref().map(|_| nothing()),
            },
            Self::MessageSend { channel, recipient, .. } => {
                Self::MessageSend { channel: channel.clone(), recipient: recipient.clone(), content: nothing() }
            }
            other => other.clone(),
        }
    }

    /// Tells every part a scanner should look at, as it came. Paths, hosts and command lines are no content: rules
    /// speak about them.
    pub fn contents(&self, mut tell: impl FnMut(Part, &[u8])) {
        match self {
            Self::FilePatch { patch, .. } => {
                if let Some(bytes) = patch.bytes() {
                    tell(Part::Patch, bytes);
                }
            }
            Self::HttpRequest { path, query, body, .. } => {
                tell(Part::Path, path.as_bytes());
                if let Some(query) = query {
                    tell(Part::Query, query.as_bytes());
                }
                if let Some(bytes) = body.as_ref().and_then(Content::bytes) {
                    tell(Part::Body, bytes);
                }
            }
            Self::ToolCall { arguments, .. } => {
                if !arguments.is_null()
                    && let Ok(json) = serde_json::to_vec(arguments)
                {
                    tell(Part::Arguments, &json);
                }
            }
            Self::BrowserAct { url, label, content, .. } => {
                tell(Part::Url, url.as_bytes());
                if let Some(label) = label {
                    tell(Part::Label, label.as_bytes());
                }
                if let Some(bytes) = content.as_ref().and_then(Content::bytes) {
                    tell(Part::Content, bytes);
                }
            }
            other => {
                if let Some(bytes) = other.content().and_then(Content::bytes) {
                    tell(Part::Content, bytes);
                }
            }
        }
    }
}

fn join_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The process an action came from, as the kernel tells it; absent where it can't be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Process id as seen from outside the box, unless `in_box` says otherwise.
    pub pid: u32,
    /// The process id is the one the box itself counts with: what the warden tells.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_box: bool,
    /// Path of the executable inside the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
}

/// A deed with who asks for it and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// This action's identifier.
    pub id: ActionId,
    /// What is to be done.
    pub deed: Deed,
    /// Who asks.
    pub principal: Principal,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The session it belongs to, where whoever asks keeps several apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The process it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// What an approval is bound to: the deed and who asks, without the accidents of one attempt (ids, time, process).
#[derive(Serialize)]
struct Bound<'a> {
    version: u32,
    deed: &'a Deed,
    principal: &'a Principal,
}

impl Action {
    /// Digest of the exact deed, its content sealed, and principal. Two attempts at the same thing by the same
    /// principal have the same digest; any change of an argument or of the content changes it.
    ///
    /// # Errors
    /// The arguments of a tool call hold a number JSON can't carry.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        let deed = self.deed.sealed();
        Digest::of(&Bound { version: crate::MODEL_VERSION, deed: &deed, principal: &self.principal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(deed: Deed) -> Action {
        Action {
            id: ActionId::generate(),
            deed,
            principal: Principal::local_human("alice"),
            run: None,
            session: None,
            process: None,
        }
    }

    #[test]
    fn digest_binds_arguments_not_attempts() {
        let connect = |port| Deed::NetConnect { host: "example.com".into(), port };
        let first = action(connect(443));
        let mut again = action(connect(443));
        again.process = Some(Process { pid: 7, in_box: false, executable: None });
        assert_ne!(first.id, again.id);
        assert_eq!(first.digest().unwrap(), again.digest().unwrap());
        assert_ne!(first.digest().unwrap(), action(connect(444)).digest().unwrap());
    }

    #[test]
    fn digest_binds_content_and_is_that_of_the_sealed_form() {
        let send = |content: &str| Deed::MessageSend {
            channel: "email".into(),
            recipient: "bob@example.com".into(),
            content: content.into(),
        };
        let whole = action(send("hello"));
        let mut kept = whole.clone();
        kept.deed = whole.deed.sealed().into_owned();
        assert_eq!(whole.digest().unwrap(), kept.digest().unwrap());
        assert_ne!(whole.digest().unwrap(), action(send("hello!")).digest().unwrap());
        assert!(!serde_json::to_string(&kept).unwrap().contains("hello"));
        let mut seen = Vec::new();
        whole.deed.contents(|part, bytes| seen.push((part, bytes.to_vec())));
        assert_eq!(seen, [(Part::Content, b"hello".to_vec())]);
        kept.deed.contents(|_, _| panic!("sealed content can't be looked at"));
    }

    #[test]
    fn every_deed_with_content_is_sealed() {
        for deed in [
            r#"{"kind":"file.write","path":"/x","content":"PLAIN"}"#,
            r#"{"kind":"file.patch","path":"/x","patch":{"base64":"UExBSU4="}}"#,
            r#"{"kind":"http.request","method":"POST","scheme":"http","host":"a","port":80,"path":"/","body":"PLAIN"}"#,
            r#"{"kind":"content.receive","origin":"tool","source":"s","content":"PLAIN"}"#,
            r#"{"kind":"llm.request","model":"m","content":"PLAIN","input_tokens":3}"#,
            r#"{"kind":"browser.act","operation":"type","url":"u","label":"l","content":"PLAIN"}"#,
            r#"{"kind":"computer.act","operation":"type","target":"t","content":"PLAIN"}"#,
            r#"{"kind":"message.send","channel":"c","recipient":"r","content":"PLAIN"}"#,
        ] {
            let whole: Deed = serde_json::from_str(deed).unwrap();
            let sealed = whole.sealed();
            let text = serde_json::to_string(&sealed).unwrap();
            assert!(!text.contains("PLAIN") && !text.contains("UExB") && text.contains("length_bytes\":5"), "{text}");
            assert_eq!(sealed.target(), whole.target());
            assert_eq!(sealed.sealed(), sealed);
        }
    }

    #[test]
    fn deed_refuses_unknown_keys() {
        assert!(serde_json::from_str::<Deed>(r#"{"kind":"net.connect","host":"a","port":1}"#).is_ok());
        assert!(serde_json::from_str::<Deed>(r#"{"kind":"net.connect","host":"a","port":1,"x":1}"#).is_err());
        assert!(serde_json::from_str::<Deed>(r#"{"kind":"net.conect","host":"a","port":1}"#).is_err());
    }
}

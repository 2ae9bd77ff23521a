//! Actions: what an agent does, one deed at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{CanonicalError, Digest};
use crate::id::{ActionId, RunId};
use crate::principal::Principal;

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
}

impl ActionKind {
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
        }
    }

    /// What it is done to, in one line for people and for searching: a path, a command, `host:port`, a URL.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::FileRead { path } | Self::FileWrite { path, .. } => path.clone(),
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
            Self::HttpRequest { method, scheme, host, port, path, query } => {
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
    /// Digest of the exact deed and principal. Two attempts at the same thing by the same principal have
    /// the same digest; any change of an argument changes it.
    ///
    /// # Errors
    /// The arguments of a tool call hold a number JSON can't carry.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Digest::of(&Bound { version: crate::MODEL_VERSION, deed: &self.deed, principal: &self.principal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(deed: Deed) -> Action {
        Action { id: ActionId::generate(), deed, principal: Principal::local_human("alice"), run: None, process: None }
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
    fn deed_refuses_unknown_keys() {
        assert!(serde_json::from_str::<Deed>(r#"{"kind":"net.connect","host":"a","port":1}"#).is_ok());
        assert!(serde_json::from_str::<Deed>(r#"{"kind":"net.connect","host":"a","port":1,"x":1}"#).is_err());
        assert!(serde_json::from_str::<Deed>(r#"{"kind":"net.conect","host":"a","port":1}"#).is_err());
    }
}

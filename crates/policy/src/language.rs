//! The policy language as types: what a policy file may say. `decode` reads them, `merge` joins them, the
//! JSON Schema is generated from them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bartizan_model::Effect;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::host::HostPattern;
use crate::place::At;
use crate::units::{Bytes, Cpus, Span};

/// Version of the language; the value of the key `bartizan`.
pub const LANGUAGE_VERSION: u32 = 1;

/// A policy: one file, or several joined by `extends`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Bartizan policy")]
#[serde(default)]
pub struct PolicyFile {
    /// Version of the language: 1.
    #[schemars(required, extend("const" = 1))]
    pub bartizan: u32,
    /// A short name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<At<String>>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<At<String>>,
    /// What it builds on: built-in rulesets and personas by name, files by relative path, earlier ones first.
    #[serde(skip_serializing)]
    #[schemars(schema_with = "one_or_many")]
    pub extends: Vec<At<String>>,
    /// Which files may be read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Files>,
    /// Which programs may be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// Which hosts may be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<Net>,
    /// Which tools may be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,
    /// Which secrets may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// What the environment inside the box holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Env>,
    /// How the box is built.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub r#box: Option<BoxSection>,
    /// How much may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How people are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// Cases this policy promises, run by `bartizan policy test`.
    #[serde(skip_serializing)]
    pub tests: Vec<Case>,
}

/// Section `files`: lists of path patterns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Files {
    /// For paths no pattern matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// May be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Vec<At<String>>>,
    /// Trees of programs and libraries, taken as they are: may be read, and restrictions that match anywhere
    /// (`**/.env`) don't reach into them, so that they need not be searched whenever a box starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programs: Option<Vec<At<String>>>,
    /// May be read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Vec<At<String>>>,
    /// Writing where it is allowed still needs a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<String>>>,
    /// Never written, created or replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protect: Option<Vec<At<String>>>,
    /// Neither read nor written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<String>>>,
}

/// Section `exec`: lists of command patterns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Exec {
    /// For programs no pattern matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// May be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<String>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<String>>>,
    /// Never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<String>>>,
}

/// Section `net`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Net {
    /// For destinations no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// The resolver Bartizan itself asks, `address` or `address:port`; the system's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<At<String>>,
    /// May be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<NetRule>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<NetRule>>>,
    /// Never reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<NetRule>>>,
}

/// A rule over destinations: `"host"`, `"host:port"` or a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct NetRule {
    /// As written, for verdicts.
    pub text: String,
    /// Which hosts.
    pub host: HostPattern,
    /// Which ports; empty means the default of the list: 80 and 443, or every port in `deny`.
    pub ports: Vec<Ports>,
    /// Which requests; `None` means every one.
    pub http: Option<Vec<HttpRule>>,
    /// Dial exactly this address.
    pub address: Option<IpAddr>,
    /// The name may resolve to private or loopback addresses.
    pub private: bool,
}

/// A port or a range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

impl Ports {
    /// Every port.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    pub(crate) fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let problem = || format!("{} is no port; write `443`, `8000-8100` or `*`", crate::place::quoted(text));
        if text == "*" {
            return Ok(Self::ALL);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let one = |text: &str| -> Result<u16, String> {
            if text.bytes().all(|byte| byte.is_ascii_digit()) {
                text.parse().map_err(|_| problem())
            } else {
                Err(problem())
            }
        };
        let ports = Self { first: one(first)?, last: one(last)? };
        if ports.first == 0 || ports.first > ports.last { Err(problem()) } else { Ok(ports) }
    }
}

impl std::fmt::Display for Ports {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::ALL => formatter.write_str("*"),
            Self { first, last } if first == last => write!(formatter, "{first}"),
            Self { first, last } => write!(formatter, "{first}-{last}"),
        }
    }
}

/// A rule over HTTP requests: methods and a path pattern.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpRule {
    /// Methods in upper case; empty means every one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub method: Vec<String>,
    /// Path pattern; `None` means every path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Serialize for NetRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plain = self.http.is_none() && self.address.is_none() && !self.private;
        if plain && self.ports.is_empty() {
            return serializer.collect_str(&self.host);
        }
        NetRuleMap {
            host: self.host.to_string(),
            ports: self.ports.iter().map(ToString::to_string).collect(),
            http: self.http.clone(),
            address: self.address,
            private: self.private,
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct NetRuleMap {
    host: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Vec<HttpRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    private: bool,
}

impl JsonSchema for NetRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NetRule".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let port = json_schema!({ "type": ["integer", "string"], "description": "443, \"8000-8100\" or \"*\"" });
        let method = json_schema!({ "type": "string" });
        json_schema!({
            "description": "A destination: host or host:port, or a mapping.",
            "oneOf": [
                { "type": "string", "examples": ["api.github.com", "*.example.com:8443", "10.0.0.0/8"] },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["host"],
                    "properties": {
                        "host": { "type": "string", "description": "Name, *.name, *, address or range." },
                        "ports": { "oneOf": [port, { "type": "array", "items": port, "minItems": 1 }] },
                        "http": {
                            "type": "array",
                            "description": "Exactly these requests.",
                            "items": {
                                "type": "object",
                                "additionalProperties": false,
                                "properties": {
                                    "method": { "oneOf": [method, { "type": "array", "items": method, "minItems": 1 }] },
                                    "path": { "type": "string", "examples": ["/repos/me/**"] }
                                }
                            }
                        },
                        "address": { "type": "string", "description": "Dial exactly this address." },
                        "private": { "type": "boolean", "description": "The name may resolve to private addresses." }
                    }
                }
            ]
        })
    }
}

/// Section `tools`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Tools {
    /// For tools no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// May be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<ToolRule>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<ToolRule>>>,
    /// Never called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<ToolRule>>>,
}

/// A rule over tools; both parts may hold `*`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ToolRule {
    /// The server that offers the tool.
    pub server: String,
    /// The tool; `*` when absent.
    #[schemars(default)]
    pub name: String,
}

/// Section `secrets`: lists of names, which may hold `*`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Secrets {
    /// For secrets no name matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// May be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<At<String>>>,
    /// A person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Vec<At<String>>>,
    /// Never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<At<String>>>,
}

/// Section `env`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Env {
    /// Variables that are passed in: `NAME`, or `PREFIX_*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<Vec<At<String>>>,
    /// Variables that are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<BTreeMap<String, At<String>>>,
}

/// Section `box`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct BoxSection {
    /// What happens where the kernel can't limit memory and processes for the whole box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<At<CgroupLevel>>,
    /// Whether root outside appears as root inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<At<RootLevel>>,
}

/// How much a control group matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CgroupLevel {
    /// Not used.
    Off,
    /// Used where it can be had.
    Preferred,
    /// No box without it.
    Required,
}

/// Who the program is inside when a privileged account starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RootLevel {
    /// Root stays root inside the box, without capabilities.
    Keep,
    /// An ordinary account.
    Drop,
}

/// Section `limits`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Limits {
    /// Memory of the whole box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<At<Bytes>>,
    /// Processes and threads of the whole box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<At<u64>>,
    /// Processors, e.g. `1.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<At<Cpus>>,
    /// How long a run may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<At<Span>>,
    /// Private space of the box: its `/tmp` and home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<At<Bytes>>,
    /// Descriptors of one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<At<u64>>,
    /// Largest file a process may write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<At<Bytes>>,
    /// What the program may print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<At<Bytes>>,
    /// What may be sent to the network in one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_bytes: Option<At<Bytes>>,
    /// Connections open at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<At<u64>>,
}

/// Section `approvals`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Approvals {
    /// How long a person has to answer; no answer denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<At<Span>>,
}

/// A case a policy promises: an action in words, what becomes of it, and by which rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What must become of it.
    pub effect: Effect,
    /// The action, as `parse_case` reads it.
    pub action: At<String>,
    /// The rule that must decide: its dotted place or its text.
    pub rule: Option<String>,
}

impl JsonSchema for Case {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Case".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let of = |effect: &str| {
            json_schema!({
                "type": "object",
                "additionalProperties": false,
                "required": [effect],
                "properties": {
                    effect: { "type": "string", "examples": ["connect api.github.com:443", "file.read ~/.ssh/id_rsa"] },
                    "rule": { "type": "string", "description": "The rule that must decide." }
                }
            })
        };
        json_schema!({
            "description": "A case this policy promises.",
            "oneOf": [of("allow"), of("ask"), of("deny")]
        })
    }
}

fn one_or_many(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
}

/// The JSON Schema of a policy file, generated from these types.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(PolicyFile).to_value()
}

//! Section `net`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bartizan_model::{Effect, LlmApi};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::host::HostPattern;
use crate::language::merge::{Merge, list};
use crate::language::pins::Pins;
use crate::language::secret::RuleSecrets;
use crate::place::At;
use crate::request::graphql::OperationKind;
use crate::units::Bytes;

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
    /// Which secrets requests may carry there, and where in them.
    pub secret: Option<RuleSecrets>,
    /// The protocol of language models that is spoken there.
    pub llm: Option<LlmApi>,
    /// Which keys the server must show.
    pub pins: Option<Pins>,
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

/// A rule over HTTP requests: what stands in their heads and bodies, and how long they may be.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HttpRule {
    /// Methods in upper case; empty means every one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub method: Vec<String>,
    /// Path pattern; `None` means every path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Parameters of the query and patterns over their values; all of them must be there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Headers, in lower case, and patterns over their values; all of them must be there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    /// Fields of a JSON body by their keys, joined with `.`, and patterns of which one must fit; all must be there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, Vec<String>>,
    /// Operations of GraphQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graphql: Option<GraphqlRule>,
    /// Calls of gRPC, in place of method and path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grpc: Vec<String>,
    /// How long request and answer may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<BytesRule>,
}

/// Operations of GraphQL; what is empty fits every one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GraphqlRule {
    /// What they do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operation: Vec<OperationKind>,
    /// Patterns over their names, which whoever asks chooses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub name: Vec<String>,
    /// Patterns over the fields of their roots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub field: Vec<String>,
}

/// Most bytes of bodies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BytesRule {
    /// Of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Bytes>,
    /// Of answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Bytes>,
}

impl Serialize for NetRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plain = self.http.is_none()
            && self.address.is_none()
            && !self.private
            && self.secret.is_none()
            && self.llm.is_none()
            && self.pins.is_none();
        if plain && self.ports.is_empty() {
            return serializer.collect_str(&self.host);
        }
        NetRuleMap {
            host: self.host.to_string(),
            ports: self.ports.iter().map(ToString::to_string).collect(),
            http: self.http.clone(),
            address: self.address,
            private: self.private,
            secret: self.secret.clone(),
            llm: self.llm,
            pins: self.pins.clone(),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<RuleSecrets>,
    #[serde(skip_serializing_if = "Option::is_none")]
    llm: Option<LlmApi>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pins: Option<Pins>,
}

impl JsonSchema for NetRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NetRule".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let port = json_schema!({ "type": ["integer", "string"], "description": "443, \"8000-8100\" or \"*\"" });
        let method = json_schema!({ "type": "string" });
        let pattern = json_schema!({ "type": ["string", "integer", "boolean"] });
        let patterns = json_schema!({ "oneOf": [pattern, { "type": "array", "items": pattern, "minItems": 1 }] });
        let kind = json_schema!({ "enum": OperationKind::ALL.map(OperationKind::as_str) });
        let size = json_schema!({ "type": ["string", "integer"], "examples": ["1MiB"] });
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
                                    "path": { "type": "string", "examples": ["/repos/me/**"] },
                                    "query": {
                                        "type": "object",
                                        "description": "Parameters that must be there, and patterns over their values.",
                                        "additionalProperties": { "type": ["string", "integer", "boolean"] },
                                        "examples": [{ "service": "git-upload-pack" }]
                                    },
                                    "header": {
                                        "type": "object",
                                        "description": "Headers that must be there, and patterns over their values.",
                                        "additionalProperties": pattern,
                                        "examples": [{ "x-team": "blue" }]
                                    },
                                    "json": {
                                        "type": "object",
                                        "description": "Fields of a JSON body, and patterns over their values.",
                                        "additionalProperties": patterns,
                                        "examples": [{ "model": "gpt-*", "repository.owner": "me" }]
                                    },
                                    "graphql": {
                                        "type": "object",
                                        "description": "Operations of GraphQL.",
                                        "additionalProperties": false,
                                        "properties": {
                                            "operation": { "oneOf": [kind, { "type": "array", "items": kind, "minItems": 1 }] },
                                            "name": patterns,
                                            "field": patterns
                                        }
                                    },
                                    "grpc": {
                                        "oneOf": [method, { "type": "array", "items": method, "minItems": 1 }],
                                        "description": "Calls of gRPC, in place of method and path.",
                                        "examples": ["package.Service/Method"]
                                    },
                                    "bytes": {
                                        "type": "object",
                                        "description": "Most bytes of bodies; what is longer is cut off.",
                                        "additionalProperties": false,
                                        "properties": { "request": size, "response": size }
                                    }
                                }
                            }
                        },
                        "address": { "type": "string", "description": "Dial exactly this address." },
                        "private": { "type": "boolean", "description": "The name may resolve to private addresses." },
                        "secret": RuleSecrets::schema(),
                        "llm": {
                            "enum": ["openai", "anthropic", "ollama"],
                            "description": "The protocol of language models that is spoken there: what is asked of them is decided by `models`."
                        },
                        "pins": Pins::schema()
                    }
                }
            ]
        })
    }
}

impl Merge for Net {
    fn merge(self, child: Self) -> Self {
        Self {
            default: child.default.or(self.default),
            resolver: child.resolver.or(self.resolver),
            allow: list(self.allow, child.allow),
            ask: list(self.ask, child.ask),
            deny: list(self.deny, child.deny),
        }
    }
}

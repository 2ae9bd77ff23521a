//! Reads section `net`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bartizan_model::LlmApi;

use crate::address::Range;
use crate::host::HostPattern;
use crate::language::{BytesRule, GraphqlRule, HttpRule, Net, NetRule, Ports};
use crate::place::{At, quoted};
use crate::request::graphql::OperationKind;
use crate::shapes::{Decoder, Keys};
use crate::units::Bytes;
use crate::yaml::{Node, Value};

/// The keys of its mappings.
pub(super) const KEYS: Keys = &[
    ("net", &["default", "resolver", "allow", "ask", "deny"]),
    ("a net rule", &["host", "ports", "http", "address", "private", "secret", "llm", "pins"]),
    ("an http rule", &["method", "path", "query", "header", "json", "graphql", "grpc", "bytes"]),
    ("a graphql rule", &["operation", "name", "field"]),
    ("bytes", &["request", "response"]),
];

/// Headers whose values are secrets, which would stand in the ledger if rules looked at them.
const SECRET_HEADERS: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];

impl Decoder {
    pub(crate) fn net(&mut self, node: &Node) -> Net {
        let mut net = Net::default();
        for (key, node) in self.mapping(node, "net") {
            match key.value.as_str() {
                "default" => net.default = self.effect(node),
                "resolver" => net.resolver = self.resolver(node),
                "allow" => net.allow = self.list(node, Self::granting_net_rule),
                "ask" => net.ask = self.list(node, Self::granting_net_rule),
                "deny" => {
                    net.deny = self.list(node, Self::net_rule);
                    for rule in net.deny.iter().flatten() {
                        if rule.value.address.is_some()
                            || rule.value.private
                            || rule.value.secret.is_some()
                            || rule.value.llm.is_some()
                            || rule.value.pins.is_some()
                        {
                            let problem = "`address`, `private`, `secret`, `llm` and `pins` go with what is granted and can't stand in `deny`";
                            self.errors.add(&rule.place, problem);
                        }
                        if rule.value.http.iter().flatten().any(|http| http.bytes.is_some()) {
                            let problem = "`bytes` bounds what passes and can't stand in `deny`, where nothing does";
                            self.errors.add(&rule.place, problem);
                        }
                    }
                }
                _ => {}
            }
        }
        net
    }

    pub(crate) fn resolver(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        let good = text.value.parse::<std::net::SocketAddr>().is_ok() || text.value.parse::<IpAddr>().is_ok();
        if !good {
            let problem =
                format!("{} is no resolver; write an address such as `9.9.9.9` or `9.9.9.9:53`", quoted(&text.value));
            self.errors.add(&text.place, problem);
        }
        good.then_some(text)
    }

    pub(crate) fn granting_net_rule(&mut self, node: &Node) -> Option<At<NetRule>> {
        let rule = self.net_rule(node)?;
        if let Some(problem) = rule.value.host.too_wide() {
            self.errors.add(&rule.place, problem);
        }
        Some(rule)
    }

    pub(crate) fn net_rule(&mut self, node: &Node) -> Option<At<NetRule>> {
        let place = node.place.clone();
        if let Value::Scalar { .. } = &node.value {
            let text = self.text(node)?;
            return match net_rule_text(&text.value) {
                Ok(value) => Some(At { value, place }),
                Err(problem) => {
                    self.errors.add(&place, problem);
                    None
                }
            };
        }
        let (mut host, mut ports, mut http, mut address, mut private) = (None, Vec::new(), None, None, false);
        let (mut secret, mut llm, mut pins) = (None, None, None);
        let mut complete = true;
        for (key, node) in self.mapping(node, "a net rule") {
            match key.value.as_str() {
                "host" => {
                    let text = self.text(node)?;
                    match HostPattern::parse(&text.value) {
                        Ok(pattern) => host = Some(pattern),
                        Err(problem) => {
                            self.errors.add(&node.place, problem);
                            complete = false;
                        }
                    }
                }
                "ports" => {
                    ports = self.one_or_many(node, Self::port);
                    if ports.is_empty() && matches!(node.value, Value::Sequence(_)) {
                        self.errors.add(
                            &node.place,
                            "an empty list of ports matches nothing; leave `ports` out for 80 and 443",
                        );
                    }
                }
                "http" => http = self.list(node, Self::http_rule),
                "address" => {
                    let text = self.text(node)?;
                    match text.value.parse::<IpAddr>() {
                        Ok(parsed) => address = Some(parsed.to_canonical()),
                        Err(_) => self.errors.add(&node.place, format!("{} is no address", quoted(&text.value))),
                    }
                }
                "private" => private = self.truth(node)?,
                "secret" => secret = Some(self.rule_secrets(node)),
                "llm" => llm = self.llm_api(node),
                "pins" => pins = self.pins(node),
                _ => {}
            }
        }
        let Some(host) = host else {
            if complete {
                self.missing(node, "host", "a net rule");
            }
            return None;
        };
        if address.is_some() && !matches!(host, HostPattern::Name(_)) {
            self.errors.add(&place, "`address` goes with one host name");
        }
        if private && matches!(host, HostPattern::Addresses(_)) {
            self.errors.add(&place, "`private` goes with names; an address or range in a rule says so itself");
        }
        if pins.is_some() && http.is_none() {
            self.errors.add(
                &place,
                "a pinned server's keys are seen only where requests are decided; add `http: [{}]` for all of them",
            );
        }
        let text = if ports.is_empty() { host.to_string() } else { format!("{host}:{}", join_ports(&ports)) };
        Some(At { value: NetRule { text, host, ports, http, address, private, secret, llm, pins }, place })
    }

    fn llm_api(&mut self, node: &Node) -> Option<LlmApi> {
        let text = self.text(node)?;
        let api = LlmApi::named(&text.value);
        if api.is_none() {
            let problem =
                format!("{} is no protocol of models; write `openai`, `anthropic` or `ollama`", quoted(&text.value));
            self.errors.add(&text.place, problem);
        }
        api
    }

    pub(crate) fn http_rule(&mut self, node: &Node) -> Option<HttpRule> {
        let mut rule = HttpRule::default();
        for (key, node) in self.mapping(node, "an http rule") {
            match key.value.as_str() {
                "method" => {
                    for method in self.one_or_many(node, Self::text) {
                        if method.value == "*" {
                            continue;
                        }
                        let upper = method.value.to_ascii_uppercase();
                        let token = !upper.is_empty()
                            && upper.len() <= 32
                            && upper.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                        if token {
                            rule.method.push(upper);
                        } else {
                            self.errors.add(&method.place, format!("{} is no HTTP method", quoted(&method.value)));
                        }
                    }
                }
                "path" => {
                    let text = self.text(node)?;
                    match crate::http::RequestPattern::parse(&text.value) {
                        Ok(_) => rule.path = Some(text.value),
                        Err(problem) => self.errors.add(&text.place, problem),
                    }
                }
                "query" => {
                    for (name, node) in self.entries(node, "a query") {
                        let plain = !name.value.is_empty() && name.value.bytes().all(|byte| byte.is_ascii_graphic());
                        if !plain || name.value.contains(['&', '=', '%', '+', ';', '#', '[', '*', '?']) {
                            let problem =
                                format!("{} is no plain name of a parameter; write it decoded", quoted(&name.value));
                            self.errors.add(&name.place, problem);
                        } else if let Some(value) = self.text(node) {
                            rule.query.insert(name.value.clone(), value.value);
                        }
                    }
                }
                "header" => self.headers(node, &mut rule.header),
                "json" => self.fields(node, &mut rule.json),
                "graphql" => rule.graphql = Some(self.graphql(node)),
                "grpc" => {
                    for call in self.one_or_many(node, Self::text) {
                        match crate::http::grpc_path(&call.value) {
                            Ok(_) => rule.grpc.push(call.value),
                            Err(problem) => self.errors.add(&call.place, problem),
                        }
                    }
                }
                "bytes" => {
                    let mut bytes = BytesRule::default();
                    for (key, node) in self.mapping(node, "bytes") {
                        let size = self.unit(node, Bytes::parse).map(|size| size.value);
                        if key.value == "request" { bytes.request = size } else { bytes.response = size }
                    }
                    rule.bytes = Some(bytes);
                }
                _ => {}
            }
        }
        if !rule.grpc.is_empty() && (rule.path.is_some() || !rule.method.is_empty() || rule.graphql.is_some()) {
            self.errors.add(&node.place, "`grpc` stands for method and path; write two rules");
        }
        if rule.graphql.is_some() && !rule.json.is_empty() {
            self.errors.add(&node.place, "`graphql` and `json` are about different bodies; write two rules");
        }
        Some(rule)
    }

    fn headers(&mut self, node: &Node, into: &mut BTreeMap<String, String>) {
        for (name, node) in self.entries(node, "a header") {
            let lower = name.value.to_ascii_lowercase();
            let token = !lower.is_empty() && lower.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if !token {
                self.errors.add(&name.place, format!("{} is no plain name of a header", quoted(&name.value)));
            } else if SECRET_HEADERS.contains(&lower.as_str()) {
                let problem = format!("{} carries secrets; bind one with `secret` instead", quoted(&name.value));
                self.errors.add(&name.place, problem);
            } else if matches!(lower.as_str(), "host" | "connection" | "content-length" | "transfer-encoding") {
                let problem = format!("{} frames the request, and rules don't look at it", quoted(&name.value));
                self.errors.add(&name.place, problem);
            } else if let Some(value) = self.text(node) {
                into.insert(lower, value.value);
            }
        }
    }

    fn fields(&mut self, node: &Node, into: &mut BTreeMap<String, Vec<String>>) {
        for (path, node) in self.entries(node, "a JSON body") {
            if path.value.split('.').any(str::is_empty) {
                let problem = format!("{} is no path of keys; write it as in `repository.owner`", quoted(&path.value));
                self.errors.add(&path.place, problem);
                continue;
            }
            let values: Vec<String> = self.one_or_many(node, Self::text).into_iter().map(|value| value.value).collect();
            if !values.is_empty() {
                into.insert(path.value.clone(), values);
            }
        }
    }

    fn graphql(&mut self, node: &Node) -> GraphqlRule {
        let mut rule = GraphqlRule::default();
        for (key, node) in self.mapping(node, "a graphql rule") {
            let values = |decoder: &mut Self| -> Vec<String> {
                decoder.one_or_many(node, Self::text).into_iter().map(|value| value.value).collect()
            };
            match key.value.as_str() {
                "operation" => rule.operation = self.one_or_many(node, Self::operation),
                "name" => rule.name = values(self),
                "field" => rule.field = values(self),
                _ => {}
            }
        }
        rule
    }

    fn operation(&mut self, node: &Node) -> Option<OperationKind> {
        let kinds = OperationKind::ALL.map(|kind| (kind.as_str(), kind));
        self.choice(node, &kinds).map(|kind| kind.value)
    }

    pub(crate) fn port(&mut self, node: &Node) -> Option<Ports> {
        let text = self.text(node)?;
        Ports::parse(&text.value).map_err(|problem| self.errors.add(&node.place, problem)).ok()
    }
}

fn join_ports(ports: &[Ports]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Reads `host`, `host:port` or a literal address or range.
pub(crate) fn net_rule_text(text: &str) -> Result<NetRule, String> {
    let whole = text.parse::<IpAddr>().is_ok() || Range::parse(text).is_ok() || !text.contains(':');
    let (host, ports) = match text.rsplit_once(':').filter(|_| !whole) {
        Some((host, ports)) if !host.contains(':') || host.ends_with(']') => (host, vec![Ports::parse(ports)?]),
        _ => (text, Vec::new()),
    };
    let host = HostPattern::parse(host)?;
    Ok(NetRule {
        text: text.to_owned(),
        host,
        ports,
        http: None,
        address: None,
        private: false,
        secret: None,
        llm: None,
        pins: None,
    })
}

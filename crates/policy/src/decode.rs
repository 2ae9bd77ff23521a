//! From YAML nodes to the language's types. Goes on after an error, so that all are told at once; every
//! message names the place, the offending input and what would be right.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bartizan_model::Effect;

use crate::address::Range;
use crate::cases;
use crate::exec::CommandPattern;
use crate::host::HostPattern;
use crate::language::*;
use crate::pattern::{Base, PathPattern, Shape};
use crate::place::{At, Errors, Place, PolicyErrors, quoted};
use crate::shapes::Decoder;
use crate::units::{Bytes, Cpus, Span};
use crate::yaml::{self, Node, Value};

/// Reads one policy file, `extends` not followed.
///
/// # Errors
/// Everything wrong with it.
pub(crate) fn decode(bytes: &[u8], source: &Arc<str>) -> Result<PolicyFile, PolicyErrors> {
    let start = Place { source: source.clone(), line: 1, column: 1 };
    let Some(root) = yaml::read(bytes, source)? else {
        return Err(PolicyErrors::one(
            start,
            "the policy is empty; the smallest is `bartizan: 1`, which denies everything",
        ));
    };
    let mut decoder = Decoder { errors: Errors::default() };
    let file = decoder.policy(&root);
    decoder.errors.finish(file)
}

impl Decoder {
    fn policy(&mut self, root: &Node) -> PolicyFile {
        let mut file = PolicyFile::default();
        let mut version = None;
        for (key, node) in self.mapping(root, "the policy") {
            match key.value.as_str() {
                "bartizan" => version = self.count(node),
                "name" => file.name = self.text(node),
                "description" => file.description = self.text(node),
                "extends" => file.extends = self.one_or_many(node, Self::text),
                "files" => file.files = Some(self.files(node)),
                "exec" => file.exec = Some(self.exec(node)),
                "net" => file.net = Some(self.net(node)),
                "tools" => file.tools = Some(self.tools(node)),
                "secrets" => file.secrets = Some(self.secrets(node)),
                "env" => file.env = Some(self.env(node)),
                "box" => file.r#box = Some(self.box_section(node)),
                "limits" => file.limits = Some(self.limits(node)),
                "approvals" => file.approvals = Some(self.approvals(node)),
                "tests" => file.tests = self.list(node, Self::case).unwrap_or_default(),
                _ => {}
            }
        }
        match version {
            Some(At { value: 1, .. }) => file.bartizan = LANGUAGE_VERSION,
            Some(At { value, place }) => {
                self.errors
                    .add(&place, format!("version {value} of the language is not known here; this Bartizan reads 1"));
            }
            None => self.errors.add(&root.place, "the key `bartizan` is missing; a policy starts with `bartizan: 1`"),
        }
        file
    }

    fn files(&mut self, node: &Node) -> Files {
        let mut files = Files::default();
        for (key, node) in self.mapping(node, "files") {
            match key.value.as_str() {
                "default" => files.default = self.effect(node),
                "read" => files.read = self.list(node, Self::granted_path),
                "programs" => files.programs = self.list(node, Self::granted_path),
                "write" => files.write = self.list(node, Self::granted_path),
                "ask" => files.ask = self.list(node, Self::restricted_path),
                "protect" => files.protect = self.list(node, Self::restricted_path),
                "deny" => files.deny = self.list(node, Self::restricted_path),
                _ => {}
            }
        }
        files
    }

    fn exec(&mut self, node: &Node) -> Exec {
        let mut exec = Exec::default();
        for (key, node) in self.mapping(node, "exec") {
            match key.value.as_str() {
                "default" => exec.default = self.effect(node),
                "allow" => exec.allow = self.list(node, Self::command),
                "ask" => exec.ask = self.list(node, Self::command),
                "deny" => exec.deny = self.list(node, Self::command),
                _ => {}
            }
        }
        exec
    }

    fn net(&mut self, node: &Node) -> Net {
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
                        if rule.value.address.is_some() || rule.value.private {
                            self.errors
                                .add(&rule.place, "`address` and `private` grant something and can't stand in `deny`");
                        }
                    }
                }
                _ => {}
            }
        }
        net
    }

    fn tools(&mut self, node: &Node) -> Tools {
        let mut tools = Tools::default();
        for (key, node) in self.mapping(node, "tools") {
            match key.value.as_str() {
                "default" => tools.default = self.effect(node),
                "allow" => tools.allow = self.list(node, Self::tool_rule),
                "ask" => tools.ask = self.list(node, Self::tool_rule),
                "deny" => tools.deny = self.list(node, Self::tool_rule),
                _ => {}
            }
        }
        tools
    }

    fn secrets(&mut self, node: &Node) -> Secrets {
        let mut secrets = Secrets::default();
        for (key, node) in self.mapping(node, "secrets") {
            match key.value.as_str() {
                "default" => secrets.default = self.effect(node),
                "allow" => secrets.allow = self.list(node, Self::word),
                "ask" => secrets.ask = self.list(node, Self::word),
                "deny" => secrets.deny = self.list(node, Self::word),
                _ => {}
            }
        }
        secrets
    }

    fn env(&mut self, node: &Node) -> Env {
        let mut env = Env::default();
        for (key, node) in self.mapping(node, "env") {
            match key.value.as_str() {
                "pass" => env.pass = self.list(node, Self::variable),
                "set" => {
                    let mut set = BTreeMap::new();
                    for (name, node) in self.entries(node, "env.set") {
                        if !is_variable(&name.value) {
                            self.errors.add(&name.place, format!("{} is no name of a variable", quoted(&name.value)));
                        } else if let Some(value) = self.text(node) {
                            set.insert(name.value.clone(), value);
                        }
                    }
                    env.set = Some(set);
                }
                _ => {}
            }
        }
        env
    }

    fn box_section(&mut self, node: &Node) -> BoxSection {
        let mut section = BoxSection::default();
        for (key, node) in self.mapping(node, "box") {
            match key.value.as_str() {
                "cgroup" => {
                    section.cgroup = self.choice(
                        node,
                        &[
                            ("required", CgroupLevel::Required),
                            ("preferred", CgroupLevel::Preferred),
                            ("off", CgroupLevel::Off),
                        ],
                    );
                }
                "root" => section.root = self.choice(node, &[("drop", RootLevel::Drop), ("keep", RootLevel::Keep)]),
                _ => {}
            }
        }
        section
    }

    fn limits(&mut self, node: &Node) -> Limits {
        let mut limits = Limits::default();
        for (key, node) in self.mapping(node, "limits") {
            match key.value.as_str() {
                "memory" => limits.memory = self.unit(node, Bytes::parse),
                "pids" => limits.pids = self.positive(node),
                "cpu" => limits.cpu = self.unit(node, Cpus::parse),
                "time" => limits.time = self.unit(node, Span::parse),
                "disk" => limits.disk = self.unit(node, Bytes::parse),
                "open_files" => limits.open_files = self.positive(node),
                "file_size" => limits.file_size = self.unit(node, Bytes::parse),
                "output" => limits.output = self.unit(node, Bytes::parse),
                "egress_bytes" => limits.egress_bytes = self.unit(node, Bytes::parse),
                "connections" => limits.connections = self.count(node),
                _ => {}
            }
        }
        limits
    }

    fn approvals(&mut self, node: &Node) -> Approvals {
        let mut approvals = Approvals::default();
        for (key, node) in self.mapping(node, "approvals") {
            if key.value == "timeout" {
                approvals.timeout = self.unit(node, Span::parse);
            }
        }
        approvals
    }

    fn granted_path(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        if text.value.starts_with('!') {
            self.errors.add(
                &text.place,
                format!("{}: exceptions can only stand in `ask`, `protect` and `deny`", quoted(&text.value)),
            );
            return None;
        }
        match PathPattern::parse(&text.value) {
            Err(problem) => self.errors.add(&text.place, problem),
            Ok(patterns) => {
                if let Some(mixed) = patterns.iter().find(|pattern| pattern.shape() == Shape::Mixed) {
                    let problem = only_trees(&text.value, mixed);
                    self.errors.add(&text.place, problem);
                    return None;
                }
                return Some(text);
            }
        }
        None
    }

    fn restricted_path(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        match PathPattern::parse(text.value.strip_prefix('!').unwrap_or(&text.value)) {
            Ok(_) => Some(text),
            Err(problem) => {
                self.errors.add(&text.place, problem);
                None
            }
        }
    }

    fn command(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        match CommandPattern::parse(&text.value) {
            Ok(_) => Some(text),
            Err(problem) => {
                self.errors.add(&text.place, problem);
                None
            }
        }
    }

    fn word(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        if text.value.is_empty() || text.value.chars().any(|c| c.is_control() || c.is_whitespace()) {
            self.errors.add(&text.place, format!("{} is no name", quoted(&text.value)));
            return None;
        }
        Some(text)
    }

    fn variable(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        if text.value == "*" || is_variable(text.value.strip_suffix('*').unwrap_or(&text.value)) {
            return Some(text);
        }
        self.errors.add(&text.place, format!("{} is no variable; write `NAME` or `PREFIX_*`", quoted(&text.value)));
        None
    }

    fn resolver(&mut self, node: &Node) -> Option<At<String>> {
        let text = self.text(node)?;
        let good = text.value.parse::<std::net::SocketAddr>().is_ok() || text.value.parse::<IpAddr>().is_ok();
        if !good {
            let problem =
                format!("{} is no resolver; write an address such as `9.9.9.9` or `9.9.9.9:53`", quoted(&text.value));
            self.errors.add(&text.place, problem);
        }
        good.then_some(text)
    }

    fn tool_rule(&mut self, node: &Node) -> Option<At<ToolRule>> {
        let (mut server, mut name) = (None, None);
        for (key, node) in self.mapping(node, "a tool rule") {
            match key.value.as_str() {
                "server" => server = self.word(node),
                "name" => name = Some(self.word(node)?),
                _ => {}
            }
        }
        let Some(server) = server else {
            self.missing(node, "server", "a tool rule");
            return None;
        };
        let name = name.map_or_else(|| "*".to_owned(), |name| name.value);
        Some(At { value: ToolRule { server: server.value, name }, place: node.place.clone() })
    }

    fn granting_net_rule(&mut self, node: &Node) -> Option<At<NetRule>> {
        let rule = self.net_rule(node)?;
        if let Some(problem) = rule.value.host.too_wide() {
            self.errors.add(&rule.place, problem);
        }
        Some(rule)
    }

    fn net_rule(&mut self, node: &Node) -> Option<At<NetRule>> {
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
        let text = if ports.is_empty() { host.to_string() } else { format!("{host}:{}", join_ports(&ports)) };
        Some(At { value: NetRule { text, host, ports, http, address, private }, place })
    }

    fn http_rule(&mut self, node: &Node) -> Option<HttpRule> {
        let mut rule = HttpRule { method: Vec::new(), path: None };
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
                _ => {}
            }
        }
        Some(rule)
    }

    fn port(&mut self, node: &Node) -> Option<Ports> {
        let text = self.text(node)?;
        Ports::parse(&text.value).map_err(|problem| self.errors.add(&node.place, problem)).ok()
    }

    fn case(&mut self, node: &Node) -> Option<Case> {
        let (mut found, mut rule) = (None, None);
        for (key, node) in self.mapping(node, "a test") {
            let effect = match key.value.as_str() {
                "allow" => Effect::Allow,
                "ask" => Effect::Ask,
                "deny" => Effect::Deny,
                "rule" => {
                    rule = Some(self.text(node)?.value);
                    continue;
                }
                _ => continue,
            };
            let action = self.text(node)?;
            if let Err(problem) = cases::check_syntax(&action.value) {
                self.errors.add(&action.place, problem.to_string());
            }
            if found.replace((effect, action)).is_some() {
                self.errors.add(&node.place, "a test has one of `allow`, `ask` and `deny`; write two tests");
            }
        }
        let Some((effect, action)) = found else {
            self.errors.add(&node.place, "a test has one of `allow`, `ask` and `deny`");
            return None;
        };
        Some(Case { effect, action, rule })
    }
}

fn only_trees(text: &str, mixed: &PathPattern) -> String {
    let base = match mixed.base {
        Base::Root => "",
        Base::Home => "~",
        Base::Workspace => ".",
    };
    let prefix = mixed.literal_prefix();
    let remedy = if base.is_empty() && prefix.is_empty() {
        "say where it starts: `/…`, `~/…` or `./…`".to_owned()
    } else {
        format!("write `{base}{prefix}/**`, or name the files")
    };
    format!("{}: the box can only grant whole trees or single files; {remedy}", quoted(text))
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn join_ports(ports: &[Ports]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Reads `host`, `host:port` or a literal address or range.
fn net_rule_text(text: &str) -> Result<NetRule, String> {
    let whole = text.parse::<IpAddr>().is_ok() || Range::parse(text).is_ok() || !text.contains(':');
    let (host, ports) = match text.rsplit_once(':').filter(|_| !whole) {
        Some((host, ports)) if !host.contains(':') || host.ends_with(']') => (host, vec![Ports::parse(ports)?]),
        _ => (text, Vec::new()),
    };
    let host = HostPattern::parse(host)?;
    Ok(NetRule { text: text.to_owned(), host, ports, http: None, address: None, private: false })
}

//! Says in sentences what the layers enforce, and for one action which rules spoke and which decided.

use std::path::Path;

use bartizan_model::{Deed, Effect, RuleRef, Verdict};

use crate::exposed::{Exposure, Held};
use crate::files::{FileFound, List};
use crate::host::Host;
use crate::language::{CgroupLevel, HttpRule, PolicyFile, RootLevel};
use crate::net::Wish;
use crate::path;
use crate::place::At;
use crate::policy::Compiled;
use crate::request::Request;
use crate::rule::RuleInfo;
use crate::set::PolicySet;
use crate::units::{Bytes, Cpus, Span};

/// What every layer enforces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// One part a layer, in the order a deed meets them.
    pub layers: Vec<LayerExplanation>,
}

/// What one layer enforces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerExplanation {
    /// `mounts`, `landlock`, `seccomp`, `nftables`, `dns`, `proxy`, `exec`, `guards`, `limits`, `env` or `secrets`.
    pub layer: &'static str,
    /// Sentences for a person.
    pub lines: Vec<String>,
}

/// Which rules spoke about one action.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionExplanation {
    /// The verdict.
    pub verdict: Verdict,
    /// Every rule that matched, the strictest first and among equals the most specific; what decided where
    /// no rule did (a default, a guard) stands at the end.
    pub matched: Vec<MatchedRule>,
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedRule {
    /// `user` or `project`.
    pub policy: &'static str,
    /// The rule.
    pub rule: RuleRef,
    /// What it says.
    pub effect: Effect,
    /// Whether it decided.
    pub decided: bool,
}

impl PolicySet {
    /// What each layer enforces.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let layers = self.layers();
        let layer = |layer, lines| LayerExplanation { layer, lines };
        let paths = |paths: &[std::path::PathBuf]| paths.iter().map(|path| self.shown(path)).collect::<Vec<_>>();
        let (mut read, mut write) = (paths(&layers.files.read), paths(&layers.files.write));
        read.iter_mut().chain(&mut write).for_each(|tree| tree.push_str("/**"));
        read.extend(paths(&layers.files.read_files));
        write.extend(paths(&layers.files.write_files));
        let mut mounts = vec![
            listed("may be read", &read, "nothing of this machine may be read"),
            listed("may be read and written", &write, "nothing of this machine may be written"),
        ];
        let mut programs = paths(&layers.files.programs);
        programs.iter_mut().for_each(|tree| tree.push_str("/**"));
        mounts.extend(some("of those, taken as they are: patterns that match anywhere don't reach into", &programs));
        mounts.extend(some("hidden although a tree holds it", &self.shortened(&layers.files.hide)));
        mounts.extend(some("read-only although a tree is writable", &self.shortened(&layers.files.readonly)));
        mounts.extend(some("read-only until a person lets it be written", &self.shortened(&layers.files.ask)));
        mounts.push("everything else is not there; /tmp, /dev, /proc and the home are the box's own".into());
        let landlock = vec![
            listed("reading and executing beneath", &read, "no reading"),
            listed("writing beneath", &write, "no writing"),
            "no way round by links or mounts: the kernel checks the file, not the name".into(),
        ];
        let mut seccomp = vec!["only the system calls on Bartizan's own list; no policy widens it".into()];
        seccomp.extend(some(
            "making or moving something to one of these names waits for a decision",
            &layers.files.guard_names,
        ));
        let nftables = vec![
            if layers.net.reaches_something {
                "every TCP connection goes to Bartizan, whatever address it is for".into()
            } else {
                "every TCP connection goes to Bartizan, which refuses all of them".to_owned()
            },
            "everything that is neither TCP nor a question for a name is dropped and counted".into(),
        ];
        Explanation {
            layers: vec![
                layer("mounts", mounts),
                layer("landlock", landlock),
                layer("seccomp", seccomp),
                layer("nftables", nftables),
                layer("dns", self.dns_lines(layers.net.resolver)),
                layer("proxy", self.proxy_lines(layers.net.inspects_http)),
                layer("exec", self.exec_lines()),
                layer("guards", self.guard_lines()),
                layer("limits", limit_lines(&layers)),
                layer("env", env_lines(&layers.env)),
                layer("secrets", secret_lines(&layers.secrets)),
            ],
        }
    }

    fn files_in_force(&self) -> impl Iterator<Item = (&'static str, &PolicyFile)> {
        let narrowing = self.narrowing.iter().map(|narrowing| ("what narrows it", narrowing.policy.file()));
        [("", self.user.file())].into_iter().chain(narrowing)
    }

    fn dns_lines(&self, resolver: Option<std::net::SocketAddr>) -> Vec<String> {
        let mut lines = vec![
            "answers A, AAAA, HTTPS and SVCB questions for names some rule lets be reached; others get no answer, and nothing is asked upstream for them".to_owned(),
            "answers hold addresses of Bartizan's own, so that a connection keeps its name".into(),
        ];
        lines.push(match resolver {
            Some(resolver) => format!("real addresses are asked of {resolver} when a connection is let through"),
            None => "real addresses are asked of the system's resolver when a connection is let through".into(),
        });
        lines
    }

    fn proxy_lines(&self, inspects: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (whose, file) in self.files_in_force() {
            let Some(net) = &file.net else {
                if whose.is_empty() {
                    lines.push("refuses every destination: the policy has no `net`".into());
                }
                continue;
            };
            for (verb, list) in [("refuses", &net.deny), ("asks a person for", &net.ask), ("lets through", &net.allow)]
            {
                let rules: Vec<String> = list
                    .iter()
                    .flatten()
                    .map(|rule| {
                        let mut text = rule.value.text.clone();
                        if let Some(http) = &rule.value.http {
                            let requests: Vec<String> = http.iter().map(request_line).collect();
                            text.push_str(&format!(" ({})", requests.join("; ")));
                        }
                        if let Some(address) = rule.value.address {
                            text.push_str(&format!(" (dialled at {address})"));
                        }
                        if rule.value.private {
                            text.push_str(" (private addresses too)");
                        }
                        text
                    })
                    .collect();
                lines.extend(some(&spoken(whose, verb), &rules));
            }
            lines.extend(default_line(whose, net.default.as_ref(), whose.is_empty()));
        }
        lines.push("private, loopback, link-local and metadata addresses are refused unless a rule names them; the address that was checked is the one dialled".into());
        if inspects {
            lines.push("requests to destinations with an `http` list are read and decided one by one, inside TLS too: there the program sees a certificate of the box's own authority".into());
        }
        lines
    }

    fn exec_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (whose, file) in self.files_in_force() {
            let Some(exec) = &file.exec else {
                if whose.is_empty() {
                    lines.push("refuses every program: the policy has no `exec`".into());
                }
                continue;
            };
            for (verb, list) in [("refuses", &exec.deny), ("asks a person for", &exec.ask), ("starts", &exec.allow)] {
                lines.extend(some(&spoken(whose, verb), &texts(list.as_deref())));
            }
            lines.extend(default_line(whose, exec.default.as_ref(), whose.is_empty()));
        }
        lines
    }

    fn guard_lines(&self) -> Vec<String> {
        let narrowing = self.narrowing.iter().map(|narrowing| ("what narrows it: ", &narrowing.compiled));
        let policies = std::iter::once(("", &self.compiled)).chain(narrowing);
        let guards = policies.flat_map(|(whose, compiled)| compiled.guards.iter().map(move |guard| (whose, guard)));
        guards
            .flat_map(|(whose, guard)| {
                guard.explain().into_iter().map(move |line| format!("{whose}{}: {line}", guard.name()))
            })
            .collect()
    }

    /// A path as people write it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let text = path.display().to_string();
        self.shorten(&text)
    }

    fn shortened(&self, patterns: &[String]) -> Vec<String> {
        patterns.iter().map(|pattern| self.shorten(pattern)).collect()
    }

    pub(crate) fn shorten(&self, text: &str) -> String {
        for (base, sign) in [(self.context.workspace(), "."), (self.context.home(), "~")] {
            let base = String::from_utf8_lossy(base);
            if let Some(rest) = text
                .strip_prefix(base.as_ref())
                .filter(|rest| base != "/" && (rest.is_empty() || rest.starts_with('/')))
            {
                return format!("{sign}{rest}");
            }
        }
        if text == "/" { String::new() } else { text.to_owned() }
    }

    /// Every rule that matched an action, and which decided.
    #[must_use]
    pub fn explain_action(&self, deed: &Deed) -> ActionExplanation {
        let verdict = self.verdict(deed);
        let mut matched: Vec<(u32, MatchedRule)> = Vec::new();
        let narrowing = self.narrowing.iter().map(|narrowing| ("project", &narrowing.compiled));
        for (policy, compiled) in [("user", &self.compiled)].into_iter().chain(narrowing) {
            compiled.tell(deed, &mut |rule, effect| {
                let reference = rule.reference();
                matched.push((rule.rank, MatchedRule { policy, rule: reference, effect, decided: false }));
            });
        }
        matched.sort_by_key(|(rank, matched)| std::cmp::Reverse((matched.effect, *rank)));
        let mut matched: Vec<MatchedRule> = matched.into_iter().map(|(_, matched)| matched).collect();
        match matched.iter_mut().find(|matched| matched.rule == verdict.rule) {
            Some(decided) => decided.decided = true,
            None => {
                let source = verdict.rule.source.as_deref();
                let from_project = self.narrowing.iter().any(|narrowing| {
                    let sources = narrowing.policy.sources();
                    source.is_some_and(|source| sources.iter().any(|name| source.starts_with(name.as_str())))
                });
                matched.push(MatchedRule {
                    policy: if from_project { "project" } else { "user" },
                    rule: verdict.rule.clone(),
                    effect: verdict.effect,
                    decided: true,
                });
            }
        }
        ActionExplanation { verdict, matched }
    }
}

impl Compiled {
    /// Tells every rule that matches, with what it says about this deed.
    fn tell(&self, deed: &Deed, found: &mut dyn FnMut(&RuleInfo, Effect)) {
        let mut all = |rules: &[RuleInfo], number: u32| {
            if let Some(rule) = rules.get(number as usize) {
                found(rule, rule.effect);
            }
        };
        match deed {
            Deed::FileRead { path: text } | Deed::FileWrite { path: text, .. } => {
                let Some((section, path)) = self.files.as_ref().zip(path::canonical(text.as_bytes())) else { return };
                let paths = &section.rules;
                let writes = matches!(deed, Deed::FileWrite { .. });
                let read_only = writes && matches!(paths.decide_write(&path, false), FileFound::ReadOnly(_));
                paths.visit(&path, |number| match (paths.list(number), writes) {
                    (Some(List::Ask | List::Protect), false) | (None, _) => {}
                    (Some(List::Read | List::Programs), true) if read_only => {
                        if let Some(rule) = paths.rules.get(number as usize) {
                            found(rule, Effect::Deny);
                        }
                    }
                    (Some(List::Read | List::Programs), true) => {}
                    (Some(_), _) => {
                        if let Some(rule) = paths.rules.get(number as usize) {
                            found(rule, rule.effect);
                        }
                    }
                });
            }
            Deed::ExecRun { program, args, .. } => {
                if let Some(section) = &self.exec {
                    section.rules.visit(program, args, |number| all(&section.rules.rules, number));
                }
            }
            Deed::NetConnect { host, port } => {
                if let Some((section, host)) = self.net.as_ref().zip(Host::canonical(host)) {
                    section.rules.visit(&host, *port, Wish::Connect, |number| all(&section.rules.rules, number));
                }
            }
            Deed::HttpRequest { host, port, .. } => {
                let host = Host::canonical(host).zip(Request::of(deed));
                if let Some((section, (host, request))) = self.net.as_ref().zip(host) {
                    let wish = Wish::Request(&request);
                    section.rules.visit(&host, *port, wish, |number| all(&section.rules.rules, number));
                }
            }
            Deed::DnsQuery { name, .. } => {
                if let Some((section, host)) = self.net.as_ref().zip(Host::canonical(name)) {
                    section.rules.visit_name(&host, |number| all(&section.rules.rules, number));
                }
            }
            Deed::ToolCall { server, name, arguments } => {
                if let Some(section) = &self.tools {
                    section.rules.visit(server, name, arguments, |number| all(&section.rules.rules, number));
                }
            }
            Deed::SecretUse { name, destination } => {
                if let Some(section) = &self.secrets {
                    let destination = destination.as_deref().unwrap_or_default();
                    section
                        .rules
                        .visit(destination, name, &serde_json::Value::Null, |number| all(&section.rules.rules, number));
                }
            }
            _ => {}
        }
    }
}

/// A rule over requests, in words.
fn request_line(rule: &HttpRule) -> String {
    let query: Vec<String> = rule.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let mut line = if rule.grpc.is_empty() {
        let methods = if rule.method.is_empty() { "any method".to_owned() } else { rule.method.join("|") };
        format!("{methods} {}{mark}{}", rule.path.as_deref().unwrap_or("/**"), query.join("&"))
    } else {
        format!("gRPC {}{mark}{}", rule.grpc.join("|"), query.join("&"))
    };
    for (name, value) in &rule.header {
        line.push_str(&format!(", header {name}={value}"));
    }
    for (path, values) in &rule.json {
        line.push_str(&format!(", JSON {path}={}", values.join("|")));
    }
    if let Some(graphql) = &rule.graphql {
        let kinds: Vec<&str> = graphql.operation.iter().map(|kind| kind.as_str()).collect();
        let kinds = if kinds.is_empty() { "any operation".to_owned() } else { kinds.join("|") };
        line.push_str(&format!(", GraphQL {kinds}"));
        for (what, patterns) in [("named", &graphql.name), ("of", &graphql.field)] {
            if !patterns.is_empty() {
                line.push_str(&format!(" {what} {}", patterns.join("|")));
            }
        }
    }
    let sizes = rule.bytes.iter().flat_map(|bytes| [("request", bytes.request), ("answer", bytes.response)]);
    for (what, size) in sizes.filter_map(|(what, size)| Some((what, size?))) {
        line.push_str(&format!(", {what} of at most {size}"));
    }
    line
}

fn listed(what: &str, entries: &[String], nothing: &str) -> String {
    if entries.is_empty() { nothing.to_owned() } else { format!("{what}: {}", entries.join(", ")) }
}

fn some(what: &str, entries: &[String]) -> Option<String> {
    (!entries.is_empty()).then(|| format!("{what}: {}", entries.join(", ")))
}

fn spoken(whose: &str, verb: &str) -> String {
    if whose.is_empty() { verb.to_owned() } else { format!("{whose} {verb}") }
}

fn texts<T: std::fmt::Display>(list: Option<&[At<T>]>) -> Vec<String> {
    list.unwrap_or_default().iter().map(|entry| entry.value.to_string()).collect()
}

fn default_line(whose: &str, default: Option<&At<Effect>>, user: bool) -> Option<String> {
    let effect = default.map(|default| default.value).or(user.then_some(Effect::Deny))?;
    let verb = match effect {
        Effect::Allow => "lets through everything else",
        Effect::Ask => "asks a person for everything else",
        Effect::Deny => "refuses everything else",
    };
    Some(spoken(whose, verb))
}

fn limit_lines(layers: &crate::layers::Layers) -> Vec<String> {
    let limits = &layers.limits;
    let bytes = |value: Option<u64>| value.map(|value| Bytes(value).to_string());
    let count = |value: Option<u64>| value.map(|value| value.to_string());
    let mut lines: Vec<String> = [
        ("memory", bytes(limits.memory_bytes)),
        ("processes and threads", count(limits.pids)),
        ("processors", limits.cpu_thousandths.map(|value| Cpus(value).to_string())),
        ("time", limits.time.map(|value| Span(value).to_string())),
        ("disk", bytes(limits.disk_bytes)),
        ("open files of a process", count(limits.open_files)),
        ("largest file", bytes(limits.file_size_bytes)),
        ("output", bytes(limits.output_bytes)),
        ("sent to the network", bytes(limits.egress_bytes)),
        ("connections at once", count(limits.connections)),
    ]
    .into_iter()
    .filter_map(|(what, value)| Some(format!("{what}: at most {}", value?)))
    .collect();
    lines.push(
        match layers.r#box.cgroup {
            CgroupLevel::Required => "no box without a control group to enforce memory and processes",
            CgroupLevel::Preferred => "memory and processes are enforced by a control group where one can be had",
            CgroupLevel::Off => "no control group is used: memory and processes are limited only process by process",
        }
        .into(),
    );
    lines.push(
        match layers.r#box.root {
            RootLevel::Drop => "started by root, the program acts as an ordinary account",
            RootLevel::Keep => "started by root, the program acts as root without capabilities",
        }
        .into(),
    );
    lines
}

fn secret_lines(secrets: &[Exposure]) -> Vec<String> {
    let line = |exposed: &Exposure| match &exposed.held {
        Held::File(path) => format!("the box itself holds `{}` in the file `{}`", exposed.name, path.display()),
        Held::Variable(variable) => format!("the box itself holds `{}` in the variable `{variable}`", exposed.name),
    };
    let lines: Vec<String> = secrets.iter().map(line).collect();
    if lines.is_empty() { vec!["the box holds placeholders only".to_owned()] } else { lines }
}

fn env_lines(env: &crate::layers::EnvLayer) -> Vec<String> {
    let mut lines = vec![listed("passed in where set", &env.pass, "no variable is passed in")];
    let set: Vec<String> = env.set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.extend(some("set", &set));
    lines
}

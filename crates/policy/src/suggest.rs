//! The smallest addition to a policy that would let through what a run was denied, ready to paste. What no
//! addition can or should let through is named with the reason instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bartizan_model::{Deed, Effect, Verdict};

use crate::address::special;
use crate::builtin;
use crate::host::Host;
use crate::load::{BuiltinsOnly, Policy};
use crate::set::PolicySet;

/// Single files of one directory beyond which the directory is suggested.
const FILES_OF_A_DIRECTORY_MAX: usize = 3;
/// Different commands of one program beyond which the program is suggested.
const COMMANDS_OF_A_PROGRAM_MAX: usize = 4;
/// Arguments beyond which a command isn't suggested word for word.
const WORDS_MAX: usize = 6;

/// What to add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestion {
    /// Sections to paste into a policy; empty when there is nothing to add.
    pub yaml: String,
    /// What to think of before pasting.
    pub notes: Vec<String>,
    /// What was denied and isn't suggested, with the reason.
    pub not_suggested: Vec<String>,
}

impl PolicySet {
    /// Suggests what would let these denied deeds through.
    #[must_use]
    pub fn suggest(&self, denied: &[(Deed, Verdict)]) -> Suggestion {
        // What the strictest ruleset names as a secret is no matter of convenience.
        let strict = builtin::source("strict")
            .and_then(|source| Policy::load(&source, &BuiltinsOnly).ok())
            .and_then(|strict| Self::new(strict, None, self.context.clone()).ok());
        let mut gather = Gather { set: self, strict, wanted: Wanted::default(), suggestion: Suggestion::default() };
        for (deed, verdict) in denied {
            gather.add(deed, verdict);
        }
        gather.finish()
    }
}

#[derive(Default)]
struct Wanted {
    read: BTreeSet<String>,
    write: BTreeSet<String>,
    commands: BTreeMap<String, BTreeSet<Vec<String>>>,
    hosts: BTreeMap<String, BTreeSet<u16>>,
    names: BTreeSet<String>,
    requests: BTreeMap<(String, u16), BTreeSet<(String, String)>>,
    tools: BTreeSet<(String, String)>,
    secrets: BTreeSet<String>,
}

struct Gather<'a> {
    set: &'a PolicySet,
    strict: Option<PolicySet>,
    wanted: Wanted,
    suggestion: Suggestion,
}

impl Gather<'_> {
    fn skip(&mut self, deed: &Deed, reason: &str) {
        let line = format!("{} {}: {reason}", deed.kind().as_str(), deed.target());
        if !self.suggestion.not_suggested.contains(&line) {
            self.suggestion.not_suggested.push(line);
        }
    }

    fn note(&mut self, note: String) {
        if !self.suggestion.notes.contains(&note) {
            self.suggestion.notes.push(note);
        }
    }

    fn add(&mut self, deed: &Deed, verdict: &Verdict) {
        let rule = verdict.rule.rule.as_str();
        if rule.starts_with("control.") {
            return self.skip(deed, "Bartizan's own files stay out of reach whatever a policy says");
        }
        let listed = rule.contains(".deny[") || rule.contains(".protect[") || rule.contains(".ask[");
        if listed {
            let place = verdict.rule.source.as_deref().unwrap_or("the policy");
            let reason = format!(
                "`{rule}` at {place} decides, and no addition outweighs it; change that rule if it isn't meant"
            );
            return self.skip(deed, &reason);
        }
        let by_project = verdict.effect != Effect::Allow
            && self.set.narrowing().any(|policy| {
                let from = |source: &str| policy.sources().iter().any(|name| source.starts_with(&format!("{name}:")));
                verdict.rule.source.as_deref().is_some_and(from)
            });
        if by_project {
            return self.skip(deed, "a policy that only narrows denies it; only a change there helps");
        }
        match deed {
            Deed::FileRead { path } | Deed::FileWrite { path, .. } => self.add_file(deed, path),
            Deed::ExecRun { program, args, .. } => self.add_command(deed, program, args),
            Deed::NetConnect { host, port } => self.add_host(deed, host, *port, None),
            Deed::HttpRequest { method, host, port, path, .. } => {
                let request = rule.ends_with(".http").then(|| (method.clone(), path.clone()));
                self.add_host(deed, host, *port, request);
            }
            Deed::DnsQuery { name, .. } => match (rule, Host::canonical(name)) {
                ("dns.record_type", _) => self.skip(deed, "only A, AAAA, HTTPS and SVCB are answered"),
                (_, Some(Host::Name(name))) => {
                    self.wanted.names.insert(name.into_owned());
                }
                _ => self.skip(deed, "it is no valid name"),
            },
            Deed::ToolCall { server, name, .. } => {
                self.wanted.tools.insert((server.clone(), name.clone()));
            }
            Deed::SecretUse { name, .. } => {
                self.wanted.secrets.insert(name.clone());
            }
            _ => self.skip(deed, "this kind of action is not known here"),
        }
    }

    fn add_file(&mut self, deed: &Deed, path: &str) {
        let secret = self.strict.as_ref().is_some_and(|strict| {
            let rule = strict.decide(&Deed::FileRead { path: path.to_owned() }).rule().rule;
            rule.starts_with("files.deny") || rule.starts_with("control.")
        });
        if secret {
            return self.skip(deed, "it holds keys or tokens, or what else no agent should read");
        }
        let Some(path) =
            crate::path::canonical(path.as_bytes()).and_then(|path| String::from_utf8(path.into_owned()).ok())
        else {
            return self.skip(deed, "the path is not absolute or not UTF-8");
        };
        if path.contains(['*', '?', '{', '}', '\\']) || path.chars().any(char::is_control) {
            return self.skip(deed, "its name can't be written as a pattern; grant its directory");
        }
        if ["/proc", "/sys", "/dev", "/run"].iter().any(|tree| path == *tree || path.starts_with(&format!("{tree}/"))) {
            return self.skip(deed, "the box has its own there");
        }
        match deed {
            Deed::FileWrite { .. } => self.wanted.write.insert(path),
            _ => self.wanted.read.insert(path),
        };
    }

    fn add_command(&mut self, deed: &Deed, program: &str, args: &[String]) {
        let name = program.rsplit('/').next().unwrap_or(program);
        let system = ["/usr/", "/bin/", "/sbin/", "/opt/"].iter().any(|tree| program.starts_with(tree))
            || !program.contains('/');
        let written = if system { name } else { program };
        if !plain_word(written) || (written.contains('/') && !written.starts_with('/')) {
            return self.skip(deed, "its name can't be written as a pattern");
        }
        let rest: Vec<String> = args.iter().skip(1).cloned().collect();
        self.wanted.commands.entry(written.to_owned()).or_default().insert(rest);
    }

    fn add_host(&mut self, deed: &Deed, host: &str, port: u16, request: Option<(String, String)>) {
        let Some(host) = Host::canonical(host) else { return self.skip(deed, "it is no valid host") };
        if let Host::Address(address) = host
            && let Some(special) = special(address)
        {
            if !special.range_may_vouch() {
                return self.skip(deed, &format!("it is {}", special.describe()));
            }
            self.note(format!("`{address}` is {}: allow it only if you know what answers there", special.describe()));
        }
        let text = match &host {
            Host::Address(address) if address.is_ipv6() => format!("[{address}]"),
            host => host.to_string(),
        };
        match request {
            Some((method, path)) if plain_request(&path) => {
                self.wanted.requests.entry((text, port)).or_default().insert((method, path));
            }
            Some(_) => self.skip(deed, "its path can be read in several ways"),
            None => {
                self.wanted.hosts.entry(text).or_default().insert(port);
            }
        }
    }

    fn finish(mut self) -> Suggestion {
        let mut yaml = String::new();
        self.write_files(&mut yaml);
        self.write_commands(&mut yaml);
        self.write_net(&mut yaml);
        if !self.wanted.tools.is_empty() {
            yaml.push_str("tools:\n  allow:\n");
            for (server, name) in &self.wanted.tools {
                let _ = writeln!(yaml, "    - {{ server: {}, name: {} }}", scalar(server), scalar(name));
            }
        }
        if !self.wanted.secrets.is_empty() {
            yaml.push_str("secrets:\n  allow:\n");
            for name in &self.wanted.secrets {
                let _ = writeln!(yaml, "    - {}", scalar(name));
            }
        }
        self.suggestion.yaml = yaml;
        self.suggestion
    }

    fn write_files(&mut self, yaml: &mut String) {
        let write = trees(&self.wanted.write, 0);
        // What becomes writable needn't be made readable.
        let covered = |path: &str| write.iter().any(|pattern| pattern_holds(pattern, path));
        let read: BTreeSet<String> = self.wanted.read.iter().filter(|path| !covered(path)).cloned().collect();
        let read = trees(&read, FILES_OF_A_DIRECTORY_MAX);
        if read.is_empty() && write.is_empty() {
            return;
        }
        yaml.push_str("files:\n");
        for (key, patterns) in [("read", &read), ("write", &write)] {
            if !patterns.is_empty() {
                let _ = writeln!(yaml, "  {key}:");
                for pattern in patterns {
                    let _ = writeln!(yaml, "    - {}", scalar(&self.set.shorten(pattern)));
                }
            }
        }
        if write.iter().any(|pattern| pattern.ends_with("/**")) {
            self.note(
                "new files can only be made in directories that are writable as a whole, so directories are suggested"
                    .into(),
            );
        }
    }

    fn write_commands(&mut self, yaml: &mut String) {
        if self.wanted.commands.is_empty() {
            return;
        }
        yaml.push_str("exec:\n  allow:\n");
        for (program, calls) in &self.wanted.commands {
            for pattern in command_patterns(program, calls) {
                let _ = writeln!(yaml, "    - {}", scalar(&pattern));
            }
        }
    }

    fn write_net(&mut self, yaml: &mut String) {
        let asked: Vec<String> =
            self.wanted.names.iter().filter(|name| !self.wanted.hosts.contains_key(*name)).cloned().collect();
        for name in &asked {
            self.note(format!("`{name}` was only asked for by name; ports 80 and 443 are assumed"));
            self.wanted.hosts.entry(name.clone()).or_default();
        }
        if self.wanted.hosts.is_empty() && self.wanted.requests.is_empty() {
            return;
        }
        yaml.push_str("net:\n  allow:\n");
        for (host, ports) in &self.wanted.hosts {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            match ports.as_slice() {
                [] => {
                    let _ = writeln!(yaml, "    - {}", scalar(host));
                }
                [port] => {
                    let _ = writeln!(yaml, "    - {}", scalar(&format!("{host}:{port}")));
                }
                ports => {
                    let _ = writeln!(yaml, "    - {{ host: {}, ports: [{}] }}", scalar(host), ports.join(", "));
                }
            }
        }
        for ((host, port), requests) in &self.wanted.requests {
            let _ = writeln!(yaml, "    - host: {}\n      ports: [{port}]\n      http:", scalar(host));
            for (method, path) in requests {
                let _ = writeln!(yaml, "        - {{ method: {}, path: {} }}", scalar(method), scalar(path));
            }
        }
    }
}

/// Files as patterns; directories of more than `single_max` of them as trees.
fn trees(paths: &BTreeSet<String>, single_max: usize) -> Vec<String> {
    let mut directories: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for path in paths {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        directories.entry(directory).or_default().push(path);
    }
    let mut patterns: Vec<String> = Vec::new();
    for (directory, files) in directories {
        // Whole homes and top directories are never worth a few files.
        let narrow = directory.matches('/').count() >= 3;
        if files.len() > single_max && narrow {
            patterns.push(format!("{directory}/**"));
        } else {
            patterns.extend(files.into_iter().cloned());
        }
    }
    let all = patterns.clone();
    patterns.retain(|pattern| {
        !all.iter().any(|other| other != pattern && pattern_holds(other, pattern.trim_end_matches("/**")))
    });
    patterns
}

fn pattern_holds(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix("/**") {
        Some(tree) => path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        None => pattern == path,
    }
}

fn command_patterns(program: &str, calls: &BTreeSet<Vec<String>>) -> Vec<String> {
    let literal =
        |call: &Vec<String>| call.len() <= WORDS_MAX && !call.is_empty() && call.iter().all(|word| plain_word(word));
    if calls.len() == 1 && calls.iter().all(literal) {
        return calls.iter().map(|call| format!("{program} {}", call.join(" "))).collect();
    }
    let firsts: Option<BTreeSet<&str>> = calls
        .iter()
        .map(|call| {
            call.first()
                .map(String::as_str)
                .filter(|first| plain_word(first) && !first.starts_with('-') && !first.contains(['/', '.']))
        })
        .collect();
    match firsts {
        Some(firsts) if firsts.len() <= COMMANDS_OF_A_PROGRAM_MAX => {
            firsts.into_iter().map(|first| format!("{program} {first} **")).collect()
        }
        _ => vec![program.to_owned()],
    }
}

fn plain_word(word: &str) -> bool {
    !word.is_empty()
        && !word.contains(['*', '?', '{', '}', '"', '\'', '\\', ','])
        && !word.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn plain_request(path: &str) -> bool {
    crate::path::has_one_reading(path) && !path.contains(['*', '{', '}'])
}

/// A YAML scalar that is read back as this very text.
fn scalar(text: &str) -> String {
    let plain =
        text.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, '/' | '~' | '.'))
            && text.chars().all(|c| {
                c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '~' | ' ' | ':' | '*' | '+' | '=')
            })
            && !text.contains(": ")
            && !text.ends_with([':', ' '])
            && text != "~"
            && !matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "yes" | "no" | "on" | "off");
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

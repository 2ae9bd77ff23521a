//! Example actions: a few that each rule of a policy is about, and what its tests name. Two policies that answer all
//! examples of both alike differ, if at all, in something neither of them says in so many words.

use std::collections::BTreeSet;

use bartizan_model::{Deed, Sighting, Verdict};

use crate::cases::parse_case;
use crate::context::Context;
use crate::guards::Look;
use crate::host::HostPattern;
use crate::language::{CommandRule, NetRule, PolicyFile};
use crate::pattern::unfold;
use crate::place::At;
use crate::session::{Label, Session};
use crate::set::PolicySet;

/// Most examples of one policy; a longer one is compared by the rest of what is compared.
const EXAMPLES_MAX: usize = 20_000;

/// An example action, and what is known besides it when it is decided.
#[derive(Debug, Clone)]
pub struct Example {
    /// In words.
    pub action: String,
    /// As an action.
    pub deed: Deed,
    /// What a scanner sees in its content.
    pub seen: Vec<Sighting>,
    /// What was read before it.
    pub read: Vec<Label>,
}

impl PolicySet {
    /// The verdict on an example, without any other history.
    #[must_use]
    pub fn verdict_of(&self, example: &Example) -> Verdict {
        let session = Session::new();
        example.read.iter().for_each(|label| session.add_label(label));
        let look = Look { sightings: &example.seen, session: Some(&session), ..Look::default() };
        self.decide_with(&example.deed, &look).to_verdict()
    }
}

/// The examples of one policy.
#[must_use]
pub fn examples(file: &PolicyFile, context: &Context) -> Vec<Example> {
    let mut cases = BTreeSet::new();
    if let Some(section) = &file.files {
        let lists = [&section.read, &section.programs, &section.write, &section.ask, &section.protect, &section.deny];
        for pattern in lists.into_iter().flatten().flatten() {
            for path in paths(&pattern.value) {
                cases.insert(format!("file.read {path}"));
                cases.insert(format!("file.write {path}"));
            }
        }
    }
    if let Some(section) = &file.exec {
        for rule in [&section.allow, &section.ask, &section.deny].into_iter().flatten().flatten() {
            cases.extend(commands(&rule.value));
        }
    }
    if let Some(section) = &file.net {
        for rule in [&section.allow, &section.ask, &section.deny].into_iter().flatten().flatten() {
            requests(&rule.value, &mut cases);
        }
    }
    if let Some(section) = &file.tools {
        for rule in [&section.allow, &section.ask, &section.deny].into_iter().flatten().flatten() {
            let name = if rule.value.name.is_empty() { "any" } else { &rule.value.name };
            cases.insert(format!("tool {}/{}", plain(&rule.value.server), plain(name)));
        }
    }
    if let Some(section) = &file.secrets {
        let section = &section.names;
        let names = |list: &Option<Vec<At<String>>>| list.iter().flatten().map(|name| plain(&name.value)).collect();
        let all: [Vec<String>; 3] = [names(&section.allow), names(&section.ask), names(&section.deny)];
        cases.extend(all.into_iter().flatten().map(|name| format!("secret {name}")));
    }
    let bare = cases.into_iter().map(|action| (action, Vec::new(), Vec::new()));
    let tests = file.tests.iter().map(|case| (case.action.value.clone(), case.seen.clone(), case.read.clone()));
    let example = |(action, seen, read): (String, Vec<Sighting>, Vec<Label>)| {
        let deed = parse_case(&action, context).ok()?;
        Some(Example { action: in_words(&action, &seen, &read), deed, seen, read })
    };
    tests.chain(bare).take(EXAMPLES_MAX).filter_map(example).collect()
}

fn in_words(action: &str, seen: &[Sighting], read: &[Label]) -> String {
    let seen = seen.iter().map(|sighting| format!("seen {}:{}", sighting.class.as_str(), sighting.kind));
    let besides: Vec<String> = seen.chain(read.iter().map(|label| format!("read {label}"))).collect();
    if besides.is_empty() { action.to_owned() } else { format!("{action} [{}]", besides.join(", ")) }
}

/// A pattern with its wildcards filled in.
fn plain(pattern: &str) -> String {
    pattern.replace("**", "any").replace('*', "any").replace('?', "a")
}

/// What lies at and below a pattern, braces unfolded.
fn paths(pattern: &str) -> Vec<String> {
    let pattern = pattern.strip_prefix('!').unwrap_or(pattern);
    let place = |path: String| match path.strip_prefix("any/") {
        // A pattern that matches anywhere: looked at where work is done.
        Some(rest) if pattern.starts_with("**/") => format!("./{rest}"),
        _ => path,
    };
    unfold(pattern).unwrap_or_default().iter().map(|alternative| place(plain(alternative))).collect()
}

fn commands(rule: &CommandRule) -> Vec<String> {
    match rule {
        CommandRule::Pattern(text) => {
            let words = |alternative: &String| {
                let words: Vec<String> =
                    alternative.split_whitespace().filter(|word| *word != "**").map(plain).collect();
                format!("exec {}", words.join(" "))
            };
            unfold(text).unwrap_or_default().iter().map(words).collect()
        }
        CommandRule::Grammar(grammar) => {
            let mut lines = Vec::new();
            for program in grammar.program.iter().flat_map(|program| unfold(program).unwrap_or_default()) {
                lines.push(format!("exec {}", plain(&program)));
                lines.extend(grammar.verb.iter().map(|verb| format!("exec {} {}", plain(&program), plain(verb))));
            }
            lines
        }
    }
}

fn requests(rule: &NetRule, cases: &mut BTreeSet<String>) {
    let host = match &rule.host {
        HostPattern::AnyName => "any.example".to_owned(),
        HostPattern::Name(name) => name.clone(),
        HostPattern::Below(name) => format!("any.{name}"),
        HostPattern::Addresses(range) => range.to_string().split('/').next().unwrap_or_default().to_owned(),
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let mut ports: BTreeSet<u16> = rule.ports.iter().flat_map(|ports| [ports.first, ports.last]).collect();
    ports.extend([80, 443]);
    cases.extend(ports.iter().map(|port| format!("connect {host}:{port}")));
    cases.insert(format!("dns {host}"));
    for listed in rule.http.iter().flatten() {
        let path = listed.path.as_deref().map_or_else(|| "/any".to_owned(), plain);
        let mut methods: BTreeSet<&str> = listed.method.iter().map(String::as_str).collect();
        methods.extend(["GET", "POST", "DELETE"]);
        cases.extend(methods.iter().map(|method| format!("http {method} https://{host}{path}")));
    }
}

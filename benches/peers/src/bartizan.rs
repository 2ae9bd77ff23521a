//! Bartizan: the common rules, and beside them the whole `standard` policy with a session and every detector.

use std::path::Path;

use bartizan_model::{Content, Deed, Effect, Origin, Sighting};
use bartizan_policy::{BuiltinsOnly, Context, Look, Policy, PolicySet, Session, Source, parse_case};
use bartizan_scan::Scanner;

use crate::{ACTIONS, Action, Contender, kibibyte};

const RULES: &str = r#"
bartizan: 1
files:
  default: allow
  deny: ["**/.ssh/**", "**/.aws/**", "**/.gnupg/**", "**/.kube/**", "**/.env"]
net:
  default: deny
  allow: ["*.openai.com", "*.anthropic.com", api.github.com, github.com, raw.githubusercontent.com, registry.npmjs.org, pypi.org, crates.io]
tools:
  default: allow
  deny: [{ server: "*", name: shell_exec }, { server: "*", name: run_command }, { server: "*", name: raw_file_write }, { server: "*", name: raw_file_delete }]
"#;

fn load(text: &str) -> PolicySet {
    let policy =
        Policy::load(&Source::new("peers.yaml", text), &BuiltinsOnly).unwrap_or_else(|errors| panic!("{errors}"));
    let context = Context::new(Path::new("/home/me"), Path::new("/home/me/work")).unwrap();
    PolicySet::new(policy, None, context).unwrap()
}

fn deed(action: Action) -> Deed {
    match action {
        Action::Read(path) => Deed::FileRead { path: path.to_owned() },
        Action::Connect(host) => Deed::NetConnect { host: host.to_owned(), port: 443 },
        Action::Tool(name) => Deed::ToolCall {
            server: "tools".to_owned(),
            name: name.to_owned(),
            arguments: serde_json::json!({ "number": 7 }),
        },
    }
}

pub fn contenders() -> Vec<Contender> {
    let mut all = Vec::new();
    for (what, action, allowed) in ACTIONS {
        let (set, deed) = (load(RULES), deed(action));
        let ask = Box::new(move || (set.decide(std::hint::black_box(&deed)).effect() == Effect::Allow, None));
        all.push(Contender { engine: "bartizan", what: what.to_owned(), ask, allowed });
    }
    let content = || Content::Text(kibibyte());
    let full: [(&str, Deed, bool); 4] = [
        ("read a source file", Deed::FileRead { path: "/home/me/work/src/main.rs".to_owned() }, true),
        ("run a program", parsed("exec cargo test --workspace"), true),
        (
            "write 1 KiB",
            Deed::FileWrite { path: "/home/me/work/notes.md".to_owned(), operation: None, content: Some(content()) },
            true,
        ),
        (
            "receive 1 KiB of untrusted text",
            Deed::ContentReceive {
                origin: Origin::Retrieved,
                source: "https://example.com/".to_owned(),
                content: content(),
            },
            true,
        ),
    ];
    for (what, deed, allowed) in full {
        let (set, scanner, session) = (load("bartizan: 1\nextends: standard\n"), Scanner::standard(), Session::new());
        let ask = Box::new(move || {
            let mut sightings: Vec<Sighting> = Vec::new();
            deed.contents(|part, bytes| {
                let seen = bartizan_gate::Scanner::scan(&scanner, bytes);
                sightings.extend(seen.into_iter().map(|sighting| sighting.in_part(part)));
            });
            let look = Look { sightings: &sightings, session: Some(&session), ..Look::default() };
            (set.decide_with(std::hint::black_box(&deed), &look).effect() == Effect::Allow, None)
        });
        all.push(Contender { engine: "bartizan, all of `standard`", what: what.to_owned(), ask, allowed });
    }
    all
}

fn parsed(words: &str) -> Deed {
    let context = Context::new(Path::new("/home/me"), Path::new("/home/me/work")).unwrap();
    parse_case(words, &context).unwrap()
}

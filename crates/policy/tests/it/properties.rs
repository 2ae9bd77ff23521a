//! What holds for every policy and every action.

use bartizan_model::{Effect, Obligation};
use bartizan_policy::{BuiltinsOnly, PathAccess, Policy, PolicySet, Source, parse, parse_case};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::support::{InMemory, context, load};

const TREES: [&str; 6] = ["./**", "./src/**", "/usr/**", "~/notes/**", "/etc/hosts", "/**"];
const MASKS: [&str; 7] = ["'**/.env'", "'**/.git/**'", "'!**/.env'", "./src/gen", "~/notes", "'*.rs'", "/usr/lib/**"];
const COMMANDS: [&str; 6] = ["git", "git push **", "'*'", "npm run *", "/usr/bin/*", "'{make,just} test'"];
const HOSTS: [&str; 9] = [
    "a.org",
    "'*.a.org'",
    "'*'",
    "10.0.0.0/8",
    "10.1.1.1",
    "'b.org:22'",
    "{ host: a.org, http: [{ method: GET }, { method: POST, path: '/x/**' }] }",
    "{ host: c.org, address: 10.9.9.9 }",
    "{ host: b.org, private: true, ports: '*' }",
];
const NAMES: [&str; 4] = ["TOKEN", "'T*'", "'*'", "OTHER"];
const EFFECTS: [&str; 3] = ["allow", "ask", "deny"];

const ACTIONS: [&str; 32] = [
    "file.read ./src/main.rs",
    "file.write ./src/main.rs",
    "file.write ./src/gen/x",
    "file.read ./.env",
    "file.write ./.git/config",
    "file.read /usr/lib/x",
    "file.write /usr/bin/x",
    "file.read ~/notes/a",
    "file.write ~/notes/a",
    "file.read /etc/hosts",
    "file.read /",
    "exec git status",
    "exec git push origin",
    "exec npm run x",
    "exec /usr/bin/make test",
    "exec just test",
    "connect a.org:443",
    "connect x.a.org:80",
    "connect b.org:22",
    "connect b.org:443",
    "connect c.org:443",
    "connect 10.1.1.1:80",
    "connect 10.2.2.2:80",
    "connect 169.254.169.254:80",
    "dns a.org",
    "dns q.org",
    "http GET http://a.org/x",
    "http POST http://a.org/x/y",
    "http DELETE http://a.org/x",
    "tool s/t",
    "secret TOKEN",
    "secret OTHER",
];

fn list(entries: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    proptest::option::of(
        subsequence(entries, 0..=entries.len().min(4)).prop_map(|chosen| format!("[{}]", chosen.join(", "))),
    )
}

fn effect() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(select(&EFFECTS[..]).prop_map(str::to_owned))
}

fn section(name: &'static str, keys: Vec<(&'static str, BoxedStrategy<Option<String>>)>) -> BoxedStrategy<String> {
    let (names, values): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    proptest::option::of(values)
        .prop_map(move |values| match values {
            None => String::new(),
            Some(values) => {
                let parts: Vec<String> =
                    names.iter().zip(values).filter_map(|(key, value)| Some(format!("{key}: {}", value?))).collect();
                format!("{name}: {{ {} }}\n", parts.join(", "))
            }
        })
        .boxed()
}

fn policy() -> impl Strategy<Value = String> {
    let with = |entries: &'static [&'static str]| {
        vec![("default", effect().boxed()), ("allow", list(entries).boxed()), ("ask", list(entries).boxed())]
    };
    let denied = |entries: &'static [&'static str]| {
        let mut keys = with(entries);
        keys.push(("deny", list(entries).boxed()));
        keys
    };
    let mut net = with(&HOSTS);
    net.push(("deny", list(&HOSTS[..7]).boxed()));
    (
        section(
            "files",
            vec![
                ("default", effect().boxed()),
                ("read", list(&TREES).boxed()),
                ("write", list(&TREES).boxed()),
                ("ask", list(&MASKS).boxed()),
                ("protect", list(&MASKS).boxed()),
                ("deny", list(&MASKS).boxed()),
            ],
        ),
        section("exec", denied(&COMMANDS)),
        section("net", net),
        section("secrets", denied(&NAMES)),
        section(
            "limits",
            vec![(
                "memory",
                proptest::option::of(select(&["1GiB", "2GiB", "512MiB"][..]).prop_map(str::to_owned)).boxed(),
            )],
        ),
    )
        .prop_map(|(files, exec, net, secrets, limits)| format!("{files}{exec}{net}{secrets}{limits}"))
}

fn freedom(access: PathAccess) -> u8 {
    match access {
        PathAccess::Absent | PathAccess::Hidden => 0,
        PathAccess::Read => 1,
        PathAccess::ReadOnly(_) => 2,
        PathAccess::Write => 3,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// A project never makes anything possible that isn't without it.
    #[test]
    fn a_project_never_widens(user in policy(), project in policy()) {
        let alone = PolicySet::new(load(&user), None, context()).unwrap();
        let both = PolicySet::new(load(&user), Some(load(&project)), context()).unwrap();
        for action in ACTIONS {
            let deed = parse_case(action, alone.context()).unwrap();
            let (before, after) = (alone.verdict(&deed), both.verdict(&deed));
            prop_assert!(after.effect >= before.effect, "{action}: {before:?} {after:?}");
            if after.effect == Effect::Deny {
                continue;
            }
            for duty in &before.obligations {
                let demands = *duty == Obligation::InspectHttp;
                prop_assert!(!demands || after.obligations.contains(duty), "{action} lost {duty:?}");
            }
            for duty in &after.obligations {
                let grants = *duty != Obligation::InspectHttp;
                prop_assert!(!grants || before.obligations.contains(duty), "{action} gained {duty:?}");
            }
        }
        for path in ["/home/me/work/src/a.rs", "/home/me/work/.env", "/home/me/work/src/gen/x", "/usr/lib/x", "/home/me/notes/x", "/etc/hosts", "/x"] {
            let (before, after) = (alone.classify(path.as_ref()), both.classify(path.as_ref()));
            prop_assert!(freedom(after) <= freedom(before), "{path}: {before:?} {after:?}");
            // The trees of the layers hold whatever may be seen, and no more than before.
            let layer = both.layers().files;
            let seen = |trees: &[std::path::PathBuf], files: &[std::path::PathBuf]| {
                trees.iter().any(|tree| path.starts_with(tree.to_str().unwrap_or_default())) || files.iter().any(|file| file.to_str() == Some(path))
            };
            if freedom(after) >= 2 {
                prop_assert!(seen(&layer.write, &layer.write_files), "{path} is writable outside the trees: {layer:?}");
            }
            if freedom(after) >= 1 {
                prop_assert!(seen(&layer.write, &layer.write_files) || seen(&layer.read, &layer.read_files), "{path} is readable outside the trees: {layer:?}");
            }
        }
        let least = |set: &PolicySet| set.layers().limits.memory_bytes.unwrap_or(u64::MAX);
        prop_assert!(least(&both) <= least(&alone));
        prop_assert!(both.approval_timeout() <= alone.approval_timeout());
    }

    /// What the box shows agrees with what is decided.
    #[test]
    fn the_box_never_shows_more_than_is_decided(user in policy(), project in policy()) {
        let set = PolicySet::new(load(&user), Some(load(&project)), context()).unwrap();
        for path in ["/home/me/work/src/a.rs", "/home/me/work/.env", "/home/me/work/src/gen/x", "/home/me/work/.git/config", "/usr/lib/x", "/home/me/notes/x", "/etc/hosts", "/x"] {
            let decide = |words: &str| set.decide(&parse_case(&format!("{words} {path}"), set.context()).unwrap()).effect();
            match set.classify(path.as_ref()) {
                PathAccess::Write => prop_assert_eq!(decide("file.write"), Effect::Allow, "{}", path),
                PathAccess::Read | PathAccess::ReadOnly(_) => prop_assert_eq!(decide("file.read"), Effect::Allow, "{}", path),
                PathAccess::Hidden | PathAccess::Absent => {}
            }
        }
    }

    /// A chain of `extends` has one meaning, however it is cut into files.
    #[test]
    fn extending_is_associative(one in policy(), two in policy(), three in policy()) {
        let file = |name: &'static str, extends: &str, body: &str| (name, format!("bartizan: 1\n{extends}{body}"));
        let chain = InMemory(vec![
            file("one.yaml", "", &one),
            file("two.yaml", "extends: ./one.yaml\n", &two),
            file("three.yaml", "extends: ./two.yaml\n", &three),
        ]);
        let flat = InMemory(vec![file("one.yaml", "", &one), file("two.yaml", "", &two), file("three.yaml", "", &three)]);
        let nested = Policy::load(&Source::new("top.yaml", "bartizan: 1\nextends: ./three.yaml"), &chain).unwrap();
        let listed = Policy::load(&Source::new("top.yaml", "bartizan: 1\nextends: [./one.yaml, ./two.yaml, ./three.yaml]"), &flat).unwrap();
        prop_assert_eq!(nested.file(), listed.file());
    }

    /// Names of one form are decided alike however they are written.
    #[test]
    fn the_form_of_a_name_changes_nothing(user in policy(), upper in any::<bool>(), dot in any::<bool>()) {
        let set = PolicySet::new(load(&user), None, context()).unwrap();
        for host in ["a.org", "x.a.org", "b.org"] {
            let mut written = if upper { host.to_uppercase() } else { host.to_owned() };
            if dot {
                written.push('.');
            }
            let decide = |host: &str| set.decide(&parse_case(&format!("connect {host}:443"), set.context()).unwrap()).effect();
            prop_assert_eq!(decide(host), decide(&written));
        }
    }

    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn parsing_near_policies_never_panics(text in "(bartizan: 1\n)?((files|net|exec|tools|limits|box|env|tests|extends): ?[\\[{ ]{0,3}(allow|deny|host|ports|pass|set|read|memory)?:? ?[\\[{'\"*!&/~.a-z0-9{},:-]{0,30}[\\]} '\"]{0,3}\n?){0,6}") {
        if let Ok(file) = parse(text.as_bytes()) {
            let policy = Policy::load(&Source::new("p", text.as_bytes()), &BuiltinsOnly);
            if file.extends.is_empty() {
                let set = PolicySet::new(policy.unwrap(), None, context()).unwrap();
                let _ = (set.lint(), set.explain(), set.run_tests());
            }
        }
    }

    #[test]
    fn deciding_never_panics(host in "\\PC{0,40}", path in "\\PC{0,40}", port in any::<u16>()) {
        let set = crate::support::set("net: { default: ask, allow: [a.org] }\nfiles: { read: [/**] }");
        let _ = set.verdict(&bartizan_model::Deed::NetConnect { host: host.clone(), port });
        let _ = set.verdict(&bartizan_model::Deed::DnsQuery { name: host.clone(), record_type: path.clone() });
        let _ = set.verdict(&bartizan_model::Deed::FileWrite { path: path.clone(), operation: Some("rename".into()), content: None });
        let _ = set.verdict(&bartizan_model::Deed::HttpRequest { method: "GET".into(), scheme: "http".into(), host, port, path: path.clone(), query: None, body: None, placeholders: Vec::new(), headers: Vec::new(), upgrade: None });
        let _ = set.explain_action(&bartizan_model::Deed::ExecRun { program: path, args: vec![], cwd: None });
    }
}

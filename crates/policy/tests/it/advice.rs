//! Explanations, suggestions, warnings and tests beside a policy.

use bartizan_model::{Deed, Effect};
use bartizan_policy::{Policy, PolicySet, Source, parse_case};
use expect_test::{Expect, expect};

use crate::support::{InMemory, context, narrowed, set};

const POLICY: &str = "files: { read: [/usr/**], write: [./**], ask: ['**/.git/config'], protect: ['**/.git/hooks/**'], deny: ['**/.env'] }
exec: { default: ask, allow: [git], deny: [sudo] }
net: { default: ask, allow: [api.github.com, { host: h.example.net, ports: [80], http: [{ method: GET, path: '/x/**' }] }], deny: ['*.evil.com'] }
env: { pass: [HOME], set: { CI: '1' } }
limits: { memory: 4GiB, time: 90m, egress_bytes: 50MiB }
";

#[test]
fn layers_explain_themselves() {
    let set = narrowed(POLICY, "net: { deny: [x.org], default: deny }");
    let text: String =
        set.explain().layers.iter().map(|layer| format!("{}\n  {}\n", layer.layer, layer.lines.join("\n  "))).collect();
    expect![[r#"
        mounts
          may be read: /usr/**
          may be read and written: ./**
          hidden although a tree holds it: **/.env, ~/.bartizan
          read-only although a tree is writable: **/.git/hooks/**, **/bartizan.yaml, **/bartizan.yml
          read-only until a person lets it be written: **/.git/config
          everything else is not there; /tmp, /dev, /proc and the home are the box's own
        landlock
          reading and executing beneath: /usr/**
          writing beneath: ./**
          no way round by links or mounts: the kernel checks the file, not the name
        seccomp
          only the system calls on Bartizan's own list; no policy widens it
          making or moving something to one of these names waits for a decision: .env, .git, .git/config, .git/hooks/**, bartizan.yaml, bartizan.yml
        nftables
          every TCP connection goes to Bartizan, whatever address it is for
          everything that is neither TCP nor a question for a name is dropped and counted
        dns
          answers A, AAAA, HTTPS and SVCB questions for names some rule lets be reached; others get no answer, and nothing is asked upstream for them
          answers hold addresses of Bartizan's own, so that a connection keeps its name
          real addresses are asked of the system's resolver when a connection is let through
        proxy
          refuses: *.evil.com
          lets through: api.github.com, h.example.net:80 (GET /x/**)
          asks a person for everything else
          what narrows it refuses: x.org
          what narrows it refuses everything else
          private, loopback, link-local and metadata addresses are refused unless a rule names them; the address that was checked is the one dialled
          requests to destinations with an `http` list are read and decided one by one, inside TLS too: there the program sees a certificate of the box's own authority
        exec
          refuses: sudo
          starts: git
          asks a person for everything else
        guards
          patches: every path a patch touches is decided by `files` as a write
          patches: patches that can't be understood: deny
          patches: names that lead out: deny
          labels: whatever comes from the network, from tools or pages makes a run `untrusted`
          what narrows it: patches: every path a patch touches is decided by `files` as a write
          what narrows it: patches: patches that can't be understood: allow
          what narrows it: patches: names that lead out: allow
        limits
          memory: at most 4GiB
          time: at most 1h30m
          sent to the network: at most 50MiB
          no box without a control group to enforce memory and processes
          started by root, the program acts as an ordinary account
        env
          passed in where set: HOME
          set: CI=1
        secrets
          the box holds placeholders only
    "#]].assert_eq(&text);
}

fn explained(set: &PolicySet, action: &str, expect: Expect) {
    let explanation = set.explain_action(&parse_case(action, set.context()).unwrap());
    let lines: Vec<String> = explanation
        .matched
        .iter()
        .map(|matched| {
            let mark = if matched.decided { "→" } else { " " };
            format!("{mark} {} {} ({})", matched.effect.as_str(), matched.rule.rule, matched.policy)
        })
        .collect();
    expect.assert_eq(&format!("{}\n{}", lines.join("\n"), explanation.verdict.reason));
}

#[test]
fn actions_name_every_rule() {
    let set = narrowed(POLICY, "net: { deny: [api.github.com] }");
    explained(
        &set,
        "file.write ./.git/config",
        expect![[r#"
        → ask files.ask[0] (user)
          allow files.write[0] (user)
        the rule `**/.git/config` wants a person to decide"#]],
    );
    explained(
        &set,
        "file.write /usr/x",
        expect![[r#"
        → deny files.read[0] (user)
        `/usr/**` may be read, not written"#]],
    );
    explained(
        &set,
        "file.read ./.env",
        expect![[r#"
        → deny files.deny[0] (user)
          allow files.write[0] (user)
        the rule `**/.env` denies it"#]],
    );
    explained(
        &set,
        "connect api.github.com:443",
        expect![[r#"
        → deny net.deny[0] (project)
          allow net.allow[0] (user)
        the rule `api.github.com` denies it"#]],
    );
    explained(
        &set,
        "connect x.evil.com:443",
        expect![[r#"
        → deny net.deny[0] (user)
        the rule `*.evil.com` denies it"#]],
    );
    explained(
        &set,
        "http POST http://h.example.net/x/y",
        expect![[r#"
        → deny net.allow[1].http (user)
        `h.example.net:80` allows only the requests it lists"#]],
    );
    explained(
        &set,
        "connect 169.254.169.254:80",
        expect![[r#"
        → deny egress.metadata (user)
        the destination is a cloud metadata address, which hands out credentials, and no rule names it"#]],
    );
    explained(
        &set,
        "exec make",
        expect![[r#"
        → ask exec.default (user)
        no rule in `exec` matches, and its default wants a person to decide"#]],
    );
}

fn suggest(policy: &str, actions: &[&str]) -> bartizan_policy::Suggestion {
    let set = set(policy);
    let denied: Vec<_> = actions
        .iter()
        .map(|action| {
            let deed = parse_case(action, set.context()).unwrap();
            let verdict = set.verdict(&deed);
            assert_ne!(verdict.effect, Effect::Allow, "{action}");
            (deed, verdict)
        })
        .collect();
    let suggestion = set.suggest(&denied);
    // What is suggested must do what it says: pasted on top, everything not named as left out is allowed.
    let base = format!("bartizan: 1\n{policy}");
    let pasted = format!("bartizan: 1\nextends: ./base.yaml\n{}", suggestion.yaml);
    let policy = Policy::load(&Source::new("pasted.yaml", pasted), &InMemory(vec![("base.yaml", base)]))
        .unwrap_or_else(|errors| panic!("{errors}\n{}", suggestion.yaml));
    let lifted = PolicySet::new(policy, None, context()).unwrap();
    for (deed, _) in &denied {
        let line = format!("{} {}", deed.kind().as_str(), deed.target());
        let left_out = suggestion.not_suggested.iter().any(|skipped| skipped.starts_with(&line));
        let effect = lifted.decide(deed).effect();
        let expected_lift = effect == Effect::Allow;
        assert_eq!(expected_lift, !left_out, "{line}: {}", effect.as_str());
    }
    suggestion
}

#[test]
fn suggestions_are_small_and_work() {
    let suggestion = suggest(
        &POLICY.trim_end().replace("net: { default: ask", "net: { default: deny"),
        &[
            "file.read ~/notes/a.txt",
            "file.read ~/lib/a",
            "file.read ~/lib/b",
            "file.read ~/lib/c",
            "file.read ~/lib/d",
            "file.write ~/out/report.md",
            "file.read ~/out/other.md",
            "exec npm run build",
            "exec npm run test",
            "exec make -j 4",
            "exec /home/me/work/tool --x y",
            "connect files.example.org:443",
            "connect files.example.org:8443",
            "connect 93.184.216.34:443",
            "connect 10.2.3.4:5432",
            "dns only.example.org",
            "http GET http://h.example.net/y",
            "tool github/list_issues",
            "secret GITHUB_TOKEN",
        ],
    );
    expect![[r#"
        files:
          read:
            - ~/lib/**
            - ~/notes/a.txt
          write:
            - ~/out/**
        exec:
          allow:
            - /home/me/work/tool --x y
            - make -j 4
            - npm run **
        net:
          allow:
            - "10.2.3.4:5432"
            - "93.184.216.34:443"
            - { host: files.example.org, ports: [443, 8443] }
            - only.example.org
            - host: h.example.net
              ports: [80]
              http:
                - { method: GET, path: /y }
        tools:
          allow:
            - { server: github, name: list_issues }
        secrets:
          allow:
            - GITHUB_TOKEN
    "#]]
    .assert_eq(&suggestion.yaml);
    expect![[r#"
        `10.2.3.4` is a private address: allow it only if you know what answers there
        new files can only be made in directories that are writable as a whole, so directories are suggested
        `only.example.org` was only asked for by name; ports 80 and 443 are assumed"#]]
    .assert_eq(&suggestion.notes.join("\n"));
    assert!(suggestion.not_suggested.is_empty(), "{:?}", suggestion.not_suggested);
}

#[test]
fn suggestions_leave_out_what_should_stay_out() {
    let suggestion = suggest(
        POLICY.trim_end(),
        &[
            "file.read ~/.ssh/id_rsa",
            "file.read ~/.aws/credentials",
            "file.read ./.env",
            "file.write ./.git/hooks/pre-commit",
            "file.write ./.git/config",
            "file.read ~/.bartizan/keys/x",
            "file.write ./bartizan.yaml",
            "file.read /proc/1/environ",
            "exec sudo id",
            "connect 169.254.169.254:80",
            "connect 0.0.0.0:80",
            "connect x.evil.com:443",
            "dns example.org TXT",
        ],
    );
    assert_eq!(suggestion.yaml, "");
    expect![[r#"
        file.read /home/me/.ssh/id_rsa: it holds keys or tokens, or what else no agent should read
        file.read /home/me/.aws/credentials: it holds keys or tokens, or what else no agent should read
        file.read /home/me/work/.env: `files.deny[0]` at my.yaml:2 decides, and no addition outweighs it; change that rule if it isn't meant
        file.write /home/me/work/.git/hooks/pre-commit: `files.protect[0]` at my.yaml:2 decides, and no addition outweighs it; change that rule if it isn't meant
        file.write /home/me/work/.git/config: `files.ask[0]` at my.yaml:2 decides, and no addition outweighs it; change that rule if it isn't meant
        file.read /home/me/.bartizan/keys/x: Bartizan's own files stay out of reach whatever a policy says
        file.write /home/me/work/bartizan.yaml: Bartizan's own files stay out of reach whatever a policy says
        file.read /proc/1/environ: the box has its own there
        exec.run sudo id: `exec.deny[0]` at my.yaml:3 decides, and no addition outweighs it; change that rule if it isn't meant
        net.connect 169.254.169.254:80: it is a cloud metadata address, which hands out credentials
        net.connect 0.0.0.0:80: it is the unspecified address
        net.connect x.evil.com:443: `net.deny[0]` at my.yaml:4 decides, and no addition outweighs it; change that rule if it isn't meant
        dns.query example.org TXT: only A, AAAA, HTTPS and SVCB are answered"#]].assert_eq(&suggestion.not_suggested.join("\n"));
}

#[test]
fn odd_names_survive_pasting() {
    let set = set("");
    for path in [
        "/srv/data/a: b",
        "/srv/data/#x",
        "/srv/data/ü",
        "/srv/data/it's",
        "/srv/data/\"q\"",
        "/srv/data/a,b [c]",
        "/srv/data/- x ",
    ] {
        let deed = Deed::FileRead { path: path.into() };
        let suggestion = set.suggest(&[(deed.clone(), set.verdict(&deed))]);
        let lifted = crate::support::set(&suggestion.yaml);
        assert_eq!(lifted.decide(&deed).effect(), Effect::Allow, "{path}: {}", suggestion.yaml);
    }
}

fn lint(yaml: &str, expect: Expect) {
    let warnings: Vec<String> = set(yaml).lint().iter().map(ToString::to_string).collect();
    expect.assert_eq(&warnings.join("\n"));
}

#[test]
fn warnings_name_what_is_hardly_meant() {
    lint(
        "files: { write: [~/**], default: allow }",
        expect![[r#"
        my.yaml:2:18: `~/**` makes the whole home writable, and with it what programs outside the box run at login; name directories
        my.yaml:2:34: `default: allow` lets every file be read that no rule denies; list what is needed in `read`"#]],
    );
    lint(
        "files: { read: [/usr/**, /usr/share/**] }",
        expect![
            "my.yaml:2:17: `/usr/**` holds programs and libraries: in `programs` it is readable just the same, and isn't searched whenever a box starts"
        ],
    );
    lint(
        "files: { write: [./**], ask: [~/notes/**, '**/x'] }",
        expect![
            "my.yaml:2:31: `~/notes/**` lies outside everything writable; `ask` holds back, it doesn't grant: add it to `write` as well"
        ],
    );
    lint(
        "net: { allow: [a.org, a.org, { host: b.org, http: [{ method: GET }] }, '*', '0.0.0.0/0', 'c.org:*'] }",
        expect![[r#"
            my.yaml:2:23: `a.org` stands already at my.yaml:2
            my.yaml:2:30: the `http` list of `b.org` has no effect: `*` (my.yaml:2) lets every request through
            my.yaml:2:72: `*` reaches every host; name the hosts, or write `default: ask`
            my.yaml:2:77: `0.0.0.0/0` reaches every host; name the hosts, or write `default: ask`
            my.yaml:2:90: `c.org:*` opens every port; name the ports"#]],
    );
    lint(
        "net: { allow: [x.a.org, { host: y.org, ports: [80], http: [{ method: GET }] }, y.org], deny: ['*.a.org'] }",
        expect![[r#"
            my.yaml:2:16: `x.a.org` never applies: `*.a.org` (my.yaml:2) is stricter and matches all of it
            my.yaml:2:25: the `http` list of `y.org:80` has no effect: `y.org` (my.yaml:2) lets every request through"#]],
    );
    lint(
        "exec: { allow: ['*', 'git push'], ask: [git] }",
        expect![[r#"
        my.yaml:2:17: `*` lets every program start; write `default: allow` if that is meant
        my.yaml:2:22: `git push` never applies: `git` (my.yaml:2) is stricter and matches all of it"#]],
    );
    lint(
        "env: { pass: ['*'] }\ntools: { allow: [{ server: '*' }] }\nsecrets: { allow: ['*'] }",
        expect![[r#"
        my.yaml:3:18: every tool of every server may be called; name the servers
        my.yaml:4:20: every secret may be used; name them
        my.yaml:2:15: every variable is passed in, also those that hold tokens; name them"#]],
    );
    let project =
        narrowed("", "env: { set: { A: b } }\nnet: { resolver: 1.1.1.1, allow: [{ host: a.org, private: true }] }")
            .lint();
    expect![[r#"
        bartizan.yaml:2:18: a project's policy only narrows; `env.set` counts only in the user's
        bartizan.yaml:3:35: a project's policy only narrows; `address` and `private` count only in the user's
        bartizan.yaml:3:18: a project's policy only narrows; `resolver` counts only in the user's"#]]
    .assert_eq(&project.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn warnings_are_over_what_the_user_wrote() {
    lint(
        "extends: coding_assistant\nnet: { deny: [github.com], allow: [transfer.sh] }",
        expect![
            "my.yaml:3:36: `transfer.sh` never applies: `transfer.sh` (builtin:coding_assistant:115) is stricter and matches all of it"
        ],
    );
}

#[test]
fn a_careful_policy_has_no_warnings() {
    lint(
        "files: { programs: [/usr/**], write: [./**], ask: ['**/.git/config', ./ci/**] }\nexec: { allow: [git], ask: ['git push **'] }\nnet: { allow: [a.org, { host: b.org, ports: [80], http: [{ method: GET }] }], deny: ['c.org:25'] }",
        expect![""],
    );
}

#[test]
fn tests_beside_a_policy_say_what_failed() {
    let set = narrowed(
        "net: { allow: [a.org] }\ntests:\n  - allow: connect a.org:443\n  - deny: connect a.org:443\n  - { deny: 'connect b.org:443', rule: net.default }\n  - { deny: 'connect b.org:443', rule: 'net.deny[0]' }",
        "net: { deny: [a.org] }\ntests:\n  - deny: connect a.org:443",
    );
    let results: Vec<String> = set
        .run_tests()
        .iter()
        .map(|result| format!("{} {}: {}", result.place, result.action, result.problem.as_deref().unwrap_or("holds")))
        .collect();
    expect![[r#"
        my.yaml:4:12 connect a.org:443: holds
        my.yaml:5:11 connect a.org:443: expected deny, found allow by `net.allow[0]` (my.yaml:2)
        my.yaml:6:13 connect b.org:443: holds
        my.yaml:7:13 connect b.org:443: expected the rule `net.deny[0]` to decide, found `net.default`
        bartizan.yaml:4:11 connect a.org:443: holds"#]]
    .assert_eq(&results.join("\n"));
}

#[test]
fn actions_in_words_are_read_or_refused() {
    let context = context();
    for good in [
        "connect [::1]:443",
        "http GET https://[::1]:8443/x?y=z",
        "http PUT http://a.b",
        "exec ls",
        "dns a.b AAAA",
        "file.read ~",
        "net.connect a:1",
    ] {
        assert!(parse_case(good, &context).is_ok(), "{good}");
    }
    for bad in [
        "",
        "connect a",
        "connect a:70000",
        "http GET a.b",
        "http https://a.b/",
        "http GET ftp://a/",
        "http GET https://u@h/",
        "file.read x",
        "tool x",
        "secret",
        "exec",
        "fle.read /x",
    ] {
        assert!(parse_case(bad, &context).is_err(), "{bad}");
    }
    expect!["`fle.read /x` is no action; did you mean `file.read`?; write one such as `file.read ~/notes.txt`, `file.write ./x`, `exec git push origin`, `connect example.com:443`, `dns example.com`, `http GET https://example.com/x`, `tool server/name`, `secret NAME`, `content retrieved https://example.com words`, `model openai/gpt-5`, `message email/bob@example.com words`, `browser click https://example.com/cart Pay`, `computer type`"].assert_eq(&parse_case("fle.read /x", &context).unwrap_err().to_string());
}

#[test]
fn warns_of_what_never_applies_and_of_what_nobody_needs() {
    let lint = |yaml: &str| set(yaml).lint().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(lint("flow: [{ when: { read: untrusted }, ask: [exec] }]"), "");
    expect![
        "my.yaml:2:8: this never holds: nothing in `labels` gives the label `internal:a`; add it under `labels.data`"
    ]
    .assert_eq(&lint("flow: [{ when: { read: internal:a }, ask: [exec] }]"));
    assert_eq!(
        lint(
            "flow: [{ when: { read: internal:a }, ask: [exec] }]\nlabels: { data: [{ label: internal:a, files: [~/a] }] }"
        ),
        ""
    );
    expect!["my.yaml:2:8: `exec` stands in `ask` and in `deny`, which wins; leave it out of `ask`"]
        .assert_eq(&lint("flow: [{ when: { read: secret }, ask: [exec], deny: [exec] }]"));
    expect!["my.yaml:2:19: `openai/gpt-5` never applies: `openai/*` (my.yaml:2) is stricter and matches all of it"]
        .assert_eq(&lint("models: { allow: [openai/gpt-5, other/x], deny: ['openai/*'] }"));
    expect!["my.yaml:2:17: `~/.ssh/config` never applies: `deny` hides all of it"]
        .assert_eq(&lint("files: { read: [~/.ssh/config, ~/notes/**], deny: [~/.ssh] }"));
    let tools = "tools: { allow: [{ server: github, name: 'get_*' }, { server: github, name: merge }] }";
    assert_eq!(lint(tools), "");
    expect!["my.yaml:2:18: `github/get_*` grants more than any case needs: no case is decided by it; name what is meant, or add a case"]
        .assert_eq(&lint(&format!("{tools}\ntests: [{{ allow: tool github/merge }}]")));
    assert_eq!(lint(&format!("{tools}\ntests: [{{ allow: tool github/get_x }}]")), "");
}

#[test]
fn cases_say_what_was_seen_and_read_and_rules_are_counted() {
    let set = set("
exec: { default: allow }
content: { secret: deny, personal: ask, allow: [{ kind: email, to: 'email/*' }] }
messages: { default: allow, deny: ['*/eve@*'] }
prompts: { default: allow, tool: { ask: 60, deny: 90 } }
flow: [{ when: { read: untrusted }, ask: [exec] }]
tests:
  - allow: message email/bob@example.com hello
  - deny: message email/bob@example.com hello
    seen: secret:github-token
    rule: content.secret
  - allow: message email/bob@example.com hello
    seen: personal:email
  - ask: message email/bob@example.com hello
    seen: [personal:email, personal:iban 80]
    rule: content.personal
  - deny: message email/eve@example.com
  - allow: content tool docs.test words
    seen: injection 59
  - ask: content tool docs.test words
    seen: injection 60
    rule: prompts.tool.ask
  - deny: content tool docs.test words
    seen: injection:override 95
  - allow: exec make
  - ask: exec make
    read: [untrusted]
    rule: flow[0]
");
    let results = set.run_tests();
    for result in &results {
        assert!(result.passed(), "{}: {:?}", result.action, result.problem);
    }
    let coverage: Vec<_> =
        set.coverage(&results).into_iter().map(|covered| (covered.rule.rule, covered.cases)).collect();
    assert_eq!(coverage, [("messages.deny[0]".to_owned(), 1), ("flow[0]".to_owned(), 1)]);
}

#[test]
fn budgets_and_flow_say_what_they_do() {
    let set = set(
        "budgets: { session: { requests: 5, time: 2h }, over: ask }\nflow: [{ when: { read: untrusted }, ask: [exec, net] }]",
    );
    let lines: Vec<String> = set.explain().layers.into_iter().flat_map(|layer| layer.lines).collect();
    for line in [
        "budgets: budgets.session.requests: at most 5",
        "budgets: budgets.session.time: at most 2h",
        "budgets: what would go over: ask",
        "flow: flow[0]: when data labelled untrusted was read, asks a person for 2 kinds of action",
    ] {
        assert!(lines.iter().any(|told| told == line), "{line}: {lines:#?}");
    }
}

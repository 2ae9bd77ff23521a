//! Decisions, each allow beside its nearest deny.

use bartizan_model::Deed;
use expect_test::{Expect, expect};

use crate::support::{narrowed, set, verdict};

const POLICY: &str = "files:
  read: [/usr/**, ~/notes/**, /etc/hosts]
  write: [./**]
  ask: ['**/.git/config']
  protect: ['**/.git/hooks/**']
  deny: ['**/.env', '**/.env.*', '!**/.env.example', ~/.ssh/**]
exec:
  default: ask
  allow: [git, 'npm run *', /usr/bin/*, 'make test']
  ask: ['git ** push **']
  deny: [sudo, 'git push --force *']
net:
  allow:
    - api.github.com
    - 'example.com:8080'
    - '*.allowed.com'
    - { host: intern.example.net, private: true }
    - { host: pinned.example.net, address: 10.1.2.3, ports: [80, 8000-8010] }
    - { host: http.example.net, http: [{ method: GET }, { method: [POST, PUT], path: '/repos/me/**' }] }
    - 93.184.216.34
    - 10.20.0.0/16
  ask: ['*.asked.com', { host: slow.example.net, http: [{ method: DELETE }] }]
  deny: [bad.allowed.com, { host: api.github.com, http: [{ method: DELETE, path: /repos/** }] }]
tools:
  allow: [{ server: github, name: 'get_*' }, { server: local }]
  ask: [{ server: github, name: 'delete_*' }]
secrets: { allow: ['GITHUB_*'], deny: [GITHUB_ADMIN] }
";

fn check(action: &str, expect: Expect) {
    expect.assert_eq(&verdict(&set(POLICY), action));
}

#[test]
fn names_restrict_everywhere_but_in_trees_of_programs() {
    const PROGRAMS: &str = "
files:
  read: [~/src/**]
  programs: [~/.cargo/**, ./bin/**]
  write: [./**]
  deny: ['**/.env', ~/.cargo/credentials.toml, '~/.cargo/*/token']
";
    let check = |action: &str, expect: Expect| expect.assert_eq(&verdict(&set(PROGRAMS), action));
    check("file.read ~/src/x/.env", expect!["deny files.deny[0] my.yaml:7"]);
    check("file.read ~/.cargo/registry/x/.env", expect!["allow files.programs[0] my.yaml:5"]);
    check("file.write ~/.cargo/registry/x", expect!["deny files.programs[0] my.yaml:5"]);
    check("file.read ~/.cargo/credentials.toml", expect!["deny files.deny[1] my.yaml:7"]);
    check("file.read ~/.cargo/registry/token", expect!["deny files.deny[2] my.yaml:7"]);
    // What may be written is never taken as it is.
    check("file.read ./bin/.env", expect!["deny files.deny[0] my.yaml:7"]);
}

#[test]
fn files_are_granted_by_tree() {
    check("file.read /usr/bin/env", expect!["allow files.read[0] my.yaml:3"]);
    check("file.write /usr/bin/env", expect!["deny files.read[0] my.yaml:3"]);
    check("file.read /usrx", expect!["deny files.default"]);
    check("file.read /etc/hosts", expect!["allow files.read[2] my.yaml:3"]);
    check("file.read /etc/passwd", expect!["deny files.default"]);
    check("file.write ./src/main.rs", expect!["allow files.write[0] my.yaml:4"]);
    check("file.write ./../other/main.rs", expect!["deny files.default"]);
    check("file.read ~/notes/../.ssh/id_rsa", expect!["deny files.deny[3] my.yaml:7"]);
}

#[test]
fn files_are_held_back_by_name() {
    check("file.read ./.env", expect!["deny files.deny[0] my.yaml:7"]);
    check("file.read ./a/.ENV.local", expect!["deny files.deny[1] my.yaml:7"]);
    check("file.read ./.env.example", expect!["allow files.write[0] my.yaml:4"]);
    check("file.read ./.envrc", expect!["allow files.write[0] my.yaml:4"]);
    check("file.write ./.git/config", expect!["ask files.ask[0] my.yaml:5"]);
    check("file.read ./.git/config", expect!["allow files.write[0] my.yaml:4"]);
    check("file.write ./vendor/x/.git/hooks/pre-commit", expect!["deny files.protect[0] my.yaml:6"]);
    check("file.write ./.Git/HOOKS/pre-commit", expect!["deny files.protect[0] my.yaml:6"]);
    check("file.write /usr/x/.git/config", expect!["deny files.read[0] my.yaml:3"]);
    check("file.write ./bartizan.yaml", expect!["deny control.policy"]);
    check("file.read ~/.bartizan/config.yaml", expect!["deny control.home"]);
}

#[test]
fn what_brings_content_is_held_by_what_it_could_bring() {
    let set = set(POLICY);
    let write = |path: &str, operation: &str| {
        let deed =
            Deed::FileWrite { path: format!("/home/me/work/{path}"), operation: Some(operation.into()), content: None };
        let verdict = set.verdict(&deed);
        format!("{} {}", verdict.effect.as_str(), verdict.rule.rule)
    };
    assert_eq!(write("sub/.git", "mkdir"), "allow files.write[0]");
    for operation in ["rename", "symlink", "create", "link", "anything"] {
        assert_eq!(write("sub/.git", operation), "deny files.protect[0]", "{operation}");
        assert_eq!(write("sub/x", operation), "allow files.write[0]", "{operation}");
    }
}

#[test]
fn programs_match_by_name_path_and_arguments() {
    check("exec git status", expect!["allow exec.allow[0] my.yaml:10"]);
    check("exec git push origin", expect!["ask exec.ask[0] my.yaml:11"]);
    check("exec git -C x push", expect!["ask exec.ask[0] my.yaml:11"]);
    check("exec git push --force origin", expect!["deny exec.deny[1] my.yaml:12"]);
    check("exec npm run build --verbose", expect!["allow exec.allow[1] my.yaml:10"]);
    check("exec npm install x", expect!["ask exec.default my.yaml:9"]);
    check("exec make test", expect!["allow exec.allow[3] my.yaml:10"]);
    check("exec make test all", expect!["ask exec.default my.yaml:9"]);
    check("exec /usr/bin/true", expect!["allow exec.allow[2] my.yaml:10"]);
    check("exec /usr/bin/../sbin/true", expect!["ask exec.default my.yaml:9"]);
    check("exec /tmp/sudo ls", expect!["deny exec.deny[0] my.yaml:12"]);
}

#[test]
fn hosts_match_exactly() {
    check("connect api.github.com:443", expect![[r#"allow net.allow[0] my.yaml:15 {"obligation":"inspect_http"}"#]]);
    check("connect API.GitHub.com.:443", expect![[r#"allow net.allow[0] my.yaml:15 {"obligation":"inspect_http"}"#]]);
    check("connect api.github.com:22", expect!["deny net.default"]);
    check("connect api.github.com.evil.net:443", expect!["deny net.default"]);
    check("connect example.com:8080", expect!["allow net.allow[1] my.yaml:16"]);
    check("connect example.com:443", expect!["deny net.default"]);
    check("connect a.b.allowed.com:443", expect!["allow net.allow[2] my.yaml:17"]);
    check("connect allowed.com:443", expect!["deny net.default"]);
    check("connect evilallowed.com:443", expect!["deny net.default"]);
    check("connect bad.allowed.com:8443", expect!["deny net.deny[0] my.yaml:24"]);
    check("connect x.asked.com:443", expect!["ask net.ask[0] my.yaml:23"]);
    check("connect аpi.github.com:443", expect!["deny net.default"]);
}

#[test]
fn addresses_have_to_be_named() {
    check("connect 93.184.216.34:443", expect!["allow net.allow[6] my.yaml:21"]);
    check("connect 93.184.216.35:443", expect!["deny net.default"]);
    check(
        "connect 10.20.3.4:443",
        expect![[
            r#"allow net.allow[7] my.yaml:22 {"obligation":"dial_address","address":"10.20.3.4"} {"obligation":"allow_private"}"#
        ]],
    );
    check("connect 10.21.3.4:443", expect!["deny egress.private"]);
    check("connect 169.254.169.254:80", expect!["deny egress.metadata"]);
    check("connect 2852039166:80", expect!["deny egress.metadata"]);
    check("connect [::ffff:169.254.169.254]:80", expect!["deny egress.metadata"]);
    check("connect 0x7f.1:80", expect!["deny egress.loopback"]);
    check("connect [::1]:80", expect!["deny egress.loopback"]);
}

#[test]
fn rules_carry_duties() {
    check(
        "connect intern.example.net:80",
        expect![[r#"allow net.allow[3] my.yaml:18 {"obligation":"allow_private"}"#]],
    );
    check(
        "connect pinned.example.net:8005",
        expect![[
            r#"allow net.allow[4] my.yaml:19 {"obligation":"dial_address","address":"10.1.2.3"} {"obligation":"allow_private"}"#
        ]],
    );
    check("connect pinned.example.net:443", expect!["deny net.default"]);
    check("connect http.example.net:80", expect![[r#"allow net.allow[5] my.yaml:20 {"obligation":"inspect_http"}"#]]);
}

#[test]
fn requests_match_method_and_path() {
    check(
        "http GET http://http.example.net/x",
        expect![[r#"allow net.allow[5] my.yaml:20 {"obligation":"inspect_http"}"#]],
    );
    check(
        "http POST http://http.example.net/repos/me/x",
        expect![[r#"allow net.allow[5] my.yaml:20 {"obligation":"inspect_http"}"#]],
    );
    check("http POST http://http.example.net/repos/you/x", expect!["deny net.allow[5].http my.yaml:20"]);
    check("http POST http://http.example.net/repos/me/..%2fyou", expect!["deny net.allow[5].http my.yaml:20"]);
    check(
        "http PUT https://api.github.com/x",
        expect![[r#"allow net.allow[0] my.yaml:15 {"obligation":"inspect_http"}"#]],
    );
    check("http DELETE https://api.github.com/repos/me", expect!["deny net.deny[1] my.yaml:24"]);
    check("http DELETE https://api.github.com/x/../repos/me", expect!["deny net.deny[1] my.yaml:24"]);
    check(
        "http DELETE http://slow.example.net/x",
        expect![[r#"ask net.ask[1] my.yaml:23 {"obligation":"inspect_http"}"#]],
    );
    check("http GET http://slow.example.net/x", expect!["deny net.default"]);
    check("http GET http://169.254.169.254/latest/meta-data", expect!["deny egress.metadata"]);
}

#[test]
fn names_resolve_when_something_could_reach_them() {
    check("dns api.github.com", expect!["allow net.allow[0] my.yaml:15"]);
    check("dns api.github.com AAAA", expect!["allow net.allow[0] my.yaml:15"]);
    check("dns api.github.com TXT", expect!["deny dns.record_type"]);
    check("dns example.com", expect!["allow net.allow[1] my.yaml:16"]);
    check("dns x.asked.com", expect!["allow net.ask[0] my.yaml:23"]);
    check("dns bad.allowed.com", expect!["deny net.deny[0] my.yaml:24"]);
    check("dns secret-data.evil.net", expect!["deny net.default"]);
    check("dns 127.0.0.1", expect!["deny dns.name"]);
}

#[test]
fn tools_and_secrets_match_by_name() {
    check("tool github/get_issue", expect!["allow tools.allow[0] my.yaml:26"]);
    check("tool github/delete_repo", expect!["ask tools.ask[0] my.yaml:27"]);
    check("tool github/create_issue", expect!["deny tools.default"]);
    check("tool local/anything", expect!["allow tools.allow[1] my.yaml:26"]);
    check("tool githubx/get_issue", expect!["deny tools.default"]);
    check("secret GITHUB_TOKEN", expect!["allow secrets.allow[0] my.yaml:28"]);
    check("secret GITHUB_ADMIN", expect!["deny secrets.deny[0] my.yaml:28"]);
    check("secret AWS_KEY", expect!["deny secrets.default"]);
}

#[test]
fn nothing_said_is_everything_denied() {
    let nothing = set("");
    for action in ["file.read /etc/hosts", "exec true", "connect a.b:80", "dns a.b", "tool a/b", "secret A"] {
        assert!(verdict(&nothing, action).starts_with("deny "), "{action}");
    }
    let empty = set("net: { allow: [] }");
    assert_eq!(verdict(&empty, "connect a.b:443"), "deny net.default");
}

#[test]
fn defaults_decide_what_no_rule_does() {
    let open = set("net: { default: allow, deny: ['*.evil.com'] }\nfiles: { default: allow, deny: [~/.ssh] }");
    assert_eq!(verdict(&open, "connect example.org:9999"), "allow net.default my.yaml:2");
    assert_eq!(verdict(&open, "connect x.evil.com:9999"), "deny net.deny[0] my.yaml:2");
    assert_eq!(verdict(&open, "connect 192.168.1.1:80"), "deny egress.private");
    assert_eq!(verdict(&open, "dns example.org"), "allow net.default my.yaml:2");
    assert_eq!(verdict(&open, "file.write ~/.ssh/id"), "deny files.deny[0] my.yaml:3");
    let asking = set("net: { default: ask }");
    assert_eq!(verdict(&asking, "connect example.org:22"), "ask net.default my.yaml:2");
    assert_eq!(verdict(&asking, "dns example.org"), "allow net.default my.yaml:2");
}

#[test]
fn the_most_specific_rule_is_named() {
    let policy =
        set("net: { allow: ['*', '*.example.com', a.example.com], deny: ['*.example.com:22', 'a.example.com:22'] }");
    assert_eq!(verdict(&policy, "connect a.example.com:443"), "allow net.allow[2] my.yaml:2");
    assert_eq!(verdict(&policy, "connect b.example.com:443"), "allow net.allow[1] my.yaml:2");
    assert_eq!(verdict(&policy, "connect c.org:443"), "allow net.allow[0] my.yaml:2");
    assert_eq!(verdict(&policy, "connect a.example.com:22"), "deny net.deny[1] my.yaml:2");
}

#[test]
fn a_project_only_narrows() {
    let user = "files: { read: [/usr/**], write: [./**] }\nnet: { default: ask, allow: [a.org, b.org] }\nexec: { default: allow }";
    let restricting = narrowed(user, "files: { deny: [./secrets/**] }\nnet: { deny: [b.org] }");
    assert_eq!(verdict(&restricting, "file.read ./secrets/x"), "deny files.deny[0] bartizan.yaml:2");
    assert_eq!(verdict(&restricting, "file.write ./x"), "allow files.write[0] my.yaml:2");
    assert_eq!(verdict(&restricting, "connect b.org:443"), "deny net.deny[0] bartizan.yaml:3");
    assert_eq!(verdict(&restricting, "connect a.org:443"), "allow net.allow[0] my.yaml:3");
    assert_eq!(verdict(&restricting, "connect c.org:443"), "ask net.default my.yaml:3");
    assert_eq!(verdict(&restricting, "exec anything"), "allow exec.default my.yaml:4");

    let granting = narrowed(
        user,
        "net: { default: allow, allow: [c.org, 169.254.169.254, { host: a.org, address: 6.6.6.6, private: true }] }\nfiles: { default: allow }",
    );
    assert_eq!(verdict(&granting, "connect c.org:443"), "ask net.default my.yaml:3");
    assert_eq!(verdict(&granting, "connect a.org:443"), "allow net.allow[0] my.yaml:3");
    assert_eq!(verdict(&granting, "connect 169.254.169.254:80"), "deny egress.metadata");
    assert_eq!(verdict(&granting, "file.read ~/.ssh/id_rsa"), "deny files.default");

    let listing = narrowed(user, "net: { allow: [a.org] }\nfiles: { write: [./src/**] }");
    assert_eq!(verdict(&listing, "connect b.org:443"), "deny net.default bartizan.yaml:2");
    assert_eq!(verdict(&listing, "file.write ./x"), "deny files.default bartizan.yaml:3");
    assert_eq!(verdict(&listing, "file.read /usr/x"), "allow files.read[0] my.yaml:2");
    assert_eq!(verdict(&listing, "file.write ./src/x"), "allow files.write[0] my.yaml:2");
}

#[test]
fn a_set_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<bartizan_policy::PolicySet>();
}

#[test]
fn a_host_of_models_is_inspected_and_its_protocol_told() {
    use bartizan_model::{LlmApi, Obligation};
    let set = crate::support::set(
        "llm: { tool_calls: true }\nmodels: { default: allow }\nnet: { allow: [{ host: api.test, llm: anthropic }, plain.test] }",
    );
    let obligations = |case: &str| {
        let deed = bartizan_policy::parse_case(case, set.context()).unwrap();
        set.verdict(&deed).obligations
    };
    let reads = Obligation::ReadLlm { api: LlmApi::Anthropic };
    for case in ["connect api.test:443", "http POST https://api.test/v1/messages"] {
        let found = obligations(case);
        assert!(found.contains(&reads) && found.contains(&Obligation::InspectHttp), "{case}: {found:?}");
    }
    assert_eq!(obligations("connect plain.test:443"), []);
    assert_eq!(obligations("model anthropic/claude hello"), [Obligation::DecideToolCalls]);
}

//! Granted scopes: what is named is as the policy has it, everything else is denied.

use bartizan_model::Scope;
use bartizan_policy::{BuiltinsOnly, Policy, PolicySet, granted};

use crate::support::{context, load, verdict};

const OPEN: &str = "
files: { default: allow }
exec: { default: allow }
net: { default: allow }
secrets: { default: allow }
models: { default: allow }
messages: { default: allow }
tools: { default: allow }
browser: { default: allow }
";

fn narrowed_to(user: &str, scopes: &[&str]) -> PolicySet {
    let scopes: Vec<Scope> = scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
    let narrowing = Policy::load(&granted(&scopes).unwrap(), &BuiltinsOnly).unwrap_or_else(|errors| panic!("{errors}"));
    PolicySet::new(load(user), Some(narrowing), context()).unwrap()
}

fn effect(set: &PolicySet, action: &str) -> String {
    verdict(set, action).split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn a_scope_grants_what_it_names_and_nothing_else() {
    for (scope, allowed, denied) in [
        ("files.read:/data", "file.read /data/a/b", "file.read /database"),
        ("files.read:/data", "file.read /data", "file.write /data/a"),
        ("files.read:./src", "file.read ./src/main.rs", "file.read ./Cargo.toml"),
        ("files.read:~/notes", "file.read ~/notes/a", "file.read ~/other"),
        ("files.write:.", "file.write ./a", "file.write ~/a"),
        ("files.write:./out", "file.read ./out/a", "file.read ./in/a"),
        ("files.read", "file.read /anything", "file.write /anything"),
        ("shell.exec:git", "exec git status", "exec cargo build"),
        ("shell.exec:git", "exec git -C /x log", "exec sh -c id"),
        ("shell.exec", "exec anything at all", "connect a.com:443"),
        ("net.outbound:api.github.com", "connect api.github.com:443", "connect github.com:443"),
        ("net.outbound:*.example.com", "connect a.example.com:443", "connect example.org:443"),
        ("net.outbound:a.com:8443", "connect a.com:8443", "connect a.com:443"),
        ("net.outbound", "connect a.com:443", "exec git status"),
        ("http.request:a.com", "connect a.com:80", "connect a.com:22"),
        ("net.internal:redis:6379", "connect redis:6379", "connect redis:6380"),
        ("secrets.access:GITHUB_TOKEN", "secret GITHUB_TOKEN", "secret AWS_KEY"),
        ("email.send:bob@a.com", "message email/bob@a.com", "message email/eve@a.com"),
        ("email.send", "message email/eve@a.com", "message slack/general"),
        ("llm.request:anthropic", "model anthropic/claude", "model openai/gpt"),
        ("tools.call:github/get_*", "tool github/get_issue", "tool github/delete_repo"),
    ] {
        let set = narrowed_to(OPEN, &[scope]);
        assert_eq!(effect(&set, allowed), "allow", "{scope}: {allowed}");
        let denial = verdict(&set, denied);
        assert!(denial.starts_with("deny") && denial.contains("granted scopes"), "{scope}: {denied}: {denial}");
    }
}

#[test]
fn a_grant_gives_no_more_than_the_policy() {
    let user = "net: { default: deny, ask: [a.com] }\nexec: { default: allow, deny: [git push **] }";
    let set = narrowed_to(user, &["net.outbound", "shell.exec:git"]);
    assert_eq!(effect(&set, "connect a.com:443"), "ask");
    assert_eq!(effect(&set, "connect b.com:443"), "deny");
    assert_eq!(effect(&set, "exec git push origin"), "deny");
    assert_eq!(effect(&set, "exec git status"), "allow");
    // Nobody may reach these, whatever is granted.
    assert_eq!(effect(&narrowed_to(OPEN, &["net.outbound:169.254.169.254"]), "connect 169.254.169.254:80"), "deny");
    assert_eq!(effect(&narrowed_to(OPEN, &["files.write:~/.bartizan"]), "file.write ~/.bartizan/config.yaml"), "deny");
}

#[test]
fn several_scopes_add_up() {
    let set = narrowed_to(OPEN, &["shell.exec:git", "shell.exec:cargo", "net.outbound:crates.io", "files.write:."]);
    for allowed in ["exec git status", "exec cargo build", "connect crates.io:443", "file.write ./target/x"] {
        assert_eq!(effect(&set, allowed), "allow", "{allowed}");
    }
    for denied in ["exec npm i", "connect npmjs.org:443", "file.write /etc/x", "tool a/b", "secret K"] {
        assert_eq!(effect(&set, denied), "deny", "{denied}");
    }
}

#[test]
fn what_no_action_needs_is_refused() {
    for scope in ["email.read", "calendar.read:work"] {
        let error = granted(&[Scope::parse(scope).unwrap()]).unwrap_err();
        assert!(error.contains(scope) && error.contains("tools.call"), "{error}");
    }
}

#[test]
fn a_scope_stays_one_entry() {
    for scope in
        ["tools.call:a/\"],allow:[\"b/*", "shell.exec:git\"]", "net.outbound:a.com\",\"b.com", "secrets.access:#"]
    {
        let scopes = [Scope::parse(scope).unwrap()];
        // Refused as a pattern, or a pattern that matches nothing else.
        let Ok(narrowing) = Policy::load(&granted(&scopes).unwrap(), &BuiltinsOnly) else { continue };
        let set = PolicySet::new(load(OPEN), Some(narrowing), context()).unwrap();
        for other in ["tool b/x", "exec git status", "connect b.com:443", "secret K"] {
            assert_eq!(effect(&set, other), "deny", "{scope}: {other}");
        }
    }
}

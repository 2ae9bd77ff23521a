//! AegisClaw's example manifests and Rego templates.

use std::path::Path;

use bartizan_import::Fate;
use bartizan_import::aegisclaw::{Kind, adapt, import_auth, import_config, import_manifest};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source, parse_case};

const SKILLS: [(&str, &str); 3] = [
    ("code-runner", include_str!("fixtures/aegisclaw/code-runner.yaml")),
    ("file-organiser", include_str!("fixtures/aegisclaw/file-organiser.yaml")),
    ("git-stats", include_str!("fixtures/aegisclaw/git-stats.yaml")),
];

fn set(policy: &str) -> PolicySet {
    let policy = Policy::load(&Source::new("imported", policy), &BuiltinsOnly)
        .unwrap_or_else(|errors| panic!("{errors}\n{policy}"));
    PolicySet::new(policy, None, Context::new(Path::new("/home/user"), Path::new("/workspace")).unwrap()).unwrap()
}

fn check(set: &PolicySet, action: &str, expected: &str) {
    let deed = parse_case(action, set.context()).unwrap();
    assert_eq!(set.decide(&deed).effect().as_str(), expected, "{action}");
}

#[test]
fn manifests_grant_their_scopes_and_no_more() {
    for (name, text) in SKILLS {
        let imported = import_manifest(text.as_bytes(), &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(Kind::of("skill.yaml", text.as_bytes()), Some(Kind::Manifest));
        let set = set(&imported.policy);
        check(&set, "file.read /workspace/a", "allow");
        check(&set, "file.read /home/user/.ssh/id_rsa", "deny");
        check(&set, "connect example.com:443", "deny");
        check(&set, "file.write /etc/x", "deny");
        let writes = if name == "file-organiser" { "allow" } else { "deny" };
        check(&set, "file.write /workspace/a", writes);
        check(&set, "file.write /workspace/../etc/x", "deny");
    }
    let runner = set(&import_manifest(SKILLS[0].1.as_bytes(), &[]).unwrap().policy);
    check(&runner, "file.write /workspace/output/x", "allow");
    check(&runner, "exec python3 /app/runner.py --once", "allow");
    check(&runner, "exec python3 /tmp/other.py", "ask");
}

#[test]
fn unknown_scopes_are_refused() {
    let with = |scope: &str| import_manifest(format!("name: x\nscopes: ['{scope}']\n").as_bytes(), &[]);
    assert!(with("files.read:/x").is_ok() && with("net.outbound:api.example.com").is_ok());
    let error = with("files.reed:/x").unwrap_err().to_string();
    assert!(error.contains("files.reed") && error.contains("files.read"), "{error}");
    assert!(with("files.read:/x/../..").is_err() && with("admin").is_err());
    assert!(import_manifest(b"name: x\nscoops: []\n", &[]).is_err());
    let imported = with("files.write").unwrap();
    assert_eq!(imported.report.count(Fate::Stricter), 1);
}

#[test]
fn settings_become_a_policy() {
    let text = "security: { sandbox_backend: docker, require_approval: true, audit_enabled: false }\n\
        network: { default_deny: true, allowlist: [api.example.com, '*'] }\nguardrails: { mode: block }\n";
    assert_eq!(Kind::of("config.yaml", text.as_bytes()), Some(Kind::Config));
    let imported = import_config(text.as_bytes()).unwrap();
    let set = set(&imported.policy);
    check(&set, "connect api.example.com:443", "allow");
    check(&set, "connect other.example.com:443", "deny");
    let part = |name: &str| imported.report.notes.iter().find(|note| note.part.contains(name)).map(|note| note.fate);
    assert_eq!(part("audit_enabled"), Some(Fate::Stricter));
    assert_eq!(part("allowlist `*`"), Some(Fate::Stricter));
    assert_eq!(part("sandbox_backend"), Some(Fate::NoEquivalent));
    assert!(import_config(b"network: { alowlist: [] }\n").is_err());
    let auth = import_auth(b"enabled: true\nkeys: [{ name: ci, token: SECRETVALUE, role: admin }]\n").unwrap();
    assert!(auth.policy.is_empty() && auth.report.count(Fate::NoEquivalent) == 1);
    assert!(!serde_json::to_string(&auth.report).unwrap().contains("SECRETVALUE"));
}

#[test]
fn templates_are_rewritten() {
    for text in [
        include_str!("fixtures/aegisclaw/strict.rego"),
        include_str!("fixtures/aegisclaw/standard.rego"),
        include_str!("fixtures/aegisclaw/permissive.rego"),
        include_str!("fixtures/aegisclaw/policy.rego"),
    ] {
        let mut report = bartizan_import::Report::default();
        let module = adapt(text.as_bytes(), &mut report).unwrap();
        assert!(
            module.contains("package bartizan\n")
                && !module.contains("input.scope")
                && report.count(Fate::Converted) == 1
        );
    }
}

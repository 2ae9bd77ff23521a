//! AegisClaw's example manifests and Rego templates.

use std::path::Path;

use bartizan_import::Fate;
use bartizan_import::aegisclaw::{Kind, adapt, import_auth, import_config, import_manifest};
use bartizan_policy::{BuiltinsOnly, Context, Loader, Policy, PolicySet, Source, parse_case};

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

/// Gives one module, whatever it is called.
struct One(String);

impl Loader for One {
    fn file(&self, reference: &str, _: &str) -> Result<Source, String> {
        Ok(Source::new(reference, self.0.as_str()))
    }
}

/// Everything the templates look at is allowed, so that what holds it back is the module.
const OPEN: &str = "bartizan: 1
files: { read: [/tmp/**, /etc/hosts], write: [/tmp/**] }
exec: { default: allow }
net: { default: allow }
secrets: { default: allow }
messages: { default: allow }
rego: [./imported.rego]
";

/// What each published template says of the scope that an action would have needed, as OPA decides it; `require_approval`
/// is `ask`. The standard one contradicts itself over `shell.exec`, which is an error there and a refusal here.
#[test]
fn templates_decide_as_they_did() {
    let actions = [
        "file.read /tmp/a",
        "file.read /etc/hosts",
        "file.read /tmp/../etc/hosts",
        "file.write /tmp/a",
        "exec /usr/bin/ls",
        "http GET http://a.test/x",
        "connect a.test:443",
        "secret k",
        "message email/a@b.c hello",
        "message chat/a hello",
    ];
    for (name, text, expected) in [
        ("strict", include_str!("fixtures/aegisclaw/strict.rego"), "ask ask ask ask ask ask ask ask ask allow"),
        ("standard", include_str!("fixtures/aegisclaw/standard.rego"), "allow ask ask ask deny ask ask ask ask allow"),
        (
            "permissive",
            include_str!("fixtures/aegisclaw/permissive.rego"),
            "allow allow allow ask ask allow allow ask ask allow",
        ),
        ("policy", include_str!("fixtures/aegisclaw/policy.rego"), "allow ask ask ask ask ask ask ask ask allow"),
    ] {
        assert_eq!(Kind::of("policy.rego", text.as_bytes()), Some(Kind::Rego));
        let mut report = bartizan_import::Report::default();
        let module = adapt(text.as_bytes(), &mut report).unwrap();
        assert!(!module.contains("input.scope") && report.count(Fate::Converted) == 1);
        let policy = Policy::load(&Source::new("p.yaml", OPEN), &One(module))
            .unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let context = Context::new(Path::new("/home/user"), Path::new("/workspace")).unwrap();
        let set = PolicySet::new(policy, None, context).unwrap();
        let verdicts = actions.map(|action| set.verdict(&parse_case(action, set.context()).unwrap()));
        let effects = verdicts.each_ref().map(|verdict| verdict.effect.as_str()).join(" ");
        assert_eq!(effects, expected, "{name}: {:#?}", verdicts.map(|verdict| verdict.reason));
        if name == "standard" {
            let reason = set.verdict(&parse_case("exec /usr/bin/ls", set.context()).unwrap()).reason;
            assert!(reason.contains("`imported_decision` has two different values"), "{reason}");
        }
    }
}

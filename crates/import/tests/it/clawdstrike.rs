//! Clawdstrike's rulesets and its twelve events.

use std::path::Path;

use bartizan_gate::Scanner;
use bartizan_import::clawdstrike::{Decision, Event, Loader, Subject, import};
use bartizan_import::{Fate, Imported, Mode};
use bartizan_model::Sighting;
use bartizan_policy::{BuiltinsOnly, Context, Look, Policy, PolicySet, Source};

const EVENTS: &str = include_str!("fixtures/clawdstrike/events.jsonl");
const EXPECTED: &str = include_str!("fixtures/clawdstrike/default.decisions.json");
const RULESETS: [(&str, &str); 5] = [
    ("default", include_str!("../../rulesets/default.yaml")),
    ("strict", include_str!("../../rulesets/strict.yaml")),
    ("ai-agent", include_str!("../../rulesets/ai-agent.yaml")),
    ("cicd", include_str!("../../rulesets/cicd.yaml")),
    ("permissive", include_str!("../../rulesets/permissive.yaml")),
];

/// No files.
struct None;

impl Loader for None {
    fn load(&self, _: &str, _: &str) -> Result<(String, Vec<u8>), String> {
        Err("there are no files here".into())
    }
}

fn imported(text: &str, mode: Mode) -> Imported {
    import("policy.yaml", text.as_bytes(), mode, &None).unwrap_or_else(|error| panic!("{error}"))
}

fn set(policy: &str) -> PolicySet {
    let policy = Policy::load(&Source::new("imported", policy), &BuiltinsOnly)
        .unwrap_or_else(|errors| panic!("{errors}\n{policy}"));
    let context = Context::new(Path::new("/home/user"), Path::new("/workspace")).unwrap();
    PolicySet::new(policy, Option::None, context).unwrap()
}

fn decide(set: &PolicySet, event: &Event) -> (Decision, String) {
    let Subject::Deed(deed) = &event.subject else { return (event.decision(Option::None), "unguarded".into()) };
    let scanner: Box<dyn Scanner> = Box::new(bartizan_scan::Scanner::standard());
    let mut sightings: Vec<Sighting> = Vec::new();
    deed.contents(|part, bytes| {
        sightings.extend(scanner.scan(bytes).into_iter().map(|sighting| sighting.in_part(part)));
    });
    let look = Look { sightings: &sightings, ..Look::default() };
    let verdict = set.decide_with(deed, &look).to_verdict();
    (event.decision(Some(&verdict)), format!("{} {}", verdict.effect.as_str(), verdict.rule.rule))
}

fn event(json: &str) -> Event {
    Event::parse(json.as_bytes(), "/workspace").unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn data(kind: &str, data: &str) -> Event {
    event(&format!(r#"{{"eventId":"e","eventType":"{kind}","timestamp":"2026-01-01T00:00:00Z","data":{data}}}"#))
}

#[test]
fn every_ruleset_becomes_a_policy_in_both_modes() {
    for (name, text) in RULESETS {
        for mode in [Mode::Compat, Mode::Hardened] {
            let imported = imported(text, mode);
            set(&imported.policy);
            assert!(imported.report.count(Fate::Converted) > 0, "{name}");
        }
        set(&self::imported(&format!("version: 1.1.0\nextends: {name}\n"), Mode::Compat).policy);
    }
}

#[test]
fn compat_decides_the_twelve_events_as_published() {
    let set = set(&imported(RULESETS[0].1, Mode::Compat).policy);
    let expected: serde_json::Value = serde_json::from_str(EXPECTED).unwrap();
    let results = expected["results"].as_array().unwrap();
    assert_eq!(EVENTS.lines().count(), results.len());
    for (line, result) in EVENTS.lines().zip(results) {
        let event = event(line);
        let (decision, _) = decide(&set, &event);
        assert_eq!(event.id, result["eventId"]);
        assert_eq!(decision.outcome(), result["outcome"], "{}: {decision:?}", event.id);
        assert_eq!(serde_json::to_value(&decision).unwrap(), result["decision"], "{}", event.id);
    }
}

#[test]
fn hardened_differs_where_the_other_program_had_holes() {
    let compat = set(&imported(RULESETS[0].1, Mode::Compat).policy);
    let hardened = set(&imported(RULESETS[0].1, Mode::Hardened).policy);
    let both = |event: Event| {
        let (was, _) = decide(&compat, &event);
        format!("{} → {}", was.outcome(), decide(&hardened, &event).1)
    };
    let check = |event: Event, expected: &str| {
        let decided = both(event);
        assert!(decided.starts_with(expected), "{decided}, not {expected}");
    };
    check(data("file_read", r#"{"type":"file","path":"/ETC/shadow"}"#), "allowed → deny files.deny[16]");
    check(
        data("command_exec", r#"{"type":"command","command":"rm","args":["-rf","/"]}"#),
        "allowed → ask exec.default",
    );
    check(data("secret_access", r#"{"type":"secret","secretName":"DB"}"#), "allowed → ask secrets.default");
    check(
        data("tool_call", r#"{"type":"tool","toolName":"shell_exec","parameters":{}}"#),
        "allowed → deny tools.deny[0]",
    );
    check(data("tool_call", r#"{"type":"tool","toolName":"mcp__x","parameters":{}}"#), "allowed → allow tools.default");
    check(data("network_egress", r#"{"type":"network","host":"github.com","port":22}"#), "allowed → deny net.default");
    check(
        data("network_egress", r#"{"type":"network","host":"github.com","port":443}"#),
        "allowed → allow net.allow[3]",
    );
    let secret = "sk-123456789012345678901234567890123456789012345678";
    let write = |path: &str, content: &str| {
        data("file_write", &format!(r#"{{"type":"file","path":"{path}","content":"{content}"}}"#))
    };
    check(write("a.txt", secret), "blocked → deny content.");
    check(write("tests/a.txt", secret), "allowed → deny content.");
    check(write("a.txt", "nothing"), "allowed → allow files.write[0]");
    let patch = r#"{"type":"patch","filePath":"src/a.rs","patchContent":"diff --git a/src/a.rs b/src/a.rs\\n+disable security"}"#;
    check(data("patch_apply", patch), "allowed → deny patches.unclear");
    let events: Vec<String> = EVENTS
        .lines()
        .map(event)
        .filter_map(|event| {
            let (was, _) = decide(&compat, &event);
            let (_, now) = decide(&hardened, &event);
            (was.allowed == now.starts_with("deny") || now.starts_with("ask")).then(|| format!("{} {now}", event.id))
        })
        .collect();
    assert_eq!(events, ["evt-0004 deny patches.unclear", "evt-0009 deny patches.unclear"]);
}

#[test]
fn reading_rules_are_those_published() {
    let compat = |text: &str| set(&imported(text, Mode::Compat).policy);
    let reads = |set: &PolicySet, path: &str| {
        decide(set, &data("file_read", &format!(r#"{{"type":"file","path":"{path}"}}"#))).0.allowed
    };
    // An absent guard has its defaults; in a partial one missing lists are empty.
    let absent = compat("version: 1.1.0\n");
    assert!(!reads(&absent, "/home/a/.ssh/x") && reads(&absent, "/home/a/x"));
    let partial = compat("version: 1.1.0\nguards: { forbidden_path: { exceptions: ['**/x'] } }\n");
    assert!(reads(&partial, "/home/a/.ssh/id_rsa"));
    // Without `extends`, additions to hosts are ignored; with it they are applied to the base, and a list of the
    // child's own replaces them.
    let reaches = |text: &str, host: &str| {
        let event = data("network_egress", &format!(r#"{{"type":"network","host":"{host}","port":1}}"#));
        decide(&compat(text), &event).0.allowed
    };
    let egress = |rest: &str| format!("version: 1.1.0\n{rest}");
    assert!(!reaches(&egress("guards: { egress_allowlist: { additional_allow: [a.b] } }\n"), "a.b"));
    let child = egress(
        "extends: default\nguards: { egress_allowlist: { additional_allow: [a.b], remove_allow: [pypi.org] } }\n",
    );
    assert!(reaches(&child, "a.b") && reaches(&child, "github.com") && !reaches(&child, "pypi.org"));
    let own = egress("extends: default\nguards: { egress_allowlist: { allow: [a.b] } }\n");
    assert!(reaches(&own, "A.B") && !reaches(&own, "github.com"));
    let empty = egress("extends: default\nguards: { egress_allowlist: { allow: [] } }\n");
    assert!(reaches(&empty, "github.com"), "an empty list can't clear");
    assert!(!reaches(&egress("guards: { egress_allowlist: { allow: ['*'], block: [bad.x] } }\n"), "bad.x"));
    // A confirmation warns and lets through.
    let call = data("tool_call", r#"{"type":"tool","toolName":"mcp__p","parameters":{}}"#);
    let confirm = compat("version: 1.1.0\nguards: { mcp_tool: { require_confirmation: [mcp__p] } }\n");
    assert_eq!(decide(&confirm, &call).0.outcome(), "warn");
    let size = compat("version: 1.1.0\nguards: { mcp_tool: { max_args_size: 1 } }\n");
    assert_eq!(decide(&size, &call).0.message, "Tool arguments too large: 2 bytes (max: 1)");
}

#[test]
fn hardened_says_what_it_holds_back() {
    let text = "version: 1.2.0\nextends: default\nguards:\n  egress_allowlist: { allow: [], default_action: log }\n\
        custom_guards: [{ id: mine }]\nposture: { initial: calm, states: {} }\n";
    let imported = imported(text, Mode::Hardened);
    let has =
        |part: &str, fate: Fate| imported.report.notes.iter().any(|note| note.part.contains(part) && note.fate == fate);
    assert!(has("egress_allowlist.allow", Fate::Stricter) && has("default_action", Fate::Stricter));
    assert!(has("custom_guards.mine", Fate::NoEquivalent) && has("posture", Fate::NoEquivalent));
    let set = set(&imported.policy);
    let event = data("network_egress", r#"{"type":"network","host":"github.com","port":443}"#);
    assert_eq!(decide(&set, &event).1, "ask net.default");
    assert!(imported.report.notes.iter().all(|note| !note.reason.is_empty()));
}

#[test]
fn unknown_things_are_refused() {
    let refused = |text: &str| import("p", text.as_bytes(), Mode::Compat, &None).unwrap_err().to_string();
    assert!(refused("version: 2.0.0\n").contains("2.0.0"));
    assert!(refused("version: 1.1.0\nguardz: {}\n").contains("guardz"));
    assert!(refused("version: 1.1.0\nguards: { mcp_tool: { blok: [] } }\n").contains("blok"));
    assert!(refused("version: 1.1.0\nextends: nowhere\n").contains("nowhere"));
    assert!(refused("version: 1.1.0\nextends: https://x/y\n").contains("fetch"));
    let wrong = |line: &str| Event::parse(line.as_bytes(), "/w").unwrap_err().to_string();
    assert!(
        wrong(r#"{"eventId":"e","eventType":"teleport","timestamp":"t","data":{"type":"file"}}"#).contains("teleport")
    );
    assert!(
        wrong(r#"{"eventId":"e","eventType":"file_read","timestamp":"t","data":{"type":"network","path":"/x"}}"#)
            .contains("together")
    );
    assert!(
        wrong(r#"{"eventId":"e","eventType":"file_read","timestamp":"t","data":{"type":"file"}}"#).contains("path")
    );
}

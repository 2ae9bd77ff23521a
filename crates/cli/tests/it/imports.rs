//! `bartizan policy import`: files in, a policy and a report out.

use crate::world::World;

const EVENTS: &str = include_str!("../../../import/tests/it/fixtures/clawdstrike/events.jsonl");
const EXPECTED: &str = include_str!("../../../import/tests/it/fixtures/clawdstrike/default.decisions.json");
const DEFAULT: &str = include_str!("../../../import/rulesets/default.yaml");
const STANDARD: &str = include_str!("../../../import/tests/it/fixtures/aegisclaw/standard.rego");
const SKILL: &str = include_str!("../../../import/tests/it/fixtures/aegisclaw/git-stats.yaml");

#[test]
fn compat_is_held_against_what_was_decided() {
    World::each(|world| {
        let policy = world.home.write_home("default.yaml", DEFAULT);
        let events = world.home.write_home("events.jsonl", EVENTS);
        let expected = world.home.write_home("expected.json", EXPECTED);
        let import = |mode: &str, expected: &std::path::Path| {
            world
                .bartizan(["policy", "import", "clawdstrike", "--json", "--mode", mode, "--events"])
                .arg(&events)
                .arg("--expected")
                .arg(expected)
                .arg(&policy)
                .output()
        };
        let json = import("compat", &expected).expect_code(0).json();
        assert_eq!(json[0]["events"]["results"].as_array().unwrap().len(), 12, "{json:#}");
        assert_eq!(json[0]["events"]["differences"].as_array().unwrap().len(), 0, "{json:#}");
        let changed =
            world.home.write_home("changed.json", EXPECTED.replacen("\"allowed\": false", "\"allowed\": true", 1));
        let _ = import("compat", &changed).expect_code(1);
        let hardened = import("hardened", &expected).expect_code(0).json();
        let differences = hardened[0]["events"]["differences"].as_array().unwrap();
        assert!(!differences.is_empty() && differences.iter().all(|it| !it["reason"].as_str().unwrap().is_empty()));
    });
}

#[test]
fn what_is_imported_is_a_policy_and_overwrites_nothing() {
    World::each(|world| {
        let skill = world.home.write_home("skill.yaml", SKILL);
        let out = world.home.user_home().join("out.yaml");
        let import = || world.bartizan(["policy", "import", "aegisclaw", "--out"]).arg(&out).arg(&skill).output();
        let _ = import().expect_code(0);
        let said =
            world.bartizan(["policy", "explain", "--policy"]).arg(&out).args(["file.read", "/workspace/x"]).success();
        assert!(said.stdout.starts_with("allow"), "{said}");
        let again = import();
        assert!(!again.status.success() && again.stderr.contains("overwritten"), "{again}");
        let broken = world
            .home
            .write_home("audit.jsonl", "{\"timestamp\":1,\"action\":\"x\",\"prev_hash\":\"no\",\"hash\":\"no\"}\n");
        let _ = world.bartizan(["policy", "import", "aegisclaw"]).arg(&broken).output().expect_code(1);
    });
}

/// A template that was imported decides beside a policy; one that can't be used is not written.
#[test]
fn an_imported_template_decides() {
    World::each(|world| {
        let template = world.home.write_home("standard.rego", STANDARD);
        let out = world.home.user_home().join("imported.rego");
        let import = |file: &std::path::Path| {
            world.bartizan(["policy", "import", "aegisclaw", "--out"]).arg(&out).arg(file).output()
        };
        let unusable = world
            .home
            .write_home("odd.rego", format!("{STANDARD}\ndecision = \"deny\" if http.send({{}}).status == 200\n"));
        let refused = import(&unusable);
        assert!(!refused.status.success() && refused.stderr.contains("http.send") && !out.exists(), "{refused}");
        let _ = import(&template).expect_code(0);
        let rules = "exec: { default: allow }\nfiles: { read: [/tmp/**, /etc/hosts] }\nrego: [./imported.rego]";
        let policy = world.home.write_home("with.yaml", format!("bartizan: 1\n{rules}\n"));
        for (action, effect) in
            [("file.read /tmp/a", "allow"), ("file.read /etc/hosts", "ask"), ("exec /usr/bin/ls", "deny")]
        {
            let said = world.bartizan(["policy", "explain", "--policy"]).arg(&policy).args(action.split(' ')).output();
            assert!(said.stdout.starts_with(effect), "{action}: {said}");
        }
    });
}

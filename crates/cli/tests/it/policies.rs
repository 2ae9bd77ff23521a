//! `bartizan policy`: what is in force, why, and what to change.

use std::fs;

use crate::world::World;

const RULES: &str = "net: { default: deny, resolver: \"{resolver}\", allow: [{ host: good.test, ports: 80, http: [{ method: GET, path: \"/open/**\" }] }], ask: [perhaps.test] }\n\
    exec: { deny: [\"touch **\"] }\n\
    tests:\n  - allow: \"http GET http://good.test/open/x\"\n  - deny: \"http POST http://good.test/open/x\"\n  - ask: \"connect perhaps.test:443\"\n  - deny: \"exec touch x\"\n";

fn policy(world: &World, arguments: &[&str]) -> bartizan_testkit::Output {
    let file = world.home.user_home().join("policy.yaml");
    let (verb, rest) = arguments.split_first().unwrap();
    world.bartizan(["policy", verb, "--policy"]).arg(file).args(rest).output()
}

#[test]
fn show_prints_what_is_in_force() {
    World::each(|world| {
        world.policy(RULES);
        let shown = policy(&world, &["show"]).expect_code(0);
        for part in ["good.test", "touch **", "builtin:strict", "policy.yaml", "sha256:"] {
            assert!(shown.stdout.contains(part), "`{part}`: {shown}");
        }
        let json = policy(&world, &["show", "--json"]).expect_code(0).json();
        assert!(json["digest"].as_str().unwrap().starts_with("sha256:"), "{json:#}");
        // What is shown is itself a policy, with the same meaning.
        let text: String =
            shown.stdout.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        let copy = world.home.write_home("copy.yaml", text);
        let copied =
            world.bartizan(["policy", "explain", "--policy"]).arg(&copy).args(["exec", "touch", "x"]).success();
        assert!(copied.stdout.starts_with("deny"), "{copied}");
        for persona in ["coding_assistant", "sre", "secops", "data_architect", "strict", "standard", "permissive"] {
            world.bartizan(["policy", "show", "--persona", persona]).success();
            let tested = world.bartizan(["policy", "test", "--persona", persona]).success();
            assert!(tested.stdout.contains(" 0 failed"), "{persona}: {tested}");
        }
        let unknown = world.bartizan(["policy", "show", "--persona", "coding_asistant"]).output();
        assert!(!unknown.status.success() && unknown.stderr.contains("coding_assistant"), "{unknown}");
    });
}

#[test]
fn explain_names_the_layers_and_the_rule() {
    World::each(|world| {
        world.policy(RULES);
        let layers = policy(&world, &["explain"]).expect_code(0);
        for layer in ["mounts", "Landlock", "seccomp", "nftables", "DNS", "proxy"] {
            assert!(layers.stdout.to_lowercase().contains(&layer.to_lowercase()), "`{layer}`: {layers}");
        }
        let json = policy(&world, &["explain", "--json"]).expect_code(0).json();
        assert!(json["layers"].as_array().unwrap().len() >= 6, "{json:#}");

        for (action, effect, rule) in [
            (&["connect", "perhaps.test:443"][..], "ask", "net.ask[0]"),
            (&["exec", "touch", "x"], "deny", "exec.deny["),
            (&["http", "GET", "http://good.test/open/../closed"], "deny", ""),
            (&["file.write", "./.envrc"], "deny", "files.protect"),
            (&["connect", "10.0.0.1:80"], "deny", ""),
        ] {
            let said = policy(&world, &[&["explain"], action].concat()).expect_code(0);
            assert!(said.stdout.starts_with(effect) && said.stdout.contains(rule), "{action:?}: {said}");
            // What is explained is what happens.
            let json = policy(&world, &[&["explain", "--json"], action].concat()).expect_code(0).json();
            assert_eq!(json["verdict"]["effect"], effect, "{json:#}");
        }
        let nonsense = policy(&world, &["explain", "conect", "x:1"]);
        assert!(!nonsense.status.success() && nonsense.stderr.contains("connect"), "{nonsense}");
    });
}

#[test]
fn its_own_tests_are_run_and_failures_named() {
    World::each(|world| {
        world.policy(RULES);
        let good = policy(&world, &["test"]).expect_code(0);
        assert!(good.stdout.contains(" 0 failed"), "{good}");
        world.policy(&format!("{RULES}  - allow: \"exec touch y\"\n  - deny: \"connect perhaps.test:443\"\n"));
        let bad = policy(&world, &["test"]).expect_code(1);
        assert!(bad.stdout.contains(" 2 failed") && bad.stdout.contains("policy.yaml:"), "{bad}");
        assert!(bad.stdout.contains("exec touch y"), "{bad}");
        let json = policy(&world, &["test", "--json"]).expect_code(1).json();
        assert_eq!(json["failed"], 2, "{json:#}");
    });
}

#[test]
fn lint_complains_of_what_cannot_work() {
    World::each(|world| {
        world.policy(RULES);
        let clean = policy(&world, &["lint"]);
        assert!(clean.status.success(), "{clean}");
        // The second rule can never decide anything: the first says the same.
        world.policy("net: { default: deny, allow: [a.test, a.test], deny: [\"*\"] }");
        let warned = policy(&world, &["lint"]).expect_code(1);
        assert!(warned.stdout.contains("policy.yaml:"), "{warned}");
        let json = policy(&world, &["lint", "--json"]).expect_code(1).json();
        assert!(!json.as_array().unwrap().is_empty());
    });
}

#[test]
fn what_is_suggested_allows_what_was_denied() {
    World::each(|world| {
        let server = bartizan_testkit::HttpServer::plain();
        server.file("/x", "fetched\n");
        world.dns.addresses("wanted.test", &["127.0.0.1"]);
        world.policy("net: { default: deny, resolver: \"{resolver}\" }\nexec: { deny: [\"touch **\"] }");
        let url = server.url("wanted.test", "/x");
        let script = format!("uname -s; curl -sS -x http://127.0.0.1:3128 {url}; touch x; cat ~/.ssh/id_rsa");
        drop(world.shell(&script).output());
        let run = world.rows()[0]["record"]["action"]["run"].as_str().unwrap().to_owned();
        let suggested = policy(&world, &["suggest", &run]).expect_code(0);
        assert!(suggested.stdout.contains("wanted.test"), "{suggested}");
        let json = policy(&world, &["suggest", &run, "--json"]).expect_code(0).json();
        let yaml = json["yaml"].as_str().unwrap();

        // Pasted into a policy that extends the one in force, it allows the connection and nothing more.
        let addition =
            world.home.write_home("more.yaml", format!("bartizan: 1\nname: more\nextends: ./policy.yaml\n{yaml}"));
        let explain = |action: &[&str]| {
            let said = world.bartizan(["policy", "explain", "--policy"]).arg(&addition).args(action).success();
            said.stdout.split_whitespace().next().unwrap_or_default().to_owned()
        };
        assert_eq!(explain(&["connect", &format!("wanted.test:{}", server.port())]), "allow", "{yaml}");
        assert_eq!(explain(&["connect", "other.test:80"]), "deny", "{yaml}");
        assert_eq!(explain(&["exec", "touch", "x"]), "deny", "a rule that denies by name isn't argued with: {yaml}");
        let unknown = policy(&world, &["suggest", "run_01M7WBF7K0SF1G6G5ZF4CD6Q2N"]);
        assert!(!unknown.status.success() || unknown.stdout.is_empty(), "{unknown}");
    });
}

#[test]
fn only_what_is_granted_can_be_done() {
    World::each(|world| {
        world.policy("net: { default: allow }");
        let workspace = world.home.workspace();
        fs::create_dir_all(workspace.join("src")).unwrap();
        fs::write(workspace.join("src/in"), "inside\n").unwrap();
        fs::write(workspace.join("out"), "outside\n").unwrap();
        let grants = ["--grant", "files.read:./src", "--grant", "shell.exec:sh", "--grant", "shell.exec:cat"];
        let script = "cat src/in; cat out; ls src; echo x > src/new; echo end";
        let output = world.run_with(grants, ["sh", "-c", script]).output().expect_code(0);
        assert_eq!(output.stdout, "inside\nend\n", "{output}");
        assert!(!workspace.join("src/new").exists());
        world.assert_refused("exec.run", "/ls");
        // The same without grants does all of it.
        let output = world.run(["sh", "-c", script]).output().expect_code(0);
        assert_eq!(output.stdout, "inside\noutside\nin\nend\n", "{output}");

        let decide = |grant: &str, line: &str| {
            let output = world.bartizan(["check", "--policy"]).arg(world.home.user_home().join("policy.yaml"));
            let output = output.args(["--grant", grant]).stdin(line).output().expect_code(0);
            output.json_lines().remove(0)
        };
        let line = "{\"kind\":\"net.connect\",\"host\":\"a.test\",\"port\":443}\n";
        assert_eq!(decide("net.outbound:a.test", line)["effect"], "allow");
        let denied = decide("net.outbound:b.test", line);
        assert_eq!((&denied["effect"], &denied["rule"]["rule"]), (&"deny".into(), &"net.default".into()), "{denied:#}");
        let unknown = world.run_with(["--grant", "files.reed:/x"], ["true"]).output().expect_code(2);
        assert!(unknown.stderr.contains("known are shell.exec, files.write"), "{unknown}");
    });
}

//! A changed policy takes over while things go on; a broken one changes nothing and says so.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn check_notices_changes_of_yaml_and_rego() {
    World::each(|world| {
        if world.user() != bartizan_testkit::User::Current {
            return;
        }
        let module = |text: &str| {
            let draft = world.home.write_home("m.rego.new", format!("package bartizan\n{text}\n"));
            fs::rename(draft, world.home.user_home().join("m.rego")).unwrap();
        };
        module("deny contains \"one\" if input.deed.host == \"one.test\"");
        let policy = world.policy("net: { default: allow }\nrego: [./m.rego]");
        let mut child = Command::new(world.home.binary())
            .args(["check", "--policy"])
            .arg(&policy)
            .env("BARTIZAN_HOME", world.home.bartizan_home())
            .env("HOME", world.home.user_home())
            .current_dir(world.home.workspace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut ask = |host: &str| -> String {
            writeln!(input, "{{\"kind\":\"net.connect\",\"host\":\"{host}\",\"port\":443}}").unwrap();
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            serde_json::from_str::<Value>(&line).unwrap()["effect"].as_str().unwrap().to_owned()
        };
        let mut until = |host: &str, effect: &str| {
            let start = Instant::now();
            while ask(host) != effect {
                assert!(start.elapsed() < PATIENCE, "{host} never became {effect}");
                std::thread::yield_now();
            }
        };
        until("one.test", "deny");
        until("two.test", "allow");
        module("deny contains \"two\" if input.deed.host == \"two.test\"");
        until("two.test", "deny");
        until("one.test", "allow");
        module("deny contains");
        world.policy("net: { default: allow, deny: [three.test] }\nrego: [./m.rego]");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            assert_eq!((ask("two.test"), ask("three.test")), ("deny".to_owned(), "allow".to_owned()));
        }
        module("deny contains \"four\" if input.deed.host == \"four.test\"");
        let start = Instant::now();
        while ask("four.test") != "deny" {
            assert!(start.elapsed() < PATIENCE);
        }
        assert_eq!(ask("three.test"), "deny");
        drop(input);
        let mut told = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut told).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(told.contains("the policy is now") && told.contains("stays as it was"), "{told}");
        let noted = world.rows().iter().filter(|row| row["record"]["topic"] == "policy.reload").count();
        assert!(noted >= 3, "{noted}");
        world.verify();
    });
}

#[test]
fn a_project_can_not_bring_a_program() {
    World::each(|world| {
        world.policy("net: { default: allow }");
        world.home.write("bartizan.yaml", "bartizan: 1\nrego: [m.rego]\n");
        world.home.write("m.rego", "package bartizan\ndeny contains \"x\" if true\n");
        let output = world.bartizan(["check"]).stdin("").output();
        assert!(!output.status.success() && output.stderr.contains("brings no Rego"), "{output}");
    });
}

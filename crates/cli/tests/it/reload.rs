//! A changed policy takes over while things go on; a broken one changes nothing and says so.

use std::fs;
use std::time::{Duration, Instant};

use crate::checking::{Checking, PATIENCE};
use crate::world::World;

fn connect(host: &str) -> String {
    format!("{{\"kind\":\"net.connect\",\"host\":\"{host}\",\"port\":443}}")
}

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
        let mut child = Checking::under(&world, &policy);
        let mut ask = |host: &str| -> String {
            let answer = child.ask(&connect(host));
            answer.split(' ').next().unwrap().to_owned()
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
        let told = child.end();
        assert!(told.contains("the policy is now") && told.contains("stays as it was"), "{told}");
        let noted = world.rows().iter().filter(|row| row["record"]["topic"] == "policy.reload").count();
        assert!(noted >= 3, "{noted}");
        world.verify();
    });
}

/// The project's budget goes on being counted when its limit changes and when another policy joins before it.
#[test]
fn what_was_used_up_stays_used_up_under_a_changed_policy() {
    World::each(|world| {
        if world.user() != bartizan_testkit::User::Current {
            return;
        }
        let starts = |programs: &str| format!("bartizan: 1\nexec: {{ deny: [{programs}] }}\n");
        let project = |requests: u32, programs: &str| {
            let budget = format!(
                "budgets: {{ session: {{ requests: {requests} }}, destinations: [{{ host: a.test, requests: 2 }}] }}\n"
            );
            let draft = world.home.write("bartizan.yaml.new", format!("{}{budget}", starts(programs)));
            fs::rename(draft, world.home.workspace().join("bartizan.yaml")).unwrap();
        };
        project(4, "first");
        let policy = world.policy("net: { default: allow }\nexec: { default: allow }");
        let overlay = world.home.write_home("overlay.yaml", starts("second"));
        let mut child = Checking::under(&world, &policy);
        let start =
            |program: &str| format!("{{\"kind\":\"exec.run\",\"program\":\"{program}\",\"args\":[\"{program}\"]}}");
        assert_eq!(child.ask(&connect("a.test")), "allow net.default");
        assert_eq!(child.ask(&connect("a.test")), "allow net.default");
        assert_eq!(child.ask(&connect("a.test")), "deny budgets.destinations[0].requests");
        // The project's policy is now the second that narrows.
        let config = world.home.bartizan_home().join("config.yaml");
        let settings = fs::read_to_string(&config).unwrap_or_else(|_| "bartizan: 1\n".to_owned());
        fs::write(&config, format!("{settings}overlays: [{}]\n", overlay.display())).unwrap();
        child.until(&start("second"), "deny exec.deny[0]");
        assert_eq!(child.ask(&connect("a.test")), "deny budgets.destinations[0].requests");
        assert_eq!(child.ask(&connect("b.test")), "allow net.default");
        assert_eq!(child.ask(&connect("b.test")), "allow net.default");
        assert_eq!(child.ask(&connect("b.test")), "deny budgets.session.requests");
        project(5, "third");
        child.until(&start("third"), "deny exec.deny[0]");
        assert_eq!(child.ask(&connect("b.test")), "allow net.default");
        assert_eq!(child.ask(&connect("b.test")), "deny budgets.session.requests");
        child.end();
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

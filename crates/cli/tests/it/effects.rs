//! `bartizan policy diff` and `simulate`: what a change of policy would change.

use crate::world::World;

#[test]
fn diff_tells_what_is_decided_differently() {
    World::each(|world| {
        let write = |name: &str, text: &str| world.home.write_home(name, format!("bartizan: 1\n{text}"));
        let one = write("one.yaml", "net: { allow: [a.test, b.test] }\nexec: { default: ask, deny: [sudo] }\n");
        // The same in other words and another order.
        let same = write(
            "same.yaml",
            "exec: { deny: [sudo], default: ask }\nnet: { allow: [b.test, a.test], default: deny }\n",
        );
        let other =
            write("other.yaml", "net: { allow: [a.test], ask: [b.test] }\nexec: { default: ask, deny: [sudo] }\n");
        let alike = world.bartizan(["policy", "diff", "--examples"]).arg(&one).arg(&same).output().expect_code(0);
        assert_eq!(alike.stdout, "", "{alike}");
        let differs = world.bartizan(["policy", "diff", "--examples"]).arg(&one).arg(&other).output().expect_code(1);
        assert!(
            differs.stdout.contains("allow → ask  connect b.test:443  (example; net.allow[1] → net.ask[0])"),
            "{differs}"
        );
        assert!(!differs.stdout.contains("a.test") && !differs.stdout.contains("sudo"), "{differs}");

        let guarded = |name: &str, effect: &str| {
            let case = "tests: [{ allow: \"http POST https://a.test/x\", seen: \"personal:email\" }]";
            write(name, &format!("net: {{ allow: [a.test] }}\ncontent: {{ personal: {effect} }}\n{case}\n"))
        };
        let (let_through, covered) = (guarded("through.yaml", "allow"), guarded("covered.yaml", "redact"));
        let differs =
            world.bartizan(["policy", "diff", "--examples"]).arg(&let_through).arg(&covered).output().expect_code(1);
        let shown = "allow → allow, redacted  http POST https://a.test/x [seen personal:email]";
        assert!(differs.stdout.contains(shown), "{differs}");
    });
}

#[test]
fn simulate_decides_again_what_was_done() {
    World::each(|world| {
        world.policy("exec: { default: allow, deny: [\"touch **\"] }\n");
        world.run(["sh", "-c", "touch x; /bin/true; /bin/true"]).success();
        let stricter = world.home.write_home(
            "stricter.yaml",
            "bartizan: 1\nextends: standard\nexec: { default: allow, deny: [\"true\"] }\n",
        );
        let told = world.bartizan(["policy", "simulate", "--json"]).arg(&stricter).success().json();
        let changes = told["changes"].as_array().unwrap();
        let change = |from: &str, to: &str| {
            changes
                .iter()
                .find(|change| change["from"] == from && change["to"] == to)
                .unwrap_or_else(|| panic!("{told:#}"))
        };
        assert!(change("deny", "allow")["action"].as_str().unwrap().contains("touch"), "{told:#}");
        let later = world.bartizan(["policy", "simulate", "--since", "0s"]).arg(&stricter).success();
        assert_eq!(later.stdout, "", "{later}");
        // Against the very policy it ran under nothing changes.
        let file = world.home.user_home().join("policy.yaml");
        let none = world.bartizan(["policy", "simulate"]).arg(file).success();
        assert_eq!(none.stdout, "", "{none}");
        assert!(none.stderr.contains("0 of "), "{none}");
    });
}

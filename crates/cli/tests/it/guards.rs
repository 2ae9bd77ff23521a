//! Guards of one's own, in WebAssembly: what they find is held back, what goes wrong in them is refused, and what is
//! no guard is refused when the policy is read.

use std::fs;
use std::time::{Duration, Instant};

use bartizan_testkit::{User, wasm};
use serde_json::{Value, json};

use crate::checking::Checking;
use crate::world::World;

/// The document of this action, as a line for `check`.
fn exec(args: &[&str]) -> Value {
    json!({ "kind": "exec.run", "program": format!("/usr/bin/{}", args[0]), "args": args })
}

/// What each of these actions comes to under `rules` with this guard, and `bounds` on it.
fn decide(world: &World, component: &[u8], bounds: &str, actions: &[Value]) -> Vec<Value> {
    world.home.write_home("guard.wasm", component);
    let policy = world.policy(&format!("exec: {{ default: allow }}\nguards: [{{ wasm: ./guard.wasm{bounds} }}]"));
    let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
    world.bartizan(["check", "--policy"]).arg(policy).stdin(lines).output().expect_code(0).json_lines()
}

/// The same for one action, with only effect, rule and reason.
fn answer(world: &World, component: &[u8], bounds: &str) -> (String, String, String) {
    let verdict = decide(world, component, bounds, &[exec(&["ls"])]).remove(0);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&verdict["effect"]), text(&verdict["rule"]["rule"]), text(&verdict["reason"]))
}

fn each_once(test: impl Fn(World)) {
    World::each(|world| {
        if world.user() == User::Current {
            test(world);
        }
    });
}

#[test]
fn a_guard_holds_back_and_never_allows() {
    each_once(|world| {
        let actions = [exec(&["make", "--force"]), exec(&["make"])];
        let denied = decide(&world, &wasm::finds("--force", "deny"), "", &actions);
        assert_eq!((&denied[0]["effect"], &denied[1]["effect"]), (&json!("deny"), &json!("allow")), "{denied:#?}");
        assert_eq!(denied[0]["rule"]["rule"], "wasm.found");
        assert!(denied[0]["rule"]["source"].as_str().unwrap().ends_with("/guard.wasm"), "{denied:#?}");
        assert_eq!((&denied[0]["findings"][0]["guard"], &denied[0]["risk"]), (&json!("wasm"), &json!("HIGH")));
        let asked = decide(&world, &wasm::finds("--force", "ask"), "", &actions);
        assert_eq!((&asked[0]["effect"], &asked[1]["effect"]), (&json!("ask"), &json!("allow")), "{asked:#?}");
        // What the policy denies stays denied, whatever a guard says.
        let shadow = json!({ "kind": "file.read", "path": world.home.user_home().join(".ssh/id_ed25519") });
        assert_eq!(decide(&world, &wasm::guard("(call $none)", ""), "", &[shadow])[0]["effect"], "deny");
        world.verify();
    });
}

#[test]
fn a_guard_sees_the_documented_input() {
    each_once(|world| {
        let places = format!("\"places\":{{\"workspace\":\"{}\"", world.home.workspace().display());
        let deed = "\"deed\":{\"kind\":\"exec.run\",\"program\":\"/usr/bin/ls\",\"args\":[\"ls\"]";
        for text in ["\"version\":1", deed, &places, "\"now_ns\":", "\"session\":{\"labels\":[]}", "\"sightings\":[]"] {
            assert_eq!(answer(&world, &wasm::finds(text, "deny"), "").1, "wasm.found", "{text}");
        }
    });
}

#[test]
fn what_goes_wrong_in_a_guard_is_a_refusal() {
    each_once(|world| {
        let cases = [
            ("(loop $on (br $on)) (unreachable)", "", "used up its fuel of 50000000"),
            ("(loop $on (br $on)) (unreachable)", ", fuel: 1000", "used up its fuel of 1000"),
            ("(loop $on (br $on)) (unreachable)", ", fuel: 1000000000, time: 20ms", "took longer than 20ms"),
            ("(drop (memory.grow (i32.const 300))) (call $none)", "", "more than its 16MiB of memory"),
            ("(drop (memory.grow (i32.const 20))) (call $none)", ", memory: 1MiB", "more than its 1MiB of memory"),
            ("(call $deep (i32.const 0))", "", "calls went too deep"),
            ("(unreachable)", "", "`unreachable` instruction executed"),
            ("(i32.load (i32.const -4))", "", "out of bounds memory access"),
            ("(i32.div_u (i32.const 1) (i32.const 0))", "", "divide by zero"),
            ("(call_indirect $t (result i32) (i32.const 0))", "", "uninitialized element"),
            ("(call $error (i32.const 1024) (i32.const 4))", "", "it says: word"),
            (
                "(call $one (i32.const 7) (i32.const 1024) (i32.const 4) (i32.const 1024) (i32.const 4))",
                "",
                "can't be read",
            ),
            (
                "(call $one (i32.const 0) (i32.const 1024) (i32.const -9) (i32.const 1024) (i32.const 4))",
                "",
                "can't be read",
            ),
            (
                "(call $one (i32.const 0) (i32.const 1028) (i32.const 2) (i32.const 1024) (i32.const 4))",
                "",
                "can't be read",
            ),
            (
                "(call $one (i32.const 0) (i32.const 1032) (i32.const 4) (i32.const 1024) (i32.const 4))",
                "",
                "no name for one",
            ),
            (
                "(call $one (i32.const 0) (i32.const 1040) (i32.const 6) (i32.const 1024) (i32.const 4))",
                "",
                "no name for one",
            ),
            (
                "(call $one (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 1024) (i32.const 0))",
                "",
                "no message",
            ),
            ("(call $many (i32.const 20000))", "", "can't be read"),
            ("(call $fill)", ", fuel: 1000000000, time: 1s", "fuel"),
        ];
        let more = r#"
          (table $t 1 funcref)
          (data (i32.const 1024) "word") (data (i32.const 1028) "\ff\fe") (data (i32.const 1032) "Up x")
          (data (i32.const 1040) "failed")
          (func $deep (param i32) (result i32) (call $deep (i32.add (local.get 0) (i32.const 1))))
          ;; as many findings as one likes, all of them empty
          (func $many (param $count i32) (result i32)
            (drop (memory.grow (i32.const 16)))
            (i32.store (i32.const 0) (i32.const 0))
            (i32.store (i32.const 4) (i32.const 70000))
            (i32.store (i32.const 8) (local.get $count))
            (i32.const 0))
          ;; single instructions that work long
          (func $fill (result i32)
            (drop (memory.grow (i32.const 200)))
            (loop $on (memory.fill (i32.const 0) (i32.const 0) (i32.const 13000000)) (br $on))
            (unreachable))"#;
        let start = Instant::now();
        for (check, bounds, why) in cases {
            let (effect, rule, reason) = answer(&world, &wasm::guard(check, more), bounds);
            assert_eq!((effect.as_str(), rule.as_str()), ("deny", "wasm.failed"), "{check}: {reason}");
            assert!(reason.contains("guard.wasm` gave no answer: ") && reason.contains(why), "{check}: {reason}");
        }
        assert!(start.elapsed() < Duration::from_secs(60), "bounded");
        // The next action gets a fresh instance: nothing is left of what the last one did.
        let counts = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (result i32) (i32.eq (global.get $calls) (i32.const 1)) (then (call $none)) (else (unreachable)))";
        let counts = wasm::guard(counts, "(global $calls (mut i32) (i32.const 0))");
        let answers = decide(&world, &counts, "", &[exec(&["ls"]), exec(&["ls"]), exec(&["ls"])]);
        assert!(answers.iter().all(|answer| answer["effect"] == "allow"), "{answers:#?}");
    });
}

#[test]
fn what_is_no_guard_is_an_error_of_the_policy() {
    each_once(|world| {
        let asks_time =
            "(component (import \"wasi:clocks/wall-clock@0.2.0\" (instance)) (import \"own:host/x\" (instance)))";
        let plain = "(component (core module $m (func (export \"f\") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m)) (func (export \"check\") (param \"input\" u32) (result u32) (canon lift (core func $i \"f\"))))";
        let typed = "(component (core module $m (func (export \"f\") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m)) (func $f (param \"input\" u32) (result u32) (canon lift (core func $i \"f\")))
            (instance $e (export \"check\" (func $f))) (export \"bartizan:guard/checker@1.0.0\" (instance $e)))";
        let cases: [(Vec<u8>, &str); 9] = [
            (wasm::text_form(asks_time), "imports `wasi:clocks/wall-clock@0.2.0`, `own:host/x`"),
            (wasm::text_form("(component)"), "exports nothing"),
            (wasm::text_form(plain), "exports `check`, a guard exports `bartizan:guard/checker@1.0.0`"),
            (wasm::text_form(typed), "of another type"),
            (wasm::text_form("(module)"), "a WebAssembly module, not a component"),
            (b"#!/bin/sh\n".to_vec(), "no WebAssembly component"),
            (Vec::new(), "no WebAssembly component"),
            (wasm::finds("x", "deny")[..200].to_vec(), "can't be compiled"),
            ([b"\0asm\x0d\0\x01\0".as_slice(), &vec![0; 1024 * 1024]].concat(), "larger than 1048576 bytes"),
        ];
        let policy = world.policy("guards:\n  - wasm: ./guard.wasm");
        for (bytes, why) in cases {
            world.home.write_home("guard.wasm", bytes);
            let output = world.bartizan(["check", "--policy"]).arg(&policy).stdin("").output();
            assert!(!output.status.success() && output.stderr.contains(why), "{why}: {output}");
            assert!(output.stderr.contains("policy.yaml:7:5"), "its place is told: {output}");
        }
        for (guard, why) in [
            ("{ wasm: ./guard }", "ends in `.wasm`"),
            ("{ wasm: ./none.wasm }", "can't be read"),
            ("{ fuel: 7 }", "needs the key `wasm`"),
            ("{ wasm: ./guard.wasm, fuel: 0 }", "at least 1"),
            ("{ wasm: ./guard.wasm, fuel: 1000000001 }", "at most 1000000000"),
            ("{ wasm: ./guard.wasm, memory: 1GiB }", "at most 128MiB"),
            ("{ wasm: ./guard.wasm, time: 1h }", "at most 2s"),
            ("{ wasm: ./guard.wasm, feul: 7 }", "did you mean `fuel`"),
            ("./guard.wasm", "a guard must be a mapping"),
        ] {
            let policy = world.policy(&format!("guards: [{guard}]"));
            let output = world.bartizan(["check", "--policy"]).arg(policy).stdin("").output();
            assert!(!output.status.success() && output.stderr.contains(why), "{guard}: {output}");
        }
    });
}

#[test]
fn guards_are_named_by_explain_show_and_lint() {
    each_once(|world| {
        world.home.write_home("guard.wasm", wasm::finds("--force", "deny"));
        let text = |command: &str, tests: &str| {
            let policy = world.policy(&format!(
                "exec: {{ default: allow }}\nguards: [{{ wasm: ./guard.wasm, fuel: 900000 }}]\n{tests}"
            ));
            let output = world.bartizan(["policy", command, "--policy"]).arg(policy).output();
            format!("{}{}", output.stdout, output.stderr)
        };
        assert!(text("explain", "").contains("guard.wasm (fuel 900000, memory 16MiB, time 500ms)"));
        assert!(text("show", "").contains("./guard.wasm"));
        assert!(text("lint", "").contains("no case in `tests` shows that"));
        assert!(!text("lint", "tests: [{ action: exec git push --force, expect: deny }]").contains("guard.wasm"));
        world.home.write_home("guard.wasm", wasm::guard("(unreachable)", ""));
        assert!(text("lint", "").contains("such actions are denied"));
    });
}

#[test]
fn a_run_obeys_its_guard() {
    World::each(|world| {
        world.home.write_home("guard.wasm", wasm::finds("\"touch\",\"no\"", "deny"));
        world.policy("exec: { default: allow }\nguards: [{ wasm: ./guard.wasm }]");
        world.shell("touch yes").success();
        let refused = world.shell("touch no").output();
        assert!(!refused.status.success() && !world.home.workspace().join("no").exists(), "{refused}");
        assert!(world.home.workspace().join("yes").exists());
        let row = world.assert_refused("exec.run", "\"no\"");
        assert_eq!(row["record"]["verdict"]["rule"]["rule"], "wasm.found", "{row:#}");
        world.verify();
    });
}

#[test]
fn a_new_build_takes_over_and_a_broken_one_changes_nothing() {
    each_once(|world| {
        let build = |bytes: Vec<u8>| {
            let draft = world.home.write_home("guard.wasm.new", bytes);
            fs::rename(draft, world.home.user_home().join("guard.wasm")).unwrap();
        };
        build(wasm::finds("one.test", "deny"));
        let policy = world.policy("net: { default: allow }\nguards: [{ wasm: ./guard.wasm }]");
        let mut checking = Checking::under(&world, policy.as_ref());
        let mut denied = |host: &str| -> bool {
            checking.ask(&json!({ "kind": "net.connect", "host": host, "port": 443 }).to_string()).starts_with("deny")
        };
        assert!(denied("one.test") && !denied("two.test"));
        build(wasm::finds("two.test", "deny"));
        bartizan_testkit::eventually("the new build takes over", || denied("two.test"));
        assert!(!denied("one.test"));
        build(b"not any more".to_vec());
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            assert!(denied("two.test") && !denied("one.test"));
        }
        let told = checking.end();
        assert!(told.contains("stays as it was"), "{told}");
    });
}

#[test]
fn a_project_can_not_bring_a_guard() {
    each_once(|world| {
        world.policy("net: { default: allow }");
        world.home.write("bartizan.yaml", "bartizan: 1\nguards: [{ wasm: ./m.wasm }]\n");
        world.home.write("m.wasm", wasm::finds("x", "deny"));
        let output = world.bartizan(["check"]).stdin("").output();
        assert!(!output.status.success() && output.stderr.contains("no WebAssembly"), "{output}");
    });
}

#[test]
fn the_example_is_a_guard() {
    let Some(example) = std::env::var_os(bartizan_testkit::env::BARTIZAN_GUARD_EXAMPLE) else {
        let reason = "the example is not built (`rustup target add wasm32-unknown-unknown`, then `cargo xtask test`)";
        bartizan_testkit::skipped("the_example_is_a_guard", reason);
        return;
    };
    let example = std::fs::read(example).unwrap();
    each_once(|world| {
        let actions = [
            exec(&["git", "push", "--force"]),
            exec(&["git", "push", "origin", "release/1.0"]),
            exec(&["git", "push", "origin", "topic"]),
            exec(&["git", "commit", "-m", "push --force"]),
            json!({ "kind": "net.connect", "host": "good.test", "port": 443 }),
        ];
        let verdicts = decide(&world, &example, "", &actions);
        let said = |index: usize| &verdicts[index]["findings"][0]["rule"];
        assert_eq!((&verdicts[0]["effect"], said(0)), (&json!("deny"), &json!("wasm.forced-push")), "{verdicts:#?}");
        assert_eq!((&verdicts[1]["effect"], said(1)), (&json!("ask"), &json!("wasm.release-branch")), "{verdicts:#?}");
        assert!((2..5).all(|index| !said(index).to_string().contains("wasm")), "{verdicts:#?}");
    });
}

//! `bartizan run` is transparent to the program in it: status, signals, streams, environment.

use std::os::unix::fs::PermissionsExt;

use bartizan_testkit::eventually;
use rustix::process::Signal;

use crate::world::World;

#[test]
fn gives_the_programs_status() {
    World::each(|world| {
        for code in [0, 1, 7, 125, 255] {
            let _ = world.shell(&format!("exit {code}")).output().expect_code(code);
        }
        for (signal, code) in [("KILL", 137), ("TERM", 143), ("SEGV", 139), ("HUP", 129)] {
            let _ = world.shell(&format!("kill -{signal} $$")).output().expect_code(code);
        }
        world.assert_closed("exec.run", "kill -HUP", "done");
        world.verify();
    });
}

#[test]
fn a_program_that_cannot_start_says_which_way() {
    World::each(|world| {
        let missing = world.run(["no-such-program"]).output().expect_code(127);
        assert!(missing.stderr.contains("`no-such-program`"), "{missing}");
        let _ = world.run(["./no-such-program"]).output().expect_code(127);

        world.home.write("plain.txt", "text");
        let _ = world.run(["./plain.txt"]).output().expect_code(126);
        let path = world.home.write("broken", "neither script nor program");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let _ = world.run(["./broken"]).output().expect_code(126);
        let path = world.home.write("no-interpreter", "#!/no/such/interpreter\n");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let gone = world.run(["./no-interpreter"]).output().expect_code(127);
        assert!(gone.stderr.contains("could not be started"), "{gone}");

        let _ = world.run([""]).output().expect_code(127);
        let usage = world.bartizan(["run"]).output();
        assert!(!usage.status.success() && usage.stderr.contains("CMD"), "{usage}");
        world.verify();
    });
}

#[test]
fn what_policy_denies_is_never_started() {
    World::each(|world| {
        world.policy("exec: { deny: [\"touch **\"] }");
        let refused = world.run(["touch", "started"]).output().expect_code(125);
        assert!(refused.stderr.contains("exec.deny"), "{refused}");
        assert!(!world.home.workspace().join("started").exists());
        world.assert_refused("exec.run", "touch");

        // The same from a shell that may run, so in the box and not before it.
        let inside = world.shell("touch started || echo denied").success();
        assert_eq!(inside.stdout, "denied\n");
        assert!(!world.home.workspace().join("started").exists());
        world.assert_refused("exec.run", "touch");
        world.verify();
    });
}

#[test]
fn pipes_carry_every_byte() {
    World::each(|world| {
        // A third of it no UTF-8, with NUL and every line ending.
        let bytes: Vec<u8> = (0..10 * 1024 * 1024_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        world.home.write("input", &bytes);
        let output = world.home.workspace().join("output");
        world.policy("");
        let copied = world
            .home
            .run("/bin/sh")
            .arg("-c")
            .arg("\"$0\" run --policy ../policy.yaml -- sh -c 'cat; echo done >&2' <input >output")
            .arg(world.home.binary())
            .success();
        assert_eq!(copied.stderr, "done\n");
        assert!(std::fs::read(output).unwrap() == bytes, "the copy differs");

        let counted = world.run(["wc", "-c"]).stdin(bytes.clone()).success();
        assert_eq!(counted.stdout.trim(), bytes.len().to_string());
        let early = world.run(["head", "-c", "5"]).stdin(b"hello and much more".repeat(100_000)).success();
        assert_eq!(early.stdout, "hello");
        let nothing = world.run(["cat"]).success();
        assert_eq!((nothing.stdout.as_str(), nothing.stderr.as_str()), ("", ""));
    });
}

#[test]
fn a_reader_that_goes_away_ends_the_program() {
    World::each(|world| {
        world.policy("");
        let ended = world
            .home
            .run("/bin/sh")
            .args(["-c", "\"$0\" run --policy ../policy.yaml -- yes | head -n 2"])
            .arg(world.home.binary())
            .success();
        assert_eq!(ended.stdout, "y\ny\n");
    });
}

#[test]
fn the_environment_is_an_allow_list() {
    World::each(|world| {
        world.policy("env: { pass: [\"KEEP_*\"], set: { MADE: here } }");
        let output = world
            .run(["env"])
            .env("SECRET_TOKEN", "secret-4b1d")
            .env("LD_PRELOAD", "/nonexistent.so")
            .env("AWS_SECRET_ACCESS_KEY", "secret-4b1d")
            .env("SSH_AUTH_SOCK", "/tmp/agent")
            .env("KEEP_ME", "kept")
            .success();
        let names: Vec<&str> = output.stdout.lines().filter_map(|line| line.split('=').next()).collect();
        for name in ["SECRET_TOKEN", "LD_PRELOAD", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "BARTIZAN_HOME", "TMPDIR"]
        {
            assert!(!names.contains(&name), "{name} was passed in: {output}");
        }
        assert!(output.stdout.contains("KEEP_ME=kept\n") && output.stdout.contains("MADE=here\n"), "{output}");
        assert!(output.stdout.contains(&format!("HOME={}\n", world.home.user_home().display())), "{output}");
        assert!(output.stdout.contains("BARTIZAN_RUN=run_"), "{output}");
        assert!(!output.stdout.contains("secret-4b1d"), "{output}");
    });
}

#[test]
fn only_three_descriptors_are_inherited() {
    World::each(|world| {
        let list = world
            .home
            .run("/bin/sh")
            .args([
                "-c",
                "exec 3</etc/passwd 4</etc/group 9</; exec \"$0\" run --policy ../policy.yaml -- ls /proc/self/fd",
            ])
            .arg({
                world.policy("");
                world.home.binary()
            })
            .success();
        // The fourth is the directory that `ls` itself reads.
        assert_eq!(list.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"], "{list}");
    });
}

#[test]
fn the_workspace_is_where_it_was_and_nothing_else_is_written() {
    World::each(|world| {
        world.home.write("project/src/main.c", "int main;\n");
        let output = world
            .run(["sh", "-c", "pwd; cat src/main.c; echo new >made; mkdir deep; mv made deep; ls .."])
            .current_dir(&world.home.workspace().join("project"))
            .success();
        let project = world.home.workspace().join("project");
        assert!(output.stdout.starts_with(&format!("{}\nint main;\n", project.display())), "{output}");
        assert_eq!(output.stdout.lines().last(), Some("project"), "what lies beside it is not there: {output}");
        assert_eq!(std::fs::read_to_string(project.join("deep/made")).unwrap(), "new\n");
        let made = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(project.join("deep/made")).unwrap());
        assert_eq!(made, world.user().id(), "files belong to who ran it");
        // Home and /tmp inside are the box's own and gone with it.
        world.shell("echo x >~/left-behind; echo x >/tmp/left-behind").success();
        assert!(!world.home.user_home().join("left-behind").exists());
        assert!(!std::path::Path::new("/tmp/left-behind").exists());
        let fresh = world.shell("ls ~/left-behind /tmp/left-behind").output();
        assert!(!fresh.status.success(), "{fresh}");
    });
}

#[test]
fn a_directory_that_is_too_much_is_refused() {
    World::each(|world| {
        for place in ["/", "/usr", "/etc", "/home", world.home.user_home().to_str().unwrap()] {
            let refused = world.run(["true"]).current_dir(std::path::Path::new(place)).output().expect_code(125);
            assert!(refused.stderr.contains("too much"), "{refused}");
        }
        let above = world.home.root();
        let refused = world.run(["true"]).current_dir(above).output().expect_code(125);
        assert!(refused.stderr.contains("too much"), "{refused}");
        assert!(world.rows().is_empty(), "nothing was started");
    });
}

#[test]
fn events_come_on_the_descriptor_that_was_named() {
    World::each(|world| {
        world.policy("");
        let script = "exec 3>events.jsonl; \"$0\" run --policy ../policy.yaml --name watched --json-events 3 -- sh -c 'true; uname; exit 4'";
        let _ = world.home.run("/bin/sh").arg("-c").arg(script).arg(world.home.binary()).output().expect_code(4);
        let text = world.home.read("events.jsonl");
        let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let first = &events[0];
        assert_eq!(first["record"]["type"], "opened", "{first:#}");
        assert_eq!(first["record"]["action"]["principal"]["name"], "watched", "{first:#}");
        assert_eq!(first["seq"], 0, "{first:#}");
        let last = events.last().unwrap();
        assert_eq!(last["record"]["outcome"]["figures"]["exit_status"], 4, "{last:#}");
        assert!(text.contains("uname"), "{text}");
        // What was streamed is what the ledger holds.
        let hash = world.bartizan(["log", "show", "0"]).success().json()["hash"].clone();
        assert_eq!(first["hash"], hash);

        for bad in ["1", "9"] {
            let refused = world.run_with(["--json-events", bad], ["true"]).output().expect_code(125);
            assert!(refused.stderr.contains(&format!("--json-events {bad}")), "{refused}");
        }
    });
}

#[test]
fn a_signal_to_the_run_reaches_the_program() {
    World::each(|world| {
        for (signal, word) in [(Signal::TERM, "TERM"), (Signal::INT, "INT"), (Signal::HUP, "HUP")] {
            let script = format!("trap 'echo got {word}; exit 9' {word}; echo ready; while :; do sleep 0.05; done");
            let mut running = world.shell(&script).spawn();
            running.wait_for_stdout("ready");
            running.signal(signal);
            let ended = running.wait().expect_code(9);
            assert!(ended.stdout.contains(&format!("got {word}")), "{ended}");
        }
        eventually("nothing is left", || world.processes(&[]).is_empty());
        world.verify();
    });
}

#[test]
fn what_is_left_behind_in_the_box_ends_with_it() {
    World::each(|world| {
        let script = "(sleep 3471 &) ; setsid sleep 3472 & trap '' TERM; echo started";
        world.shell(script).success();
        let alive = |number: &str| {
            std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
                std::fs::read(entry.path().join("cmdline"))
                    .is_ok_and(|line| line == format!("sleep\0{number}\0").as_bytes())
            })
        };
        eventually("both sleepers are gone", || !alive("3471") && !alive("3472"));
    });
}

#[test]
fn limits_end_the_box_and_say_which() {
    World::each(|world| {
        world.policy("limits: { time: 1s }");
        let ended = world.run(["sleep", "600"]).output();
        assert!(ended.stderr.contains("limits.time"), "{ended}");
        assert!(!ended.status.success(), "{ended}");
        world.assert_closed("exec.run", "600", "stopped");

        world.policy("limits: { output: 64KiB }");
        let ended = world.run(["yes"]).output();
        assert!(ended.stderr.contains("limits.output"), "{ended}");
        assert!(ended.stdout.len() <= 64 * 1024, "{} bytes", ended.stdout.len());
        world.verify();
    });
}

#[test]
fn a_projects_policy_can_only_narrow() {
    World::each(|world| {
        world.home.write("bartizan.yaml", "bartizan: 1\nexec: { deny: [\"uname **\"] }\n");
        let denied = world.shell("uname || echo denied").success();
        assert_eq!(denied.stdout, "denied\n");
        world.home.write(
            "bartizan.yaml",
            "bartizan: 1\nfiles: { read: [\"/var/**\"], write: [\"~/**\"] }\nnet: { default: allow }\n",
        );
        world.home.write_home("private.txt", "private\n");
        let tried = world.shell("cat ~/private.txt; echo over >~/private.txt; true").output();
        assert!(!tried.stdout.contains("private"), "{tried}");
        assert_eq!(std::fs::read_to_string(world.home.user_home().join("private.txt")).unwrap(), "private\n");
        world.home.write("bartizan.yaml", "bartizan: 1\nnett: {}\n");
        let refused = world.run(["true"]).output().expect_code(125);
        assert!(refused.stderr.contains("bartizan.yaml:2") && refused.stderr.contains("`net`"), "{refused}");
    });
}

#[test]
fn a_newcomer_gets_there_with_the_defaults() {
    World::each(|world| {
        world.home.write("src/main.c", "int main;\n");
        world.home.write(".env", "TOKEN=secret-4b1d\n");
        let run = |arguments: &[&str]| world.bartizan(["run"]).args(arguments).output();
        let plain = run(&["--", "sh", "-c", "cat src/main.c; cat .env; echo new >made; echo x >.envrc; true"]);
        assert!(plain.status.success() && plain.stdout == "int main;\n", "{plain}");
        assert_eq!(world.home.read("made"), "new\n");
        assert!(!world.home.workspace().join(".envrc").exists());
        assert!(plain.stderr.contains("bartizan log list") && plain.stderr.contains("policy suggest"), "{plain}");
        let quiet = run(&["--quiet", "--", "sh", "-c", "echo x >.envrc; true"]);
        assert!(!quiet.stderr.contains("bartizan:"), "{quiet}");

        for persona in ["coding_assistant", "sre", "secops", "data_architect", "standard", "permissive"] {
            let ran = run(&["--persona", persona, "--", "cat", "src/main.c"]);
            assert_eq!(ran.stdout, "int main;\n", "{persona}: {ran}");
            let row = world.deed("exec.run", "src/main.c");
            assert_eq!(row["record"]["action"]["principal"]["persona"], persona, "{row:#}");
        }
        // The strictest wants control groups, which not every account can have; then it says so and starts nothing.
        let strict = run(&["--persona", "strict", "--", "sh", "-c", "cat src/main.c; echo over >src/main.c"]);
        if strict.code() == 125 {
            assert!(strict.stderr.contains("cgroup") && strict.stdout.is_empty(), "{strict}");
        } else {
            assert!(!strict.status.success() && strict.stdout == "int main;\n", "{strict}");
        }
        assert_eq!(world.home.read("src/main.c"), "int main;\n");
        let unknown = run(&["--persona", "coding_asistant", "--", "true"]).expect_code(125);
        assert!(unknown.stderr.contains("`coding_assistant`"), "{unknown}");
        let both = run(&["--persona", "sre", "--policy", "x", "--", "true"]);
        assert!(!both.status.success(), "{both}");
        world.verify();
    });
}

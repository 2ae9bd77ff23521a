//! What runs now can be seen and ended, and nothing outlives the ones who kept it, however they go.

use std::fs;
use std::time::Duration;

use bartizan_model::RunId;
use bartizan_testkit::{TcpSink, eventually};
use rustix::process::{Pid, Signal, kill_process};

use crate::processes::{Process, control_groups, descendants, names};
use crate::world::{World, probe};

#[test]
fn a_running_box_is_listed_shown_and_stopped() {
    World::each(|world| {
        let none = world.bartizan(["box", "list"]).success();
        assert!(none.stdout.is_empty() && none.stderr.contains("no box is running"), "{none}");

        world.policy("exec: { deny: [\"touch **\"] }");
        let script = "touch x; uname >/dev/null; echo ready; sleep 600";
        let mut running = world.run_with(["--name", "worker"], ["sh", "-c", script]).spawn();
        running.wait_for_stdout("ready");
        let mut other = world.run_with(["--name", "other"], ["sh", "-c", "echo ready; sleep 600"]).spawn();
        other.wait_for_stdout("ready");

        let listed = world.bartizan(["box", "list", "--json"]).success().json();
        let names: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
        assert!(names.len() == 2 && names.contains(&"worker") && names.contains(&"other"), "{listed:#}");
        let table = world.bartizan(["box", "list"]).success();
        assert!(table.stdout.contains("worker") && table.stdout.contains("other"), "{table}");

        let shown = world.bartizan(["box", "show", "worker", "--json"]).success().json();
        assert_eq!(shown["keeper_pid"], running.id(), "{shown:#}");
        assert!(shown["counts"]["denied"].as_u64() >= Some(1), "{shown:#}");
        assert_eq!(shown["workspace"].as_str(), world.home.workspace().to_str(), "{shown:#}");
        let layers = shown["layers"].as_array().unwrap();
        assert!(layers.iter().any(|layer| layer["layer"] == "seccomp" && layer["enforced"] == true), "{shown:#}");
        let run = shown["run"].as_str().unwrap();
        let by_run = world.bartizan(["box", "show", run]).success();
        assert!(by_run.stdout.contains("worker") && by_run.stdout.contains(" denied"), "{by_run}");

        let inside = descendants(running.id());
        let sleeper = inside.iter().find(|process| process.name == "sleep").expect("a sleeper");
        assert!(shown["processes"].as_array().unwrap().contains(&sleeper.pid.into()), "{sleeper:?}: {shown:#}");
        world.bartizan(["box", "stop", run]).success();
        let ended = running.wait();
        assert!(!ended.status.success() && ended.stderr.contains("it was told to stop"), "{ended}");
        eventually("everything in it is gone", || inside.iter().all(|process| !process.is_alive()));
        world.assert_closed("exec.run", "touch x; uname", "stopped");
        assert!(other.is_running(), "the other one is left alone");
        let gone = world.bartizan(["box", "show", "worker"]).output();
        assert!(!gone.status.success() && gone.stderr.contains("`worker`"), "{gone}");
        world.bartizan(["box", "stop", "other"]).success();
        drop(other.wait());
        world.verify();
    });
}

#[test]
fn two_boxes_of_one_name_are_told_apart_by_their_runs() {
    World::each(|world| {
        let start = || {
            let mut running = world.run_with(["--name", "twin"], ["sh", "-c", "echo ready; sleep 600"]).spawn();
            running.wait_for_stdout("ready");
            running
        };
        let (one, two) = (start(), start());
        let unclear = world.bartizan(["box", "stop", "twin"]).output();
        assert!(!unclear.status.success() && unclear.stderr.contains("box list"), "{unclear}");
        let listed = world.bartizan(["box", "list", "--json"]).success().json();
        for status in listed.as_array().unwrap() {
            world.bartizan(["box", "stop", status["run"].as_str().unwrap()]).success();
        }
        drop((one.wait(), two.wait()));
    });
}

#[test]
fn a_killed_run_sends_nothing_more() {
    World::each(|world| {
        let sink = TcpSink::echo();
        world.dns.addresses("allowed.test", &["127.0.0.1"]);
        world.home.install(probe(), "probe");
        world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: allowed.test, ports: {}, private: true }}]\n",
            sink.port()
        ));
        let mut running = world.run(["./probe", "hold", &format!("allowed.test:{}", sink.port()), "50"]).spawn();
        running.wait_for_stdout("hold opened");
        let inside = descendants(running.id());
        let before = sink.arrived().byte_count;
        eventually("it keeps sending", || sink.arrived().byte_count > before);
        running.signal(Signal::KILL);
        eventually("the box is gone", || inside.iter().all(|process| !process.is_alive()));
        let after = sink.arrived().byte_count;
        // Long enough for a survivor to send twice.
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(sink.arrived().byte_count, after, "something still sends");
        drop(running);
        world.run(["true"]).success();
        world.assert_closed("net.connect", "allowed.test", "unknown");
        world.assert_closed("exec.run", "hold", "unknown");
        world.verify();
    });
}

/// A run's directory goes with its box, a moment before its last entry is written.
#[test]
fn a_run_without_its_directory_still_has_its_say() {
    World::each(|world| {
        let script = "echo begun; until [ -e go ]; do sleep 0.05; done";
        let mut ending = world.run(["sh", "-c", script]).spawn();
        ending.wait_for_stdout("begun");
        for directory in fs::read_dir(world.home.bartizan_home().join("run")).unwrap().flatten() {
            fs::remove_dir_all(directory.path()).unwrap();
        }
        // Somebody died earlier, so that the next run looks for what is to be closed.
        fs::write(world.home.bartizan_home().join("open").join(RunId::generate().as_str()), "").unwrap();
        world.run(["true"]).success();
        assert!(world.deed("exec.run", "until")["closed"].is_null());
        fs::write(world.home.workspace().join("go"), "").unwrap();
        assert_eq!(ending.wait().code(), 0);
        world.assert_closed("exec.run", "until", "done");
        world.verify();
    });
}

/// Whom a trial kills.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Keeper,
    Janitor,
    Both,
}

fn kill(pid: u32) {
    // It may be gone already.
    let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL);
}

/// Kills at moments that are spread over a run's whole life, start and end included.
#[test]
fn kills_at_any_moment_leave_nothing_behind() {
    const TRIALS: u64 = 60;
    /// A run of this length takes about so long here; later moments fall on its end.
    const SPREAD_MICROSECONDS: u64 = 150_000;
    World::each(|world| {
        world.policy("");
        let runs = world.home.bartizan_home().join("run");
        let (mut seen, mut bystanders): (Vec<String>, Vec<Process>) = (Vec::new(), Vec::new());
        for trial in 0..TRIALS {
            let victim = [Victim::Keeper, Victim::Janitor, Victim::Both][usize::try_from(trial % 3).unwrap()];
            let script =
                "for i in 1 2 3 4 5 6 7 8; do /bin/true; echo $i >>beat; done; sleep 600 & sleep 0.05; kill $!";
            let mut running = world.shell(script).spawn();
            // The moment is the point of the trial; nothing is waited for.
            std::thread::sleep(Duration::from_micros(trial.wrapping_mul(0x9e37_79b9_7f4a_7c15) % SPREAD_MICROSECONDS));
            seen.extend(names(&runs).into_iter().map(|run| run.replace('_', "-")));
            let family = descendants(running.id());
            let janitor = family.iter().find(|process| process.name.contains("jail"));
            if let (Victim::Janitor | Victim::Both, Some(janitor)) = (victim, janitor) {
                kill(janitor.pid);
            }
            if matches!(victim, Victim::Keeper | Victim::Both) || janitor.is_none() {
                kill(running.id());
            }
            bystanders.extend(family);
            eventually("the run ends", || !running.is_running());
            drop(running);
            eventually(&format!("nothing of trial {trial} ({victim:?}) runs on"), || {
                bystanders.retain(Process::is_alive);
                bystanders.is_empty()
            });
        }
        // The next start clears up after those who could not do it themselves.
        world.run(["true"]).success();
        assert_eq!(names(&runs), Vec::<String>::new(), "run directories are left");
        seen.sort();
        seen.dedup();
        assert_eq!(control_groups(&seen), Vec::<std::path::PathBuf>::new(), "control groups are left");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(world.home.root().to_str().unwrap()), "mounts are left");
        world.verify();
        for row in world.rows() {
            let ended = row["record"]["type"] != "opened" || !row["closed"].is_null();
            assert!(ended, "left open: {row:#}");
        }
    });
}

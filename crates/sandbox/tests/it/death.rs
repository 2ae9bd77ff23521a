//! Whatever dies, the box dies with it and leaves nothing.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bartizan_sandbox::collect_leftovers;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Place, both, exists};

const PATIENCE: Duration = Duration::from_secs(10);

/// Not a test: the process that the tests kill. It starts a box and says where it is.
#[test]
#[ignore = "run by the other tests of this module"]
fn host() {
    let Some(base) = std::env::var_os("BARTIZAN_TEST_BASE") else { return };
    let place = Place::at(base.into());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut spec = place.spec(&["/bin/sh", "-c", "sleep 1000 & sleep 1000 & setsid sleep 1000 & sleep 1000"]);
        spec.gate_exec = false;
        let run_dir = spec.run_dir.clone();
        let running = bartizan_sandbox::prepare(spec)
            .unwrap()
            .start(&bartizan_testkit::gate::admitted("test").await)
            .await
            .unwrap();
        while running.processes().len() < 5 {
            tokio::task::yield_now().await;
        }
        let groups: Vec<_> = running.cgroups().iter().map(|path| path.display().to_string()).collect();
        println!("\nBOX {} {} {}", running.first_process(), run_dir.display(), groups.join(" "));
        let report = running.wait().await;
        println!("\nREPORT {report:?}");
    });
}

struct Host {
    child: Child,
    first: i32,
    janitor: i32,
    processes: Vec<i32>,
    traces: Vec<PathBuf>,
    output: BufReader<std::process::ChildStdout>,
}

fn start(place: &Place) -> Host {
    #[allow(clippy::disallowed_methods, reason = "starts this test program itself")]
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "death::host", "--ignored", "--nocapture"])
        .env("BARTIZAN_TEST_BASE", place.work.parent().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let line = loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the host process ended");
        if let Some(found) = line.strip_prefix("BOX ") {
            break found.trim().to_owned();
        }
    };
    let mut words = line.split(' ');
    let first: i32 = words.next().unwrap().parse().unwrap();
    let parent = |pid: i32| -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let is_inside = |pid: &i32| std::iter::successors(Some(*pid), |pid| parent(*pid)).any(|pid| pid == first);
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(is_inside)
        .collect();
    let janitor = parent(first).unwrap();
    Host { child, first, janitor, processes, traces: words.map(PathBuf::from).collect(), output }
}

impl Host {
    fn kill(&mut self, pids: &[i32]) {
        for pid in pids {
            kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL).unwrap();
        }
    }

    #[track_caller]
    fn assert_gone(&self, traces: &[PathBuf]) {
        let deadline = Instant::now() + PATIENCE;
        let alive = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
        };
        loop {
            let living: Vec<_> = self.processes.iter().chain([&self.janitor]).filter(|pid| alive(pid)).collect();
            let left: Vec<_> = traces.iter().filter(|path| exists(path)).collect();
            if living.is_empty() && left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "alive: {living:?}, left: {left:?}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn killing_bartizan_ends_the_box() {
    both("death::killing_bartizan_ends_the_box", |place| async move {
        let mut host = start(&place);
        assert!(host.processes.len() >= 5 && host.traces.iter().all(exists));
        host.child.kill().unwrap();
        host.child.wait().unwrap();
        host.assert_gone(&host.traces);
    });
}

#[test]
fn killing_the_janitor_ends_the_box() {
    both("death::killing_the_janitor_ends_the_box", |place| async move {
        let mut host = start(&place);
        host.kill(&[host.janitor]);
        let groups = host.traces[1..].to_vec();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut host.output, &mut rest).unwrap();
        assert!(rest.contains("REPORT ExitReport { status: Ended"), "{rest}");
        host.child.wait().unwrap();
        host.assert_gone(&groups);
    });
}

#[test]
fn killing_the_first_process_ends_the_box() {
    both("death::killing_the_first_process_ends_the_box", |place| async move {
        let mut host = start(&place);
        host.kill(&[host.first]);
        host.child.wait().unwrap();
        host.assert_gone(&host.traces[1..]);
    });
}

#[test]
fn killing_both_leaves_only_what_the_next_start_collects() {
    both("death::killing_both_leaves_only_what_the_next_start_collects", |place| async move {
        let mut host = start(&place);
        // Stopped first, so that neither sees the other die.
        let (bartizan, janitor) = (i32::try_from(host.child.id()).unwrap(), host.janitor);
        kill_process(Pid::from_raw(janitor).unwrap(), Signal::STOP).unwrap();
        host.kill(&[bartizan, janitor]);
        host.child.wait().unwrap();
        host.assert_gone(&[]);
        assert!(host.traces.iter().all(exists));
        let found = collect_leftovers(&place.runs).unwrap();
        assert_eq!(found.runs.len(), 1);
        host.assert_gone(&host.traces);
        assert_eq!(collect_leftovers(&place.runs).unwrap().runs, [""; 0]);
    });
}

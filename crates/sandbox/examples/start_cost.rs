//! Times the box alone: `/bin/true` in a full box, against the same in bubblewrap if it is installed.
//!
//! `cargo run --release -p bartizan-sandbox --example start_cost [-- ROUNDS]`
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measuring program may fail by panicking, and starts the program it compares with"
)]

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio as Pipe};
use std::time::{Duration, Instant};

use bartizan_sandbox::{BoxSpec, Demand, Limits, RootMapping, Stdio, prepare};

const ROUNDS: usize = 200;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let place = std::env::temp_dir().join(format!("start-cost-{}", std::process::id()));
    std::fs::create_dir(&place).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut boxes = [Vec::new(), Vec::new()];
    let mut others = Vec::new();
    for round in 0..rounds {
        for (times, cgroup) in boxes.iter_mut().zip([Demand::Preferred, Demand::Off]) {
            times.push(runtime.block_on(one(&place, round, cgroup)));
        }
        others.extend(bubblewrap());
    }
    std::fs::remove_dir_all(place).unwrap();
    report("box", &mut boxes[0]);
    report("box without cgroup", &mut boxes[1]);
    report("bwrap", &mut others);
}

async fn one(place: &Path, round: usize, cgroup: Demand) -> Duration {
    let run = format!("cost-{round}-{cgroup:?}");
    let run_dir = place.join(&run);
    std::fs::create_dir(&run_dir).unwrap();
    let null = || OwnedFd::from(std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap());
    let spec = BoxSpec {
        run,
        argv: vec!["/bin/true".into()],
        cwd: place.to_path_buf(),
        env: Vec::new(),
        home: "/home/agent".into(),
        read: ["/usr", "/etc", "/opt", "/bin", "/sbin", "/lib", "/lib64"].map(PathBuf::from).to_vec(),
        write: vec![place.to_path_buf()],
        readonly: Vec::new(),
        mask: Vec::new(),
        texts: Vec::new(),
        secrets: Vec::new(),
        guard_names: vec![".git/hooks/**".to_owned()],
        gate_exec: false,
        limits: Limits::default(),
        cgroup,
        landlock: Demand::Required,
        root_mapping: RootMapping::Drop,
        stdio: Stdio::Descriptors([null(), null(), null()]),
        run_dir,
    };
    let begin = Instant::now();
    let running = prepare(spec).unwrap().start(&bartizan_testkit::gate::admitted("test").await).await.unwrap();
    running.wait().await;
    begin.elapsed()
}

fn bubblewrap() -> Option<Duration> {
    let begin = Instant::now();
    let status = Command::new("bwrap")
        .args(["--unshare-all", "--ro-bind", "/", "/", "/bin/true"])
        .stdin(Pipe::null())
        .status()
        .ok()?;
    status.success().then(|| begin.elapsed())
}

fn report(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    println!("{name:20} p10 {:?}  p50 {:?}  p90 {:?}  of {}", at(10), at(50), at(90), times.len());
}

//! Runs a test as root and as an ordinary user, and makes boxes for it.

use std::ffi::OsString;
use std::future::Future;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_sandbox::{
    BoxSpec, Demand, ExitReport, ExitStatus, Limits, PreparedBox, RootMapping, RunningBox, Stdio, prepare,
};

const NOBODY: u32 = 65534;

/// Runs `test` here and, when here is root, once more as an ordinary user.
pub(crate) fn both<F: Future<Output = ()>>(name: &str, test: impl Fn(Place) -> F) {
    run(&test);
    if !rustix::process::getuid().is_root() {
        return;
    }
    let output = loop {
        #[allow(clippy::disallowed_methods, reason = "starts this test program itself as another user")]
        let started = Command::new(readable_copy())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir("/")
            .output();
        // Another test's child may still hold the copy open for writing, until its own exec.
        match started {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
            other => break other.unwrap(),
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "as an ordinary user:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The test program may stand where an ordinary user cannot read it.
fn readable_copy() -> &'static Path {
    static COPY: std::sync::OnceLock<(tempfile::TempDir, PathBuf)> = std::sync::OnceLock::new();
    let (_, path) = COPY.get_or_init(|| {
        let directory = tempfile::Builder::new().prefix("it-").tempdir_in("/var/tmp").unwrap();
        let path = directory.path().join("it");
        std::fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
        for path in [directory.path(), &path] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        (directory, path)
    });
    path
}

/// Runs `test` if this is root: what it shows has no counterpart for ordinary users.
pub(crate) fn as_root<F: Future<Output = ()>>(test: impl Fn(Place) -> F) {
    if rustix::process::getuid().is_root() {
        run(&test);
    } else {
        println!("skipped: needs root");
    }
}

fn run<F: Future<Output = ()>>(test: &impl Fn(Place) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test(Place::new()));
}

/// A workspace and a run directory.
pub(crate) struct Place {
    pub(crate) work: PathBuf,
    pub(crate) runs: PathBuf,
    _directory: Option<tempfile::TempDir>,
}

/// What a finished box said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) report: ExitReport,
    pub(crate) out: String,
    #[allow(dead_code, reason = "shown when a test fails")]
    pub(crate) err: String,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("bartizan-it-").tempdir_in("/var/tmp").unwrap();
        let base = directory.path().canonicalize().unwrap();
        let (work, runs) = (base.join("work"), base.join("runs"));
        std::fs::create_dir(&work).unwrap();
        std::fs::create_dir(&runs).unwrap();
        Self { work, runs, _directory: Some(directory) }
    }

    /// A place that another process made and removes.
    pub(crate) fn at(base: PathBuf) -> Self {
        Self { work: base.join("work"), runs: base.join("runs"), _directory: None }
    }

    pub(crate) fn spec(&self, argv: &[&str]) -> BoxSpec {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let run = format!("it-{}-{number}", std::process::id());
        let run_dir = self.runs.join(&run);
        std::fs::create_dir(&run_dir).unwrap();
        let null = || OwnedFd::from(std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap());
        BoxSpec {
            run,
            argv: argv.iter().map(OsString::from).collect(),
            cwd: self.work.clone(),
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()), ("HOME".into(), "/home/agent".into())],
            home: "/home/agent".into(),
            read: ["/usr", "/etc", "/opt", "/bin", "/sbin", "/lib", "/lib32", "/lib64"].map(PathBuf::from).to_vec(),
            write: vec![self.work.clone()],
            readonly: Vec::new(),
            mask: Vec::new(),
            texts: Vec::new(),
            secrets: Vec::new(),
            guard_names: Vec::new(),
            gate_exec: false,
            limits: Limits { memory: Some(512 << 20), ..Limits::default() },
            cgroup: Demand::Preferred,
            landlock: Demand::Required,
            root_mapping: RootMapping::Drop,
            stdio: Stdio::Descriptors([null(), null(), null()]),
            run_dir,
        }
    }

    /// Runs a shell script in a box.
    pub(crate) async fn shell(&self, script: &str) -> Said {
        run_to_end(self.spec(&["/bin/sh", "-c", script])).await
    }
}

/// Runs a box to its end; nobody answers the warden.
pub(crate) async fn run_to_end(spec: BoxSpec) -> Said {
    run_with(spec, |_| {}).await
}

pub(crate) async fn run_with(mut spec: BoxSpec, with: impl FnOnce(&mut RunningBox)) -> Said {
    let (out, err) = capture(&mut spec);
    let prepared: PreparedBox = prepare(spec).unwrap();
    let mut running = prepared.start(&bartizan_testkit::gate::admitted("test").await).await.unwrap();
    with(&mut running);
    let report = running.wait().await;
    Said { report, out: out.await.unwrap(), err: err.await.unwrap() }
}

pub(crate) type Captured = tokio::task::JoinHandle<String>;

pub(crate) fn capture(spec: &mut BoxSpec) -> (Captured, Captured) {
    let (out_read, out) = std::io::pipe().unwrap();
    let (err_read, err) = std::io::pipe().unwrap();
    let input = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    spec.stdio = Stdio::Descriptors([input, out.into(), err.into()]);
    let read = |mut pipe: std::io::PipeReader| {
        tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    (read(out_read), read(err_read))
}

impl Said {
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.report.status, ExitStatus::Exited(0), "{self:?}");
        self.out
    }
}

pub(crate) fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().symlink_metadata().is_ok()
}

//! Running a program with a deadline, with everything it prints captured.

use std::{
    ffi::OsStr,
    fmt,
    io::{Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{DEADLINE, Terminal, User};

/// Output kept of each stream; a program that prints more is cut off, not waited for.
const CAPTURE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A program that is about to run.
#[derive(Debug)]
pub struct Run {
    pub(crate) command: Command,
    stdin: Vec<u8>,
    deadline: Duration,
}

impl Run {
    /// Run `program` as `user`, with the environment of the tests until [`clear_env`](Self::clear_env).
    pub fn new(program: impl AsRef<OsStr>, user: User) -> Self {
        let mut command = Command::new(program);
        user.apply(&mut command);
        die_with_parent(&mut command);
        Self { command, stdin: Vec::new(), deadline: DEADLINE }
    }

    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    #[must_use]
    pub fn arg(self, argument: impl AsRef<OsStr>) -> Self {
        self.args([argument])
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    #[must_use]
    pub fn clear_env(mut self) -> Self {
        self.command.env_clear();
        self
    }

    #[must_use]
    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// What the program reads on its standard input; nothing without this.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// End the program after this long instead of [`DEADLINE`].
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Let the caller adjust what this builder doesn't cover (descriptors, limits).
    #[must_use]
    pub fn with(mut self, adjust: impl FnOnce(&mut Command)) -> Self {
        adjust(&mut self.command);
        self
    }

    /// Run to the end. A program that outlives its deadline is killed by pid and the test fails.
    pub fn output(self) -> Output {
        self.spawn().wait()
    }

    /// Run to the end, expecting success.
    pub fn success(self) -> Output {
        let output = self.output();
        assert!(output.status.success(), "{output}");
        output
    }

    /// Start, and let the test go on.
    pub fn spawn(mut self) -> Running {
        let line = format!("{:?}", self.command);
        let mut child = self
            .command
            .stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {line}: {error}"));
        if let Some(mut stdin) = child.stdin.take() {
            let bytes = std::mem::take(&mut self.stdin);
            // A program that doesn't read its input to the end is not an error here.
            thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        let stdout = Capture::start(child.stdout.take().unwrap());
        let stderr = Capture::start(child.stderr.take().unwrap());
        Running { line, child, stdout, stderr, started: Instant::now(), deadline: self.deadline }
    }

    /// Start under a pseudo-terminal of this size.
    pub fn terminal(self, rows: u16, columns: u16) -> Terminal {
        Terminal::spawn(self.command, rows, columns)
    }
}

/// A program that runs; killed by pid when dropped.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    stdout: Capture,
    stderr: Capture,
    started: Instant,
    deadline: Duration,
}

impl Running {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What was printed so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What was printed to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Send a signal to this process alone.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, signal);
    }

    /// Wait for standard output to hold `text`.
    pub fn wait_for_stdout(&mut self, text: &str) {
        self.wait_for(text, |running| running.stdout().contains(text));
    }

    /// Wait for standard error to hold `text`.
    pub fn wait_for_stderr(&mut self, text: &str) {
        self.wait_for(text, |running| running.stderr().contains(text));
    }

    fn wait_for(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        while !condition(self) {
            let ended = !self.is_running();
            if condition(self) {
                return;
            }
            assert!(
                !ended && self.started.elapsed() < self.deadline,
                "{} {} before printing `{what}`\nstdout: {}\nstderr: {}",
                self.line,
                if ended { "ended" } else { "ran out of time" },
                self.stdout(),
                self.stderr()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Wait for the end. A program that outlives its deadline is killed by pid and the test fails.
    pub fn wait(mut self) -> Output {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > self.deadline {
                let _ = self.child.kill();
                panic!(
                    "{} ran longer than {:?} and was killed\nstdout: {}\nstderr: {}",
                    self.line,
                    self.deadline,
                    self.stdout(),
                    self.stderr()
                );
            }
            thread::sleep(Duration::from_millis(2));
        };
        // Something the program left behind may hold the pipes open: that is a finding of other tests.
        self.stdout.finish(Duration::from_secs(2));
        self.stderr.finish(Duration::from_secs(2));
        Output {
            line: self.line.clone(),
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            elapsed: self.started.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a program ended and what it printed.
#[derive(Debug)]
pub struct Output {
    line: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
}

impl Output {
    /// The exit status as a shell would give it: 128 + N for signal N.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default())
    }

    /// Assert this exit status.
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{self}");
        self
    }

    /// Standard output as one JSON value.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))
    }

    /// Standard output as JSON lines.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error}\n{self}")))
            .collect()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ended with {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.line, self.status, self.elapsed, self.stdout, self.stderr
        )
    }
}

/// A stream that is read to its end in the background.
#[derive(Debug)]
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    fn start(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut kept = kept.lock().unwrap();
                let room = CAPTURE_BYTES_MAX - kept.len();
                kept.extend_from_slice(&buffer[..count.min(room)]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn finish(&mut self, patience: Duration) {
        let started = Instant::now();
        let Some(reader) = self.reader.take() else { return };
        while !reader.is_finished() && started.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Have the kernel end the program when the test's thread ends, whatever way that is.
fn die_with_parent(command: &mut Command) {
    #[allow(unsafe_code, reason = "prctl between fork and exec")]
    // SAFETY: prctl is async-signal-safe and the closure touches no memory of the parent.
    unsafe {
        command.pre_exec(|| {
            // Whoever runs the tests in the background has them ignored, and programs inherit that.
            for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
}

//! `bartizan check` as something that is asked again and again.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::World;

/// How long a change may take to be noticed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `bartizan check` that goes on while its policy changes.
pub struct Checking {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Checking {
    pub fn under(world: &World, policy: &Path) -> Self {
        let mut child = Command::new(world.home.binary())
            .args(["check", "--policy"])
            .arg(policy)
            .env("BARTIZAN_HOME", world.home.bartizan_home())
            .env("HOME", world.home.user_home())
            .current_dir(world.home.workspace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// Effect and rule of the answer.
    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        format!("{} {}", answer["effect"].as_str().unwrap(), answer["rule"]["rule"].as_str().unwrap())
    }

    /// Asks until it is answered like this.
    pub fn until(&mut self, line: &str, wanted: &str) {
        let start = Instant::now();
        while self.ask(line) != wanted {
            assert!(start.elapsed() < PATIENCE, "{line} never became `{wanted}`");
            std::thread::yield_now();
        }
    }

    /// What it said on standard error.
    pub fn end(mut self) -> String {
        drop(self.input);
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(self.child.wait().unwrap().success(), "{told}");
        told
    }
}

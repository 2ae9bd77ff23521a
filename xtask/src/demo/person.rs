//! The person of the demo: answers what the agent has to ask, as somebody would in another terminal.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{servers::RELEASES_NAME, world::World};
use crate::shell;

/// Watches until it is sent home.
pub(super) struct Person {
    watch: Child,
    answers: Receiver<(String, String, &'static str)>,
    thread: JoinHandle<()>,
}

impl Person {
    /// Starts `bartizan approval watch` and answers every question with `bartizan approval approve` or `deny`.
    pub(super) fn arrive(world: &World) -> Result<Self> {
        let mut watch = world
            .bartizan()
            .args(["approval", "watch", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start `bartizan approval watch`")?;
        let output = watch.stdout.take().context("`bartizan approval watch` has no output")?;
        let (binary, home) = (world.binary.clone(), world.home.clone());
        let (sender, answers) = channel();
        let thread = thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Some((number, action, target)) = question(&line) else { continue };
                // Exactly what was announced is fine; everything else wasn't announced.
                let is_expected = target.contains(RELEASES_NAME);
                let answer = if is_expected { "approve" } else { "deny" };
                // `--run`: the same action again in this run needs no second answer.
                let more: &[&str] = if is_expected { &["--run"] } else { &[] };
                let mut command = shell::command(&binary);
                command.env("HOME", &home).env_remove("BARTIZAN_HOME").args(["approval", answer, &number]).args(more);
                if shell::succeeds(&mut command) && sender.send((action, target, answer)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { watch, answers, thread })
    }

    /// Ends the watch; gives what was answered: action, target, answer.
    pub(super) fn leave(mut self) -> Vec<(String, String, &'static str)> {
        let _ = self.watch.kill();
        let _ = self.watch.wait();
        let _ = self.thread.join();
        self.answers.try_iter().collect()
    }
}

/// Number, kind of action and target of one question.
fn question(line: &str) -> Option<(String, String, String)> {
    let question: Value = serde_json::from_str(line).ok()?;
    let deed = question.pointer("/action/deed")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let target = ["path", "host", "name", "program"].iter().find_map(|key| deed.get(key).and_then(text))?;
    Some((question.get("number").and_then(text)?, deed.get("kind").and_then(text)?, target))
}

#[cfg(test)]
mod tests {
    use super::question;

    #[test]
    fn reads_what_is_asked() {
        let line = r#"{"number":"ABC","action":{"deed":{"kind":"net.connect","host":"a.test","port":1}}}"#;
        assert_eq!(question(line).unwrap(), ("ABC".into(), "net.connect".into(), "a.test".into()));
        assert!(question("{}").is_none());
    }
}

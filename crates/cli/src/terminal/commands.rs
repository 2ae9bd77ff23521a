//! What the relay is told, and what it tells: the only ways into and out of its thread.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use tokio::sync::watch;

use super::prompt::Question;

/// What others tell the relay.
pub(super) enum Command {
    Ask(Box<Question>),
    Withdraw(u64),
    /// The window has another size.
    Resize,
    /// The user wants the shell back (SIGTSTP).
    Suspend,
    /// Running again, perhaps after someone else used the terminal (SIGCONT).
    Continue,
    /// We are told to end (SIGTERM, SIGHUP, SIGINT, SIGQUIT).
    Terminate,
    /// The program has exited: relay what is left, then stop.
    Finish,
    /// Stop now.
    Abort,
}

/// Where commands are put.
pub(super) struct Commands {
    sender: mpsc::Sender<Command>,
    pub(super) wake: OwnedFd,
    questions: AtomicU64,
}

impl Commands {
    pub(super) fn new(sender: mpsc::Sender<Command>, wake: OwnedFd) -> Self {
        Self { sender, wake, questions: AtomicU64::new(0) }
    }

    pub(super) fn send(&self, command: Command) {
        // A relay that has stopped needs no commands.
        if self.sender.send(command).is_ok() {
            _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    pub(super) fn next_question(&self) -> u64 {
        self.questions.fetch_add(1, Ordering::Relaxed)
    }
}

/// What the relay tells others.
pub(super) struct Status {
    pub(super) output_bytes: AtomicU64,
    pub(super) limit_passed: watch::Sender<bool>,
    pub(super) terminated: watch::Sender<bool>,
    pub(super) stopped: watch::Sender<bool>,
}

impl Status {
    pub(super) fn new() -> Self {
        Self {
            output_bytes: AtomicU64::new(0),
            limit_passed: watch::Sender::new(false),
            terminated: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
        }
    }
}

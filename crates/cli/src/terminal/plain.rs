//! Asks in one line on `/dev/tty`, for a program that runs in pipes while a person is still there to be asked.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bartizan_scan::printable;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, isatty, tcflush, tcgetpgrp};
use tokio::sync::Mutex;

use super::panel::Timing;
use super::prompt::{PromptAnswer, PromptView};

/// How often a waiting question looks whether it was withdrawn.
const LOOK: Duration = Duration::from_millis(100);

/// Longer lines aren't answers.
const LINE_BYTES_MAX: usize = 256;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Asks on the controlling terminal, one question at a time.
pub(crate) struct PlainPrompt {
    terminal: Arc<OwnedFd>,
    timing: Timing,
    turn: Mutex<()>,
}

impl PlainPrompt {
    /// `None` when there is no controlling terminal, or standard error, where a person would see what happens,
    /// isn't one.
    pub(crate) fn open() -> Option<Self> {
        if !isatty(io::stderr()) {
            return None;
        }
        let terminal = open("/dev/tty", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        Some(Self::over(terminal, Timing::default()))
    }

    pub(super) fn over(terminal: OwnedFd, timing: Timing) -> Self {
        Self { terminal: Arc::new(terminal), timing, turn: Mutex::new(()) }
    }

    /// Asks, and waits for the answer, the timeout, or for `cancelled`. Dropping the future withdraws the question.
    pub(crate) async fn prompt(&self, view: PromptView, cancelled: impl Future<Output = ()>) -> PromptAnswer {
        let deadline = Instant::now() + view.timeout;
        let withdrawal = Withdrawal(Arc::new(AtomicBool::new(false)));
        let ask = async {
            let Ok(_turn) = tokio::time::timeout_at(deadline.into(), self.turn.lock()).await else {
                return PromptAnswer::TimedOut;
            };
            let conversation = Conversation {
                terminal: Arc::clone(&self.terminal),
                timing: self.timing,
                deadline,
                withdrawn: Arc::clone(&withdrawal.0),
            };
            tokio::task::spawn_blocking(move || conversation.ask(&view)).await.unwrap_or(PromptAnswer::Cancelled)
        };
        tokio::select! {
            answer = ask => answer,
            () = cancelled => PromptAnswer::Cancelled,
        }
    }
}

struct Withdrawal(Arc<AtomicBool>);

impl Drop for Withdrawal {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Conversation {
    terminal: Arc<OwnedFd>,
    timing: Timing,
    deadline: Instant,
    withdrawn: Arc<AtomicBool>,
}

impl Conversation {
    fn ask(&self, view: &PromptView) -> PromptAnswer {
        self.talk(view).unwrap_or_else(|ending| {
            match ending {
                PromptAnswer::TimedOut => self.say("\nbartizan: no answer in time, denied\n"),
                PromptAnswer::Cancelled => self.say("\nbartizan: answered elsewhere\n"),
                _ => {}
            }
            ending
        })
    }

    /// An error is an ending without an answer.
    fn talk(&self, view: &PromptView) -> Result<PromptAnswer, PromptAnswer> {
        // Reading from the background would stop the process; another terminal can still answer.
        while !self.is_in_foreground() {
            self.rest()?;
            std::thread::sleep(LOOK);
        }
        self.say(&question(view, self.deadline.saturating_duration_since(Instant::now())));
        self.discard_type_ahead()?;
        let mut line = Vec::new();
        loop {
            if !self.wait(LOOK.min(self.rest()?))? {
                continue;
            }
            let mut buffer = [0; LINE_BYTES_MAX];
            let length = match rustix::io::read(&*self.terminal, &mut buffer) {
                Ok(0) => return Ok(PromptAnswer::Deny),
                Ok(length) => length,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(_) => return Err(PromptAnswer::Cancelled),
            };
            line.extend_from_slice(buffer.get(..length).unwrap_or_default());
            if line.last() == Some(&b'\n') || line.len() >= LINE_BYTES_MAX {
                if let Some(answer) = parse(&line) {
                    return Ok(answer);
                }
                line.clear();
                self.say("bartizan: answer a, r, p1, p7, p30 or d: ");
            }
        }
    }

    /// What was typed before the question stood there doesn't answer it.
    fn discard_type_ahead(&self) -> Result<(), PromptAnswer> {
        let mut silent_until = Instant::now() + self.timing.guard;
        loop {
            let left = silent_until.saturating_duration_since(Instant::now());
            let typed = !left.is_zero() && self.wait(left.min(self.rest()?))?;
            tcflush(&*self.terminal, QueueSelector::IFlush).map_err(|_| PromptAnswer::Cancelled)?;
            if typed {
                silent_until = Instant::now() + self.timing.guard;
            } else if Instant::now() >= silent_until {
                return Ok(());
            }
        }
    }

    /// The time left, or why the question ended.
    fn rest(&self) -> Result<Duration, PromptAnswer> {
        if self.withdrawn.load(Ordering::Relaxed) {
            return Err(PromptAnswer::Cancelled);
        }
        let rest = self.deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() { Err(PromptAnswer::TimedOut) } else { Ok(rest) }
    }

    fn wait(&self, timeout: Duration) -> Result<bool, PromptAnswer> {
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut descriptors = [PollFd::new(&*self.terminal, PollFlags::IN)];
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(_) => Err(PromptAnswer::Cancelled),
        }
    }

    fn is_in_foreground(&self) -> bool {
        tcgetpgrp(&*self.terminal).map_or(true, |group| group == getpgrp())
    }

    fn say(&self, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(&*self.terminal, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                // Who can't be asked doesn't answer, and that denies.
                Err(_) => return,
            }
        }
    }
}

fn question(view: &PromptView, left: Duration) -> String {
    let PromptView { title, action, target, principal, process, reason, risk, digest, .. } = view;
    let line = format!(
        "bartizan asks: {title}: {action} {target} by {principal} {process} ({reason}; risk {risk}; {digest}): a once, r this run, p1/p7/p30 this policy for days, d deny, then Enter [{} s]: ",
        left.as_secs()
    );
    format!("\n{}", printable(&line))
}

fn parse(line: &[u8]) -> Option<PromptAnswer> {
    match line.trim_ascii() {
        b"a" => Some(PromptAnswer::Once),
        b"r" => Some(PromptAnswer::ForRun),
        b"p1" => Some(PromptAnswer::ForPolicyUntil(DAY)),
        b"p7" => Some(PromptAnswer::ForPolicyUntil(DAY * 7)),
        b"p30" => Some(PromptAnswer::ForPolicyUntil(DAY * 30)),
        b"d" | b"D" => Some(PromptAnswer::Deny),
        _ => None,
    }
}

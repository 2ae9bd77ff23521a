//! Deals with offenders as told, and says what was blocked.

use std::sync::atomic::{AtomicU64, Ordering};

use bartizan_net::watch::{Attempt, Offenders};
use bartizan_sandbox::guarded::Group;

use crate::commands::watch::Offender;
use crate::output::{Style, short};

/// Lines shown before the rest is only in the ledger.
const LINES_MAX: u64 = 50;
/// A name a program gave itself can be long.
const COMMAND_CHARACTERS_MAX: usize = 64;

pub struct Dealing {
    style: Style,
    group: Group,
    offender: Offender,
    blocked: AtomicU64,
}

impl Dealing {
    pub fn new(style: Style, group: Group, offender: Offender) -> Self {
        Self { style, group, offender, blocked: AtomicU64::new(0) }
    }

    pub fn summarise(&self) {
        let blocked = self.blocked.load(Ordering::Relaxed);
        if blocked > 0 {
            eprintln!(
                "{} {blocked} different attempts were blocked; see `bartizan net log`",
                self.style.warn("bartizan:")
            );
        }
    }

    /// Where only a group can be told, the group is the offender.
    fn stop(&self, pid: Option<u32>) -> String {
        let ended = match pid {
            Some(pid) => self.group.end_process(pid).map(|()| "was ended"),
            None if self.group.is_root() => return "was left alone: which process it is can't be told".to_owned(),
            None => self.group.end().map(|()| "was ended with its whole group, which process it is can't be told"),
        };
        ended.map_or_else(|error| format!("could not be ended ({error})"), str::to_owned)
    }

    fn freeze(&self, pid: Option<u32>) -> String {
        if !self.group.is_root() {
            return match self.group.freeze(true) {
                Ok(()) => format!(
                    "was frozen with its group; `echo 0 > {}/cgroup.freeze` lets it go on",
                    self.group.directory().display()
                ),
                Err(error) => format!("could not be frozen ({error})"),
            };
        }
        match pid {
            Some(pid) => match self.group.stop_process(pid) {
                Ok(()) => format!("was stopped; `kill -CONT {pid}` lets it go on"),
                Err(error) => format!("could not be stopped ({error})"),
            },
            None => "was left alone: which process it is can't be told".to_owned(),
        }
    }
}

impl Offenders for Dealing {
    fn seize(&self, attempt: &Attempt) -> Option<String> {
        let pid = attempt.process.as_ref().map(|process| process.pid);
        match self.offender {
            Offender::Continue => None,
            Offender::Stop => Some(self.stop(pid)),
            Offender::Freeze => Some(self.freeze(pid)),
        }
    }

    fn tell(&self, attempt: &Attempt, reason: &str) {
        if self.blocked.fetch_add(1, Ordering::Relaxed) >= LINES_MAX {
            return;
        }
        let command = short(&attempt.command, COMMAND_CHARACTERS_MAX);
        let command = bartizan_scan::printable(&command);
        let who = match &attempt.process {
            Some(process) => format!("{command} ({})", process.pid),
            None => "a process that can't be told".to_owned(),
        };
        eprintln!("{} blocked {who} → {}: {reason}", self.style.bad("bartizan:"), attempt.target);
    }

    fn shut(&self, problem: &str) {
        eprintln!("{} nothing is let through any more: {problem}", self.style.bad("bartizan:"));
    }
}

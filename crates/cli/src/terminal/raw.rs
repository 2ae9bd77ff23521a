//! The user's terminal in raw mode, and always back.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::process::getpgrp;
use rustix::termios::{self, OptionalActions, Termios};

/// Raw while it should be; dropping it restores the settings the terminal had.
pub(super) struct RawMode {
    terminal: OwnedFd,
    saved: Termios,
    is_raw: Mutex<bool>,
}

impl RawMode {
    /// Remembers the terminal's settings without changing them.
    pub(super) fn remember(terminal: OwnedFd) -> rustix::io::Result<Self> {
        let saved = termios::tcgetattr(&terminal)?;
        Ok(Self { terminal, saved, is_raw: Mutex::new(false) })
    }

    pub(super) fn saved(&self) -> &Termios {
        &self.saved
    }

    /// Passes every key through, Ctrl-C and Ctrl-Z included: they mean the program inside.
    pub(super) fn enter(&self) -> rustix::io::Result<()> {
        let mut is_raw = self.is_raw.lock().unwrap_or_else(PoisonError::into_inner);
        let mut settings = self.saved.clone();
        settings.make_raw();
        termios::tcsetattr(&self.terminal, OptionalActions::Now, &settings)?;
        *is_raw = true;
        Ok(())
    }

    /// Restores the settings, once.
    pub(super) fn leave(&self) {
        let mut is_raw = self.is_raw.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *is_raw) && self.is_in_foreground() {
            // Nothing can be done when the terminal is gone.
            _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.saved);
        }
    }

    /// In the background, changing the settings would stop the process, and they are the shell's by then. A terminal
    /// that controls no job of ours, as in tests, has no foreground to ask for.
    fn is_in_foreground(&self) -> bool {
        termios::tcgetpgrp(&self.terminal).map_or(true, |group| group == getpgrp())
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.leave();
    }
}

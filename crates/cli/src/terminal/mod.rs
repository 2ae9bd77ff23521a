//! The user's terminal during `bartizan run`: what the program sees of it, and where a person is asked.
//!
//! The program in the box gets a pseudo-terminal of its own. The user's terminal goes into raw mode, and a
//! relay copies bytes both ways, exactly as they are. When policy wants a person's answer, the relay stops
//! forwarding, shows a panel, and afterwards leaves the screen as the program had it.
//!
//! What a program writes is untrusted. It can draw a panel of its own, but keys pressed there go to the program and
//! answer nothing; it can't draw over the real one, because nothing of it is forwarded meanwhile.
//!
//! Start reading at [`Terminal`]; [`relay`] does the work, [`screen`] knows what is on the screen.

mod commands;
mod keys;
mod layout;
mod lexer;
mod panel;
mod plain;
mod prompt;
mod raw;
mod relay;
mod screen;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::termios::{OptionalActions, tcgetwinsize, tcsetattr, tcsetwinsize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

pub(crate) use panel::Timing;
pub(crate) use plain::PlainPrompt;
pub(crate) use prompt::{PromptAnswer, PromptView, Prompter};

use commands::{Command, Commands, Status};
use raw::RawMode;
use relay::{Parts, Relay};
use screen::Screen;

/// Why the terminal could not be taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    #[error("failed to read the terminal's settings; run with input and output redirected to do without a terminal")]
    Settings(#[source] io::Error),
    #[error("failed to make a pseudo-terminal; check that /dev/ptmx and /dev/pts are there (`bartizan doctor`)")]
    PseudoTerminal(#[source] io::Error),
    #[error("failed to start the terminal relay; check the limit on processes (`ulimit -u`)")]
    Relay(#[source] io::Error),
}

/// How long dropping a terminal waits for its relay to leave the screen in order.
const ABORT_MAX: Duration = Duration::from_secs(1);

/// What the caller decides.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// How many bytes the program may write.
    pub(crate) output_bytes_max: Option<u64>,
    /// Whether the panel uses colours.
    pub(crate) color: bool,
    /// How keys are told from typing ahead.
    pub(crate) timing: Timing,
}

/// What the terminal can do, by its name in `TERM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ability {
    /// Has an alternate screen.
    Full,
    /// Has one screen: the Linux console.
    OneScreen,
    /// Can't move its cursor.
    Lines,
}

impl Ability {
    fn of(term: &str) -> Self {
        match term {
            "" | "dumb" | "unknown" => Self::Lines,
            "linux" => Self::OneScreen,
            term if term.starts_with("linux-") => Self::OneScreen,
            _ => Self::Full,
        }
    }
}

/// The user's terminal, taken over. Dropping it gives the terminal back as it was.
pub(crate) struct Terminal {
    commands: Arc<Commands>,
    status: Arc<Status>,
    raw: Arc<RawMode>,
    signals: JoinHandle<()>,
    /// Closed by the relay's thread when it ends, however it ends.
    relay_ended: Mutex<mpsc::Receiver<()>>,
}

impl Terminal {
    /// Takes over the terminal on standard input and output for a program behind this master side of a pseudo-terminal.
    ///
    /// Needs a tokio runtime, for signals. The terminal is raw from here on: what is printed besides, until the value
    /// is dropped, wants `\r\n`.
    pub(crate) fn attach(master: OwnedFd, options: Options) -> Result<Self, OpenError> {
        let duplicate = |descriptor: &dyn AsFd| {
            fcntl_dupfd_cloexec(descriptor.as_fd(), 3).map_err(|source| OpenError::Settings(source.into()))
        };
        let (input, output) = (duplicate(&io::stdin())?, duplicate(&io::stdout())?);
        let term = std::env::var("TERM").unwrap_or_default();
        Self::over(input, output, master, options, Ability::of(&term), stop_self)
    }

    /// Takes over a given terminal.
    fn over(
        input: OwnedFd,
        output: OwnedFd,
        master: OwnedFd,
        options: Options,
        ability: Ability,
        stop: fn(),
    ) -> Result<Self, OpenError> {
        let settings = |source: rustix::io::Errno| OpenError::Settings(source.into());
        let pseudo_terminal = |source: rustix::io::Errno| OpenError::PseudoTerminal(source.into());
        let raw = RawMode::remember(input.try_clone().map_err(OpenError::Settings)?).map_err(settings)?;
        let size = tcgetwinsize(&output).map_err(settings)?;

        // Set on the master, they are those of the program's side.
        tcsetattr(&master, OptionalActions::Now, raw.saved()).map_err(pseudo_terminal)?;
        tcsetwinsize(&master, size).map_err(pseudo_terminal)?;
        rustix::io::ioctl_fionbio(&master, true).map_err(pseudo_terminal)?;

        let relay_error = |source: rustix::io::Errno| OpenError::Relay(source.into());
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(relay_error)?;
        let (sender, receiver) = mpsc::channel();
        let commands = Arc::new(Commands::new(sender, wake));
        let status = Arc::new(Status::new());
        let signals = tokio::spawn(watch_signals(Signals::new().map_err(OpenError::Relay)?, Arc::clone(&commands)));
        let raw = Arc::new(raw);
        let relay = Relay::new(Parts {
            input,
            output,
            program: master,
            commands: Arc::clone(&commands),
            receiver,
            screen: Screen::new(size, ability == Ability::Full),
            status: Arc::clone(&status),
            raw: Arc::clone(&raw),
            output_bytes_max: options.output_bytes_max,
            color: options.color,
            is_plain: ability == Ability::Lines,
            timing: options.timing,
            stop,
        });
        let (running, relay_ended) = mpsc::channel();
        let relay_ended = Mutex::new(relay_ended);
        let terminal = Self { commands, status, raw, signals, relay_ended };
        terminal.raw.enter().map_err(settings)?;
        let run = move || {
            let _running: mpsc::Sender<()> = running;
            relay.run();
        };
        std::thread::Builder::new().name("terminal".to_owned()).spawn(run).map_err(OpenError::Relay)?;
        Ok(terminal)
    }

    /// Asks the person at this terminal.
    pub(crate) fn prompter(&self) -> Prompter {
        Prompter::new(Arc::clone(&self.commands))
    }

    /// How much the program has written so far.
    pub(crate) fn output_bytes(&self) -> u64 {
        self.status.output_bytes.load(Ordering::Relaxed)
    }

    /// Completes when the program has written more than its limit. It stands still then, and is to be ended.
    pub(crate) fn output_limit_passed(&self) -> impl Future<Output = ()> + Send + 'static {
        let status = Arc::clone(&self.status);
        async move { becomes_true(&status.limit_passed).await }
    }

    /// Completes when we are told to end (SIGTERM, SIGHUP, SIGINT, SIGQUIT) or the terminal is gone. Its settings are
    /// restored by then. Those signals no longer end the process by themselves: the caller is to stop the box.
    pub(crate) fn terminated(&self) -> impl Future<Output = ()> + Send + 'static {
        let status = Arc::clone(&self.status);
        async move { becomes_true(&status.terminated).await }
    }

    /// After the program's exit: relays what it had still written and gives the terminal back.
    pub(crate) async fn finish(self) -> u64 {
        /// The relay bounds its own work; this is for a terminal that blocks a write for good.
        const STOP_MAX: Duration = Duration::from_secs(5);
        self.commands.send(Command::Finish);
        _ = tokio::time::timeout(STOP_MAX, becomes_true(&self.status.stopped)).await;
        self.output_bytes()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.signals.abort();
        self.commands.send(Command::Abort);
        // The relay may be amid a write that the terminal doesn't take; its settings are restored all the same.
        let relay_ended = self.relay_ended.lock().unwrap_or_else(PoisonError::into_inner);
        _ = relay_ended.recv_timeout(ABORT_MAX);
        self.raw.leave();
    }
}

async fn becomes_true(flag: &tokio::sync::watch::Sender<bool>) {
    // The sender is borrowed, so the wait can't fail.
    _ = flag.subscribe().wait_for(|is_set| *is_set).await;
}

struct Signals {
    resized: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    suspend: tokio::signal::unix::Signal,
    resume: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            resized: signal(SignalKind::window_change())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            // Not from the keyboard, whose keys go to the program: someone sent them to us.
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            suspend: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            resume: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }
}

async fn watch_signals(mut signals: Signals, commands: Arc<Commands>) {
    loop {
        let command = tokio::select! {
            Some(()) = signals.resized.recv() => Command::Resize,
            Some(()) = signals.terminate.recv() => Command::Terminate,
            Some(()) = signals.hang_up.recv() => Command::Terminate,
            Some(()) = signals.interrupt.recv() => Command::Terminate,
            Some(()) = signals.quit.recv() => Command::Terminate,
            Some(()) = signals.suspend.recv() => Command::Suspend,
            Some(()) = signals.resume.recv() => Command::Continue,
            else => return,
        };
        commands.send(command);
    }
}

/// Stops this process, as SIGTSTP would have done had it not been caught.
fn stop_self() {
    _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
}

//! The program's standard streams: a terminal of its own when ours is one, our own descriptors otherwise.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle as Thread;

use anyhow::Context;
use bartizan_gate::Desk;
use bartizan_sandbox::{Signaller, Stdio, StopReason, Stopper};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::output::{Style, short};
use crate::run::terminal_approver::{self, Asker};
use crate::terminal::{Options, PlainPrompt, Terminal, Timing};

/// Bytes copied at once between the program and us.
const COPY_BYTES: usize = 64 * 1024;

/// Tells whoever sits at our terminal what they should know of, without writing into the program's screen.
#[derive(Clone)]
pub struct Announcer {
    with_terminal: bool,
    kept: Arc<Mutex<Vec<String>>>,
}

/// Most messages kept for the end of a run; the ledger has them all.
const KEPT_MAX: usize = 20;

impl Announcer {
    /// Says it now, or at the end where the program has the terminal.
    pub fn say(&self, message: &str) {
        let line = format!("bartizan: {}", short(message, 1000));
        if !self.with_terminal {
            eprintln!("{line}");
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(line);
        }
    }
}

/// The streams of one run.
pub struct Streams {
    with_terminal: bool,
    output_bytes_max: Option<u64>,
    terminal: Option<Terminal>,
    /// What copies the program's output, from its start on.
    copiers: Vec<Box<dyn FnOnce() + Send>>,
    copies: Vec<Thread<()>>,
    overflowed: Arc<Notify>,
    announcer: Announcer,
}

impl Streams {
    /// Looks at our own streams.
    pub fn open(output_bytes_max: Option<u64>) -> anyhow::Result<Self> {
        let with_terminal = io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal();
        Ok(Self {
            with_terminal,
            output_bytes_max,
            terminal: None,
            copiers: Vec::new(),
            copies: Vec::new(),
            overflowed: Arc::default(),
            announcer: Announcer { with_terminal, kept: Arc::default() },
        })
    }

    /// Says things beside the program's output.
    pub fn announcer(&self) -> Announcer {
        self.announcer.clone()
    }

    /// What the box is given.
    pub fn stdio(&mut self) -> anyhow::Result<Stdio> {
        if self.with_terminal {
            let size = rustix::termios::tcgetwinsize(io::stdout()).context("failed to read the terminal's size")?;
            return Ok(Stdio::Terminal { rows: size.ws_row.max(1), columns: size.ws_col.max(1) });
        }
        let input = if io::stdin().is_terminal() { self.feed()? } else { io::stdin().as_fd().try_clone_to_owned()? };
        let written = Arc::new(AtomicU64::new(0));
        let output = self.output(io::stdout().as_fd(), io::stdout().is_terminal(), &written)?;
        let error = self.output(io::stderr().as_fd(), io::stderr().is_terminal(), &written)?;
        Ok(Stdio::Descriptors([input, output, error]))
    }

    /// The program reads a pipe rather than our terminal, whose settings are not its business.
    fn feed(&self) -> anyhow::Result<OwnedFd> {
        let (reader, writer) = pipe()?;
        // Not joined: it may wait for a key for ever, and ends with this process.
        std::thread::Builder::new().name("input".into()).spawn(move || {
            let _ = io::copy(&mut io::stdin().lock(), &mut File::from(writer));
        })?;
        Ok(reader)
    }

    /// Our own descriptor, unless it is a terminal or what is written must be counted.
    fn output(
        &mut self,
        ours: std::os::fd::BorrowedFd<'_>,
        is_terminal: bool,
        written: &Arc<AtomicU64>,
    ) -> anyhow::Result<OwnedFd> {
        let ours = ours.try_clone_to_owned()?;
        if !is_terminal && self.output_bytes_max.is_none() {
            return Ok(ours);
        }
        let (reader, writer) = pipe()?;
        let (written, overflowed) = (written.clone(), self.overflowed.clone());
        let bytes_max = self.output_bytes_max.unwrap_or(u64::MAX);
        let copy = move || {
            let (mut reader, mut ours) = (File::from(reader), File::from(ours));
            let mut buffer = vec![0; COPY_BYTES];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                let before = written.fetch_add(read as u64, Ordering::Relaxed);
                let allowed = usize::try_from(bytes_max.saturating_sub(before)).unwrap_or(usize::MAX).min(read);
                if buffer.get(..allowed).is_none_or(|bytes| ours.write_all(bytes).is_err()) {
                    return;
                }
                if allowed < read {
                    overflowed.notify_one();
                    return;
                }
            }
        };
        self.copiers.push(Box::new(copy));
        Ok(writer)
    }

    /// Copies the program's output from now on; until then it waits in its pipes.
    pub fn copy(&mut self) -> anyhow::Result<()> {
        for copier in self.copiers.drain(..) {
            self.copies.push(std::thread::Builder::new().name("output".into()).spawn(copier)?);
        }
        Ok(())
    }

    /// Takes over our terminal for the box's own.
    pub fn attach(&mut self, master: Option<OwnedFd>, style: Style) -> anyhow::Result<()> {
        if let Some(master) = master {
            let options =
                Options { output_bytes_max: self.output_bytes_max, color: style.colours(), timing: Timing::default() };
            self.terminal = Some(Terminal::attach(master, options)?);
        }
        Ok(())
    }

    /// Puts the desk's questions to whoever sits at our terminal.
    pub fn prompts(&self, desk: &Arc<Desk>) -> JoinHandle<()> {
        let asker = match &self.terminal {
            Some(terminal) => Some(Asker::Panel(terminal.prompter())),
            // The program reads what is typed: an answer and its input could not be told apart.
            None if io::stdin().is_terminal() => None,
            None => PlainPrompt::open().map(|prompt| Asker::Line(Arc::new(prompt))),
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            match asker {
                Some(asker) => terminal_approver::serve(desk, asker).await,
                None => terminal_approver::announce(desk).await,
            }
        })
    }

    /// Passes on signals to the program, and ends the box on a second request or when our terminal goes away.
    pub fn signals(&self, signaller: Signaller, stopper: Stopper) -> JoinHandle<()> {
        if let Some(terminal) = &self.terminal {
            let terminated = terminal.terminated();
            return tokio::spawn(async move {
                terminated.await;
                stopper.stop(StopReason::Asked);
            });
        }
        tokio::spawn(async move {
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup), Ok(mut quit)] = kinds.map(signal) else {
                return;
            };
            let mut asked = 0_u32;
            loop {
                let kind = tokio::select! {
                    _ = interrupt.recv() => SignalKind::interrupt(),
                    _ = terminate.recv() => SignalKind::terminate(),
                    _ = hangup.recv() => SignalKind::hangup(),
                    _ = quit.recv() => SignalKind::quit(),
                };
                asked += 1;
                if asked > 2 {
                    stopper.stop(StopReason::Asked);
                }
                signaller.signal(kind.as_raw_value());
            }
        })
    }

    /// Ends the box when the program has written more than it may.
    pub fn overflow(&self, stopper: Stopper) -> JoinHandle<()> {
        let passed = self.terminal.as_ref().map(Terminal::output_limit_passed);
        let overflowed = self.overflowed.clone();
        tokio::spawn(async move {
            match passed {
                Some(passed) => passed.await,
                None => overflowed.notified().await,
            }
            stopper.stop(StopReason::Output);
        })
    }

    /// After the program's end: what it had still written comes out, and our terminal is as it was.
    pub async fn finish(&mut self) {
        if let Some(terminal) = self.terminal.take() {
            terminal.finish().await;
        }
        let kept = std::mem::take(&mut *self.announcer.kept.lock().unwrap_or_else(PoisonError::into_inner));
        kept.iter().for_each(|line| eprintln!("{line}"));
        let copies = std::mem::take(&mut self.copies);
        let _ = tokio::task::spawn_blocking(move || copies.into_iter().for_each(|copy| drop(copy.join()))).await;
    }
}

/// Puts questions to whoever sits at our terminal while no program reads from it yet.
pub fn prompts_beforehand(desk: &Arc<Desk>) -> JoinHandle<()> {
    let desk = desk.clone();
    tokio::spawn(async move {
        match PlainPrompt::open() {
            Some(prompt) => terminal_approver::serve(desk, Asker::Line(Arc::new(prompt))).await,
            None => terminal_approver::announce(desk).await,
        }
    })
}

fn pipe() -> anyhow::Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .context("failed to make a pipe; check the limit on open files (`ulimit -n`)")
}

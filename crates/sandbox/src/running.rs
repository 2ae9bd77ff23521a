//! A box whose command runs.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bartizan_jail::{FromInit, FromJanitor, Layer, LayerStatus, Operation, ToInit, ToJanitor, channel};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::StartError;
use crate::prepared::{Janitor, PreparedBox};
use crate::processes;
use crate::watch;

/// Requests that may wait to be taken; the box's own threads bound how many there can be at all.
const REQUESTS_WAITING_MAX: usize = 64;

/// What the warden asks. Paths are those of the box, which are those of the host for trees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WardenRequest {
    /// A program is to be started.
    Exec {
        id: u64,
        /// The asking thread, as the box numbers it.
        pid: i32,
        program: PathBuf,
        argv: Vec<OsString>,
        cwd: PathBuf,
        /// More arguments than are shown.
        truncated: bool,
    },
    /// A guarded name is to be made.
    Write { id: u64, pid: i32, operation: Operation, path: PathBuf },
    /// The asking process is gone; an answer would be ignored.
    Withdrawn { id: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Allow,
    Deny,
}

/// How the command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    Exited(i32),
    Signaled(i32),
    /// It never ran: the program is missing, is none, or was denied.
    NotStarted {
        what: String,
        errno: i32,
    },
    /// A layer was not to be had at the last moment, or was lost: the box was ended. The words say
    /// which, and what to do next.
    LayerLost(String),
    /// The box was ended before the command was.
    Ended,
}

/// Why Bartizan ended the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    WallTime,
    Memory,
    Disk,
    /// It wrote more output than it may; whoever copies the output says so.
    Output,
    /// [`Stopper::stop`] was called.
    Asked,
}

/// What the control groups counted; `None` where there is no such group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub memory_peak_bytes: Option<u64>,
    pub cpu_time: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitReport {
    pub status: ExitStatus,
    pub stopped: Option<StopReason>,
    pub usage: Usage,
}

/// Ends the box, from anywhere.
#[derive(Debug, Clone)]
pub struct Stopper {
    reason: Arc<Mutex<Option<StopReason>>>,
    janitor: Arc<OwnedFd>,
}

/// Answers the warden, from anywhere.
#[derive(Debug, Clone)]
pub struct Answers(
    /// Not bounded by itself: at most one answer stands for each waiting thread of the box.
    mpsc::UnboundedSender<ToInit>,
);

/// Delivers signals to the command.
#[derive(Debug, Clone)]
pub struct Signaller(
    /// Not bounded by itself: signals come from a person or a supervisor.
    mpsc::UnboundedSender<ToInit>,
);

impl Signaller {
    /// Delivers a signal by its number.
    pub fn signal(&self, number: i32) {
        // A closed channel means that the box is over.
        let _ = self.0.send(ToInit::Signal(number));
    }
}

/// A running box. Dropping it ends it.
#[derive(Debug)]
pub struct RunningBox {
    requests: mpsc::Receiver<WardenRequest>,
    answers: Answers,
    stopper: Stopper,
    layers: Vec<LayerStatus>,
    groups: Vec<PathBuf>,
    first: i32,
    speaker: JoinHandle<Option<ExitStatus>>,
    end: JoinHandle<io::Result<Usage>>,
    watchers: Vec<JoinHandle<()>>,
}

impl RunningBox {
    pub(crate) fn new(prepared: PreparedBox, layers: Vec<LayerStatus>) -> Result<Self, StartError> {
        let failed = |source| StartError::layer(Layer::Helper, "watch the box", source);
        let PreparedBox { janitor, init, first, first_pidfd, limits, writable, .. } = prepared;
        let init = asynchronous(init, Interest::READABLE | Interest::WRITABLE).map_err(failed)?;
        let init = Arc::new(init);
        let (ask, requests) = mpsc::channel(REQUESTS_WAITING_MAX);
        let (answer, answers) = mpsc::unbounded_channel();
        let socket = rustix::io::dup(&janitor.socket).map_err(|errno| failed(errno.into()))?;
        let stopper = Stopper { reason: Arc::default(), janitor: Arc::new(socket) };
        let groups = janitor.groups.clone();
        let first = first.as_raw_nonzero().get();
        let watchers = watch::start(&limits, writable, &groups, first, &stopper);
        let speaker = tokio::spawn(hear(Arc::clone(&init), ask));
        tokio::spawn(speak(init, answers));
        let end = tokio::spawn(await_end(janitor, first_pidfd));
        Ok(Self {
            requests,
            answers: Answers(answer),
            stopper,
            layers,
            groups: groups.directories,
            first,
            speaker,
            end,
            watchers,
        })
    }

    /// What the warden asks, in order. The box's threads that asked wait until they are answered.
    pub fn requests(&mut self) -> &mut mpsc::Receiver<WardenRequest> {
        &mut self.requests
    }

    #[must_use]
    pub fn answers(&self) -> Answers {
        self.answers.clone()
    }

    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    #[must_use]
    pub fn layers(&self) -> &[LayerStatus] {
        &self.layers
    }

    /// The box's first process, as this process numbers it.
    #[must_use]
    pub fn first_process(&self) -> i32 {
        self.first
    }

    #[must_use]
    pub fn cgroups(&self) -> &[PathBuf] {
        &self.groups
    }

    /// All processes of the box, as this process numbers them.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        processes::of_box(self.first)
    }

    /// Delivers signals to the command, from anywhere.
    #[must_use]
    pub fn signaller(&self) -> Signaller {
        Signaller(self.answers.0.clone())
    }

    /// Waits until every process of the box is gone and its traces are cleared. Requests that nobody
    /// takes hold the box; take them elsewhere meanwhile.
    pub async fn wait(mut self) -> ExitReport {
        let usage = (&mut self.end).await.ok().and_then(Result::ok).unwrap_or_default();
        self.requests.close();
        while self.requests.try_recv().is_ok() {}
        let status = (&mut self.speaker).await.ok().flatten().unwrap_or(ExitStatus::Ended);
        let stopped = *self.stopper.reason.lock().unwrap_or_else(PoisonError::into_inner);
        ExitReport { status, stopped, usage }
    }
}

impl Drop for RunningBox {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
        self.stopper.kill();
    }
}

impl Answers {
    /// An answer to a request that is gone is ignored.
    pub fn answer(&self, id: u64, answer: Answer) {
        let _ = self.0.send(ToInit::Answer { id, allow: answer == Answer::Allow });
    }
}

impl Stopper {
    /// Ends the box at once; the first reason given stands in the report.
    pub fn stop(&self, reason: StopReason) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.kill();
    }

    fn kill(&self) {
        // A closed socket means that the box is over.
        let _ = channel::send(&self.janitor, &ToJanitor::Kill, &[]);
    }
}

fn asynchronous(socket: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    rustix::io::ioctl_fionbio(&socket, true)?;
    polled(socket, interest)
}

#[allow(unsafe_code, reason = "the runtime must poll a descriptor that stays open")]
fn polled(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the owned descriptor is given up to the returned value and closed only with it.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}

/// Hears the first process until it is gone; gives the command's end. Its words are untrusted: what
/// is malformed ends the box.
async fn hear(init: Arc<AsyncFd<OwnedFd>>, ask: mpsc::Sender<WardenRequest>) -> Option<ExitStatus> {
    let mut status = None;
    loop {
        let received = init
            .async_io(Interest::READABLE, |socket| channel::receive::<FromInit>(socket).map_err(io::Error::from))
            .await;
        let request = match received {
            Ok(Some((message, _))) => match message {
                FromInit::Exec { id, pid, program, argv, cwd, truncated } => {
                    WardenRequest::Exec { id, pid, program: program.into(), argv, cwd: cwd.into(), truncated }
                }
                FromInit::Write { id, pid, operation, path } => {
                    WardenRequest::Write { id, pid, operation, path: path.into() }
                }
                FromInit::Withdrawn { id } => WardenRequest::Withdrawn { id },
                FromInit::Exited(code) => {
                    status.get_or_insert(ExitStatus::Exited(code));
                    continue;
                }
                FromInit::Signaled(signal) => {
                    status.get_or_insert(ExitStatus::Signaled(signal));
                    continue;
                }
                FromInit::NotStarted { what, errno } => {
                    status.get_or_insert(ExitStatus::NotStarted { what, errno });
                    continue;
                }
                FromInit::Failed { layer, what, errno } => {
                    let error = StartError::from_errno(layer, what, errno);
                    status.get_or_insert(ExitStatus::LayerLost(error.to_string()));
                    continue;
                }
                FromInit::Started { .. } | FromInit::Sockets(_) | FromInit::Ready(_) => continue,
            },
            Ok(None) | Err(_) => return status,
        };
        // Nobody takes requests any more: the box is being ended.
        let _ = ask.send(request).await;
    }
}

async fn speak(init: Arc<AsyncFd<OwnedFd>>, mut answers: mpsc::UnboundedReceiver<ToInit>) {
    while let Some(message) = answers.recv().await {
        let sent = init
            .async_io(Interest::WRITABLE, |socket| channel::send(socket, &message, &[]).map_err(io::Error::from))
            .await;
        if sent.is_err() {
            return;
        }
    }
}

/// Waits until the box is gone, however that comes about, and clears its traces.
async fn await_end(mut janitor: Janitor, first: OwnedFd) -> io::Result<Usage> {
    let pidfd = polled(rustix::io::dup(&janitor.pidfd)?, Interest::READABLE)?;
    let socket = asynchronous(rustix::io::dup(&janitor.socket)?, Interest::READABLE)?;
    loop {
        let received = socket
            .async_io(Interest::READABLE, |socket| channel::receive::<FromJanitor>(socket).map_err(io::Error::from))
            .await;
        match received {
            Ok(Some((FromJanitor::Ended, _))) => break,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                // The janitor was killed, and the kernel kills the first process for it.
                let first = polled(first, Interest::READABLE)?;
                let _ = first.readable().await?;
                break;
            }
        }
    }
    let counters = janitor.groups.counters();
    janitor.groups.remove();
    let _ = channel::send(&janitor.socket, &ToJanitor::Done, &[]);
    // Nothing of the box is left; the janitor itself ends in its own time.
    let pid = janitor.pid;
    janitor.reaped = true;
    tokio::spawn(async move {
        if pidfd.readable().await.is_ok() {
            reap(pid);
        }
    });
    Ok(Usage { memory_peak_bytes: counters.memory_peak_bytes, cpu_time: counters.cpu_time })
}

fn reap(pid: Pid) {
    while let Err(Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
}

//! A box whose layers stand but in which nothing of the user's runs yet.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bartizan_gate::Armed;
use bartizan_jail::{FromInit, FromJanitor, Layer, LayerState, LayerStatus, ToInit, channel};
use bartizan_model::ActionKind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::de::DeserializeOwned;

use crate::arrange;
use crate::cgroup::{self, Groups};
use crate::error::StartError;
use crate::helper::{self, Handed};
use crate::leftovers;
use crate::running::RunningBox;
use crate::sockets::NetSockets;
use crate::spec::{BoxSpec, Demand, Limits, Stdio};

/// Far above the few milliseconds a start takes, so that only a real fault meets it.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A box that waits for its network and for leave to start. Dropping it ends it.
#[derive(Debug)]
pub struct PreparedBox {
    pub(crate) janitor: Janitor,
    pub(crate) init: OwnedFd,
    pub(crate) first: Pid,
    pub(crate) first_pidfd: OwnedFd,
    pub(crate) limits: Limits,
    pub(crate) writable: Vec<PathBuf>,
    net: Option<NetSockets>,
    terminal: Option<OwnedFd>,
    layers: Option<Vec<LayerStatus>>,
    group_status: LayerStatus,
}

/// This process's hold on the janitor and on what the two clear up.
#[derive(Debug)]
pub(crate) struct Janitor {
    pub(crate) socket: OwnedFd,
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) groups: Groups,
    /// The janitor was waited for.
    pub(crate) reaped: bool,
}

/// Makes the box: namespaces, limits and sockets. Blocks for a few milliseconds.
///
/// # Errors
/// A layer that cannot be had, named, with what to do; then nothing is left behind.
pub fn prepare(spec: BoxSpec) -> Result<PreparedBox, StartError> {
    let run_file = |source| StartError::RunFile { path: spec.run_dir.clone(), source };
    // The record stands before the groups do, so that no group is ever without one.
    leftovers::write(&spec.run_dir, &spec.run, &cgroup::intended(&spec.run)).map_err(run_file)?;
    let (groups, group_status) = make_groups(&spec)?;
    let made = leftovers::write(&spec.run_dir, &spec.run, &groups)
        .map_err(run_file)
        .and_then(|()| launch(spec, groups.clone(), group_status));
    if made.is_err() {
        groups.remove();
    }
    made
}

fn make_groups(spec: &BoxSpec) -> Result<(Groups, LayerStatus), StartError> {
    let status = |state, detail| LayerStatus { layer: Layer::Cgroup, state, detail };
    if spec.cgroup == Demand::Off {
        return Ok((Groups::default(), status(LayerState::Off, "left out by name".to_owned())));
    }
    match cgroup::create(&spec.run, &spec.limits) {
        Ok(groups) => {
            let detail = format!("version {}", groups.version);
            Ok((groups, status(LayerState::Enforced, detail)))
        }
        Err(source) if spec.cgroup == Demand::Required => {
            Err(StartError::layer(Layer::Cgroup, format!("make a group ({})", cgroup::describe()), source))
        }
        Err(error) => {
            let detail = format!("none to be had ({error}): resource limits and watching only");
            Ok((Groups::default(), status(LayerState::Weaker, detail)))
        }
    }
}

fn launch(spec: BoxSpec, groups: Groups, group_status: LayerStatus) -> Result<PreparedBox, StartError> {
    let failed = |what: &'static str| move |source| StartError::layer(Layer::Helper, what, source);
    let plan = arrange::plan(&spec, &groups)?;
    let writable = plan.trees.iter().filter(|tree| tree.writable).map(|tree| PathBuf::from(&tree.source)).collect();
    let pair = || {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(io::Error::from)
            .map_err(failed("make a socket pair"))
    };
    let (init, their_init) = pair()?;
    let (socket, their_socket) = pair()?;
    let null = helper::null().map_err(failed("open `/dev/null`"))?;
    let stdio = match &spec.stdio {
        Stdio::Descriptors([input, output, error]) => [input, output, error],
        Stdio::Terminal { .. } => [&null, &null, &null],
    };
    let handed = Handed { init: &their_init, janitor: &their_socket, stdio };
    let pid = helper::spawn(&plan, &handed).map_err(failed("start the helper from memory"))?;
    drop((their_init, their_socket));
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from).map_err(failed("watch the helper"))?;
    let janitor = Janitor { socket, pid, pidfd, groups, reaped: false };

    let deadline = Instant::now() + START_TIMEOUT;
    let first = match await_message(&janitor.socket, deadline)? {
        (FromJanitor::Up { pid }, _) => Pid::from_raw(pid).ok_or(StartError::Ended)?,
        (FromJanitor::Failed { layer, what, errno }, _) => return Err(StartError::from_errno(layer, what, errno)),
        (FromJanitor::Ended, _) => return Err(StartError::Ended),
    };
    // Now, because it may end as soon as it has leave to start; it has ended already if a layer
    // failed, which its own message tells better.
    let first_pidfd = pidfd_open(first, PidfdFlags::empty());
    let net = match await_message(&init, deadline)? {
        (FromInit::Sockets(kinds), sockets) => NetSockets::new(kinds, sockets),
        (FromInit::Failed { layer, what, errno }, _) => return Err(StartError::from_errno(layer, what, errno)),
        _ => return Err(StartError::Ended),
    };
    // It was quicker to fail than we were to look.
    let Ok(first_pidfd) = first_pidfd else { return Err(last_words(&init, deadline)) };
    Ok(PreparedBox {
        janitor,
        init,
        first,
        first_pidfd,
        limits: spec.limits,
        writable,
        net: Some(net),
        terminal: None,
        layers: None,
        group_status,
    })
}

impl PreparedBox {
    /// The box's sockets; all absent when asked again.
    pub fn net(&mut self) -> NetSockets {
        self.net.take().unwrap_or_default()
    }

    /// Waits until every layer stands, and names them.
    ///
    /// # Errors
    /// The layer that cannot be had.
    pub fn layers(&mut self) -> Result<&[LayerStatus], StartError> {
        let layers = match self.layers.take() {
            Some(layers) => layers,
            None => self.await_ready()?,
        };
        Ok(self.layers.insert(layers))
    }

    /// The master side of the box's terminal, once, if the specification asked for one.
    ///
    /// # Errors
    /// As for [`PreparedBox::layers`].
    pub fn terminal(&mut self) -> Result<Option<OwnedFd>, StartError> {
        self.layers()?;
        Ok(self.terminal.take())
    }

    /// The box's first process, as this process numbers it.
    #[must_use]
    pub fn first_process(&self) -> i32 {
        self.first.as_raw_nonzero().get()
    }

    /// Lets the command start: what the gate admitted, as `armed` proves. The network must be in place.
    ///
    /// # Errors
    /// A layer that cannot be had. That the command itself could not be started is told by
    /// [`RunningBox::wait`].
    pub async fn start(mut self, armed: &Armed) -> Result<RunningBox, StartError> {
        if armed.action().deed.kind() != ActionKind::ExecRun {
            let value = armed.action().deed.kind().as_str().to_owned();
            return Err(StartError::Specification { reason: "what was admitted starts no program:", value });
        }
        // The first process reads it only when every layer stands; sent now, it need not wait for us.
        let leave = channel::send(&self.init, &ToInit::Proceed, &[]);
        self.layers()?;
        leave.map_err(|_| StartError::Ended)?;
        let layers = self.layers.take().unwrap_or_default();
        RunningBox::new(self, layers)
    }

    fn await_ready(&mut self) -> Result<Vec<LayerStatus>, StartError> {
        match await_message(&self.init, Instant::now() + START_TIMEOUT)? {
            (FromInit::Ready(mut layers), mut descriptors) => {
                layers.push(self.group_status.clone());
                layers.sort_by_key(|status| status.layer);
                self.terminal = descriptors.pop();
                Ok(layers)
            }
            (FromInit::Failed { layer, what, errno }, _) => Err(StartError::from_errno(layer, what, errno)),
            _ => Err(StartError::Ended),
        }
    }
}

impl Drop for Janitor {
    /// Ends the box and waits the few milliseconds until it is gone: the caller may be about to exit, and then
    /// nobody would clear up.
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = rustix::process::waitpid(Some(self.pid), rustix::process::WaitOptions::empty());
        self.groups.remove();
    }
}

/// Why a first process that has ended did so.
fn last_words(init: &OwnedFd, deadline: Instant) -> StartError {
    match await_message(init, deadline) {
        Ok((FromInit::Failed { layer, what, errno }, _)) => StartError::from_errno(layer, what, errno),
        Ok(_) => StartError::Ended,
        Err(error) => error,
    }
}

fn await_message<T: DeserializeOwned>(socket: &OwnedFd, deadline: Instant) -> Result<(T, Vec<OwnedFd>), StartError> {
    let rest = deadline.saturating_duration_since(Instant::now());
    let timeout =
        Timespec { tv_sec: i64::try_from(rest.as_secs()).unwrap_or(i64::MAX), tv_nsec: rest.subsec_nanos().into() };
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => return Err(StartError::Timeout { seconds: START_TIMEOUT.as_secs() }),
            Ok(_) => break,
        }
    }
    let received = match channel::receive(socket) {
        // It ended with something of ours unread: its own last words still wait behind that.
        Err(rustix::io::Errno::CONNRESET) => channel::receive(socket),
        other => other,
    };
    match received {
        Ok(Some(message)) => Ok(message),
        Ok(None) | Err(_) => Err(StartError::Ended),
    }
}

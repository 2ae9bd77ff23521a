//! The box's first process: builds the box, starts the command, reaps, and speaks for the box.
//!
//! As process 1 of its namespace it cannot be killed, stopped or traced from inside, and the whole
//! box ends with it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use bartizan_jail::channel;
use bartizan_jail::{FromInit, JailPlan, Layer, LayerState, LayerStatus, ToInit};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, wait};
use rustix::termios::{Winsize, tcsetwinsize};
use rustix::thread::{UnshareFlags, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::command::{self, Report, Stdio};
use crate::confine::{self, enforced};
use crate::fault::{At, Fault};
use crate::warden::Warden;
use crate::{mounts, sockets, sys};

/// What the first process is born with.
pub(crate) struct Start {
    pub(crate) socket: OwnedFd,
    pub(crate) link: OwnedFd,
    pub(crate) stdio: Vec<OwnedFd>,
    /// Files to enter control groups of version 1 by.
    pub(crate) groups: Vec<OwnedFd>,
    /// The janitor is root.
    pub(crate) privileged: bool,
}

/// Runs the box; never returns.
pub(crate) fn run(plan: &JailPlan, start: Start) -> ! {
    let Start { socket, link, stdio, groups, privileged } = start;
    let outcome = keep_only(&socket, &link, &stdio, &groups)
        .and_then(|()| enter_groups(groups))
        .and_then(|()| build(plan, &socket, &link, stdio, privileged))
        .and_then(|(stdio, child_signal)| serve(plan, &socket, &link, stdio, &child_signal));
    if let Err(Fault { layer, what, errno }) = outcome {
        // When the socket is closed there is nobody left to tell.
        let _ = channel::send(&socket, &FromInit::Failed { layer, what, errno }, &[]);
        sys::exit(1);
    }
    sys::exit(0)
}

/// The janitor's own descriptors came along with the copy of its memory.
fn keep_only(socket: &OwnedFd, link: &OwnedFd, stdio: &[OwnedFd], groups: &[OwnedFd]) -> Result<(), Fault> {
    let kept: Vec<_> = [socket, link].into_iter().chain(stdio).chain(groups).map(AsRawFd::as_raw_fd).collect();
    sys::close_all_but(&kept).at(Layer::Helper, "close descriptors")
}

/// `0` means oneself, which needs no lock: this process has one thread.
fn enter_groups(groups: Vec<OwnedFd>) -> Result<(), Fault> {
    for file in groups {
        rustix::io::write(&file, b"0").at(Layer::Cgroup, "enter the box's control group")?;
    }
    Ok(())
}

fn build(
    plan: &JailPlan,
    socket: &OwnedFd,
    link: &OwnedFd,
    stdio: Vec<OwnedFd>,
    privileged: bool,
) -> Result<(Stdio, OwnedFd), Fault> {
    let trees = await_release(link)?;
    if privileged {
        set_thread_groups(&[]).at(Layer::Identity, "drop supplementary groups")?;
    }
    take_identity(plan)?;
    let child_signal = sys::block_signals().at(Layer::Helper, "block signals")?;
    #[allow(unsafe_code, reason = "the call concerns no memory or descriptors")]
    // SAFETY: a cgroup namespace touches neither memory nor descriptors.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }
        .at(Layer::CgroupNamespace, "make a cgroup namespace")?;
    sys::set_host_name("box").at(Layer::UtsNamespace, "set the host name")?;

    let (kinds, listeners) = sockets::open_all()?;
    let descriptors: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
    channel::send(socket, &FromInit::Sockets(kinds), &descriptors).at(Layer::Helper, "hand out the sockets")?;
    drop(listeners);

    mounts::enter(plan, trees)?;
    let mut layers = vec![
        identity_status(plan, privileged),
        enforced(Layer::MountNamespace, "own root, the host's let go"),
        enforced(Layer::Mounts, format!("{} trees", plan.trees.len())),
        enforced(Layer::PidNamespace, ""),
        enforced(Layer::NetworkNamespace, "loopback only"),
        enforced(Layer::IpcNamespace, ""),
        enforced(Layer::UtsNamespace, ""),
        enforced(Layer::CgroupNamespace, ""),
    ];
    let (stdio, master) = match plan.terminal {
        Some((rows, columns)) => {
            let master = open_terminal(rows, columns).at(Layer::Terminal, "make a terminal")?;
            layers.push(enforced(Layer::Terminal, "the box's own"));
            (Stdio::Terminal, Some(master))
        }
        None => (Stdio::Descriptors(stdio), None),
    };
    layers.extend(confine::apply(plan)?);
    layers.push(enforced(Layer::ResourceLimits, format!("{} limits", plan.limits.len() + 1)));
    layers.push(warden_status(plan));
    // The identity may have changed since the kernel was first asked to tie us to the janitor.
    tie_to_janitor()?;
    let descriptors: Vec<_> = master.iter().map(AsFd::as_fd).collect();
    channel::send(socket, &FromInit::Ready(layers), &descriptors).at(Layer::Helper, "report the layers")?;
    Ok((stdio, child_signal))
}

/// Waits for the janitor to write the id maps; gives the trees it cut out, if it is for it to do.
fn await_release(link: &OwnedFd) -> Result<Vec<OwnedFd>, Fault> {
    tie_to_janitor()?;
    let mut trees = Vec::new();
    loop {
        match channel::receive::<bool>(link).at(Layer::Helper, "wait for the janitor")? {
            Some((more, cut)) => {
                trees.extend(cut);
                if !more {
                    return Ok(trees);
                }
            }
            None => sys::exit(1),
        }
    }
}

fn tie_to_janitor() -> Result<(), Fault> {
    set_parent_process_death_signal(Some(Signal::KILL)).at(Layer::Helper, "tie the box to the janitor")
}

fn take_identity(plan: &JailPlan) -> Result<(), Fault> {
    let uid = rustix::fs::Uid::from_raw(plan.identity.uid_inside);
    let gid = rustix::fs::Gid::from_raw(plan.identity.gid_inside);
    set_thread_res_gid(gid, gid, gid).at(Layer::Identity, "take the box's group")?;
    set_thread_res_uid(uid, uid, uid).at(Layer::Identity, "take the box's user")
}

fn identity_status(plan: &JailPlan, privileged: bool) -> LayerStatus {
    let identity = plan.identity;
    let detail = format!("user {} inside is {} outside", identity.uid_inside, identity.uid_outside);
    let state = if privileged && !identity.dropped { LayerState::Weaker } else { LayerState::Enforced };
    LayerStatus { layer: Layer::UserNamespace, state, detail }
}

fn warden_status(plan: &JailPlan) -> LayerStatus {
    let names = plan.guard_names.len();
    let detail = match (plan.gate_exec, plan.holds_names()) {
        (false, false) => {
            return LayerStatus { layer: Layer::Warden, state: LayerState::Off, detail: "not asked for".into() };
        }
        (true, false) => "programs are asked".to_owned(),
        (false, true) => format!("{names} name patterns are asked"),
        (true, true) => format!("programs and {names} name patterns are asked"),
    };
    enforced(Layer::Warden, detail)
}

/// Makes the box's own terminal, the first of its instance: `/dev/pts/0`.
fn open_terminal(rows: u16, columns: u16) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = openat(CWD, "/dev/pts/ptmx", flags, Mode::empty())?;
    rustix::pty::unlockpt(&master)?;
    tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok(master)
}

/// Waits for leave, starts the command, and stays until it ends.
fn serve(plan: &JailPlan, socket: &OwnedFd, link: &OwnedFd, stdio: Stdio, child_signal: &OwnedFd) -> Result<(), Fault> {
    loop {
        match channel::receive::<ToInit>(socket).at(Layer::Helper, "wait for leave to start")? {
            Some((ToInit::Proceed, _)) => break,
            Some(_) => {}
            None => sys::exit(1),
        }
    }
    let mut warden = Warden::new(plan).at(Layer::Warden, "prepare the warden")?;
    let (main, reports) = command::start(plan, stdio)?;
    let mut reports = Some(reports);
    loop {
        let ready = await_event(child_signal, socket, link, reports.as_ref(), &warden)?;
        if ready.janitor_gone {
            sys::exit(1);
        }
        if ready.report
            && let Some(open) = reports.take()
        {
            reports = hear(&open, socket, main, &mut warden)?.then_some(open);
        }
        if ready.held {
            warden.take(socket).at(Layer::Warden, "take a held call")?;
        } else if ready.silent {
            warden.silence();
        }
        if ready.message {
            match channel::receive::<ToInit>(socket) {
                Ok(Some((ToInit::Signal(number), _))) => forward(number, main),
                Ok(Some((ToInit::Answer { id, allow }, _))) => {
                    warden.answered(id, allow, socket).at(Layer::Warden, "answer a held call")?;
                }
                Ok(Some((ToInit::Proceed, _))) | Err(Errno::BADMSG) => {}
                // Bartizan's process is gone: so is the box.
                Ok(None) | Err(_) => sys::exit(1),
            }
        }
        warden.look_after(socket).at(Layer::Warden, "look after held calls")?;
        if ready.child
            && let Some(end) = reap(child_signal, main)
        {
            // A start that failed was reported before the child ended.
            if let Some(open) = reports.take() {
                while hear(&open, socket, main, &mut warden)? {}
            }
            return channel::send(socket, &end, &[]).at(Layer::Helper, "report the end");
        }
    }
}

struct Ready {
    child: bool,
    message: bool,
    janitor_gone: bool,
    report: bool,
    held: bool,
    /// The listener has ended: all who could make a held call are gone.
    silent: bool,
}

fn await_event(
    child_signal: &OwnedFd,
    socket: &OwnedFd,
    link: &OwnedFd,
    reports: Option<&OwnedFd>,
    warden: &Warden,
) -> Result<Ready, Fault> {
    let mut polled = vec![
        PollFd::new(child_signal, PollFlags::IN),
        PollFd::new(socket, PollFlags::IN),
        // Nothing comes here any more: only its end is awaited.
        PollFd::new(link, PollFlags::empty()),
    ];
    // Without the one or the other, something that is polled already stands in its place.
    polled.push(PollFd::new(reports.unwrap_or(link), PollFlags::IN));
    polled.push(PollFd::new(warden.descriptor().unwrap_or(link), PollFlags::IN));
    let timeout = warden.timeout().map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno).at(Layer::Helper, "wait for events"),
    }
    let mut events = polled.iter().map(PollFd::revents);
    let mut next = || events.next().unwrap_or(PollFlags::empty());
    let (child, message, janitor, report, held) = (next(), next(), next(), next(), next());
    Ok(Ready {
        child: !child.is_empty(),
        message: !message.is_empty(),
        janitor_gone: !janitor.is_empty(),
        report: reports.is_some() && !report.is_empty(),
        held: held.contains(PollFlags::IN),
        silent: !held.is_empty(),
    })
}

/// Hears how the start went; tells whether more is to come.
fn hear(reports: &OwnedFd, socket: &OwnedFd, main: Pid, warden: &mut Warden) -> Result<bool, Fault> {
    let message = match channel::receive::<Report>(reports) {
        Ok(Some((Report::Listener, mut descriptors))) => {
            let listener = descriptors.pop().ok_or(Errno::BADMSG).at(Layer::Warden, "take over the asking filter")?;
            warden.listen(listener);
            return Ok(true);
        }
        Ok(Some((Report::Failed { layer: Some(layer), what, errno }, _))) => return Err(Fault { layer, what, errno }),
        Ok(Some((Report::Failed { layer: None, what, errno }, _))) => FromInit::NotStarted { what, errno },
        Ok(None) => FromInit::Started { pid: main.as_raw_nonzero().get() },
        Err(errno) => return Err(errno).at(Layer::Helper, "hear how the start went"),
    };
    channel::send(socket, &message, &[]).at(Layer::Helper, "report the start")?;
    Ok(false)
}

fn forward(number: i32, main: Pid) {
    if let Some(signal) = Signal::from_named_raw(number) {
        // The command may have ended meanwhile.
        let _ = kill_process(main, signal);
    }
}

/// Reaps all that ended; gives the command's end.
fn reap(child_signal: &OwnedFd, main: Pid) -> Option<FromInit> {
    let mut drain = [0_u8; 1024];
    while rustix::io::read(child_signal, &mut drain).is_ok_and(|read| read > 0) {}
    let mut end = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid != main {
            continue;
        }
        end = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(FromInit::Exited(code)),
            (None, Some(signal)) => Some(FromInit::Signaled(signal)),
            (None, None) => None,
        };
    }
    end
}

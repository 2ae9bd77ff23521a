//! Answers for what the command asks the kernel to do.
//!
//! The command's filter holds calls that start programs or make names. A program may go on with its
//! own call when it is allowed; a name is never made by the caller, because the path could be
//! changed between the check and the call. The warden makes it instead, from its own copy of the
//! path, and gives the caller the result. It serves one call after the other, so that two threads
//! of the box cannot race each other past a check.

mod call;
mod caller;
mod deeds;
mod notify;
mod walk;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use bartizan_jail::{FromInit, JailPlan, Names, Operation, channel};
use rustix::io::Errno;

use self::call::Deed;
use self::deeds::{Outcome, Workshop};
use self::notify::{Listener, Reply};

/// Calls that may wait for an answer at once; far more than a person or policy keeps up with.
const PENDING_MAX: usize = 1024;
/// How often waiting calls are looked after: whether their caller still lives, whether a pipe has
/// found its reader.
const LOOK_AFTER: Duration = Duration::from_millis(50);

pub(crate) struct Warden {
    listener: Option<Listener>,
    workshop: Workshop,
    pending: BTreeMap<u64, Pending>,
}

enum Pending {
    /// Bartizan's process was asked.
    Asked { call: Call, path: Option<PathBuf> },
    /// Nobody reads the pipe yet that is to be written.
    Pipe { call: Call, approved: Option<PathBuf> },
}

/// A held call, with its own copy of all the caller's memory it needs.
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) thread: i32,
    pub(crate) deed: Deed,
}

impl Warden {
    pub(crate) fn new(plan: &JailPlan) -> Result<Self, Errno> {
        let trees = plan.trees.iter().filter(|tree| tree.writable).map(|tree| PathBuf::from(&tree.target)).collect();
        // By both names: as asked for, and as the kernel will call it.
        let shut = plan
            .readonly
            .iter()
            .chain(&plan.mask)
            .flat_map(|path| [Some(PathBuf::from(path)), std::fs::canonicalize(path).ok()])
            .flatten()
            .collect();
        let names = Names::new(&plan.guard_names, trees, shut);
        Ok(Self { listener: None, workshop: Workshop::new(names)?, pending: BTreeMap::new() })
    }

    pub(crate) fn listen(&mut self, listener: OwnedFd) {
        self.listener = Some(Listener::new(listener));
    }

    pub(crate) fn descriptor(&self) -> Option<&OwnedFd> {
        self.listener.as_ref().map(Listener::descriptor)
    }

    /// When to call [`Warden::look_after`] at the latest.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        (!self.pending.is_empty()).then_some(LOOK_AFTER)
    }

    /// No process is left that could make a held call.
    pub(crate) fn silence(&mut self) {
        self.listener = None;
    }

    /// Takes one held call; one must be waiting, since the kernel would otherwise wait for it.
    pub(crate) fn take(&mut self, socket: &OwnedFd) -> Result<(), Errno> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let held = match listener.receive() {
            Ok(held) => held,
            // The caller died before it could be looked at.
            Err(Errno::NOENT | Errno::INTR | Errno::NOTCONN) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        let call = caller::read(&held);
        // What was read belongs to the caller only if it is still there.
        if !listener.is_waiting(held.id) {
            return Ok(());
        }
        match call {
            Ok(deed) => {
                let call = Call { id: held.id, thread: held.thread, deed };
                self.serve(call, None, socket)?;
            }
            Err(errno) => listener.answer(held.id, Reply::Error(errno)),
        }
        Ok(())
    }

    /// Bartizan's process answered.
    pub(crate) fn answered(&mut self, id: u64, allow: bool, socket: &OwnedFd) -> Result<(), Errno> {
        let Some(Pending::Asked { call, path }) = self.pending.remove(&id) else { return Ok(()) };
        let Some(listener) = &self.listener else { return Ok(()) };
        match (allow, path) {
            (false, _) => listener.answer(id, Reply::Error(Errno::ACCESS)),
            (true, None) => listener.answer(id, Reply::Continue),
            (true, Some(path)) => {
                if listener.is_waiting(id) {
                    self.serve(call, Some(path), socket)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets callers that are gone and tries pipes again.
    pub(crate) fn look_after(&mut self, socket: &OwnedFd) -> Result<(), Errno> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let gone: Vec<u64> = self.pending.keys().copied().filter(|id| !listener.is_waiting(*id)).collect();
        for id in gone {
            if let Some(Pending::Asked { .. }) = self.pending.remove(&id) {
                channel::send(socket, &FromInit::Withdrawn { id }, &[])?;
            }
        }
        let pipes: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| matches!(pending, Pending::Pipe { .. }))
            .map(|(id, _)| *id)
            .collect();
        for id in pipes {
            if let Some(Pending::Pipe { call, approved }) = self.pending.remove(&id) {
                self.serve(call, approved, socket)?;
            }
        }
        Ok(())
    }

    /// Does what the call asks, or asks whether it may. `approved` is the path that was allowed.
    fn serve(&mut self, call: Call, approved: Option<PathBuf>, socket: &OwnedFd) -> Result<(), Errno> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let id = call.id;
        match self.workshop.perform(&call, approved.as_deref()) {
            Outcome::Done => listener.answer(id, Reply::Zero),
            Outcome::Failed(errno) => listener.answer(id, Reply::Error(errno)),
            Outcome::Opened { file, close_on_exec } => listener.give(id, &file, close_on_exec),
            Outcome::NoReader => {
                self.pending.insert(id, Pending::Pipe { call, approved });
            }
            Outcome::Ask { .. } | Outcome::AskExec { .. } if self.pending.len() >= PENDING_MAX => {
                listener.answer(id, Reply::Error(Errno::ACCESS));
            }
            Outcome::Ask { operation, path } => {
                send_write(socket, &call, operation, &path)?;
                self.pending.insert(id, Pending::Asked { call, path: Some(path) });
            }
            Outcome::AskExec { program, argv, cwd, truncated } => {
                let argv = argv.into_iter().map(OsString::from_vec).collect();
                let message =
                    FromInit::Exec { id, pid: call.thread, program: program.into(), argv, cwd: cwd.into(), truncated };
                channel::send(socket, &message, &[])?;
                self.pending.insert(id, Pending::Asked { call, path: None });
            }
        }
        Ok(())
    }
}

fn send_write(socket: &OwnedFd, call: &Call, operation: Operation, path: &std::path::Path) -> Result<(), Errno> {
    let message = FromInit::Write { id: call.id, pid: call.thread, operation, path: path.into() };
    channel::send(socket, &message, &[])
}

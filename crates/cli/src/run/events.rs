//! Who watches a run: the counters behind `box show` and the summary, and the stream of `--json-events`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::bail;
use bartizan_api::control::Counts;
use bartizan_api::event::Event as EventLine;
use bartizan_gate::{Event, Observer};
use bartizan_model::Record;

/// Different refusals remembered for the summary.
const REMEMBERED_MAX: usize = 5;

/// Events that may wait for a slow reader; later ones are dropped and counted.
const WAITING_EVENTS_MAX: usize = 4096;

/// Counts decisions and remembers the first refusals.
#[derive(Default)]
pub struct Tally {
    state: Mutex<TallyState>,
}

#[derive(Default)]
struct TallyState {
    counts: Counts,
    denied: Vec<(String, String)>,
    known: BTreeSet<(String, String)>,
}

impl Tally {
    /// The counts so far.
    pub fn counts(&self) -> Counts {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).counts
    }

    /// The first refusals, each once: what and why.
    pub fn denied(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).denied.clone()
    }
}

impl Observer for Tally {
    fn notice(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.record {
            Record::Opened { approval: None, .. } => state.counts.allowed += 1,
            Record::Opened { .. } => state.counts.approved += 1,
            Record::Refused { action, verdict, .. } => {
                state.counts.denied += 1;
                let what = format!("{} {}", action.deed.kind().as_str(), action.deed.target());
                let why = verdict.as_ref().map(|verdict| verdict.rule.rule.clone()).unwrap_or_default();
                if state.denied.len() < REMEMBERED_MAX && state.known.insert((what.clone(), why.clone())) {
                    state.denied.push((what, why));
                }
            }
            _ => {}
        }
    }
}

/// Writes every event as a JSON line to a descriptor the caller opened. A reader that can't keep up loses
/// events and is told how many; the ledger has them all.
pub struct EventStream {
    sender: Option<SyncSender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
    dropped: AtomicU64,
}

impl EventStream {
    /// Takes over this descriptor.
    pub fn open(descriptor: RawFd) -> anyhow::Result<Self> {
        if descriptor < 3 {
            bail!(
                "--json-events {descriptor} is a standard stream of the program; open another: `--json-events 3 3>events.jsonl`"
            );
        }
        #[expect(unsafe_code, reason = "a descriptor number from the command line is only a number")]
        // SAFETY: borrowed for one fcntl call; a number that is no open descriptor gives EBADF.
        let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
        if rustix::io::fcntl_getfd(borrowed).is_err() {
            bail!(
                "--json-events {descriptor} is not open; open it: `--json-events {descriptor} {descriptor}>events.jsonl`"
            );
        }
        rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC)?;
        #[expect(unsafe_code, reason = "see above")]
        // SAFETY: the descriptor is open, was handed to us by the caller for this, and nothing else here uses it.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let (sender, receiver) = sync_channel(WAITING_EVENTS_MAX);
        let writer =
            std::thread::Builder::new().name("events".into()).spawn(move || write_all(File::from(owned), &receiver))?;
        Ok(Self { sender: Some(sender), writer: Some(writer), dropped: AtomicU64::new(0) })
    }
}

fn write_all(mut file: File, receiver: &Receiver<Vec<u8>>) {
    while let Ok(line) = receiver.recv() {
        if file.write_all(&line).is_err() {
            return;
        }
    }
}

impl Observer for EventStream {
    fn notice(&self, event: &Event) {
        let line = EventLine {
            seq: event.position.map(|position| position.seq),
            hash: event.position.map(|position| position.hash),
            at: event.at,
            record: &event.record,
        };
        let Ok(mut bytes) = serde_json::to_vec(&line) else { return };
        bytes.push(b'\n');
        let Some(sender) = &self.sender else { return };
        if let Err(TrySendError::Full(_)) = sender.try_send(bytes) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped > 0 {
                let _ = sender.try_send(format!("{{\"dropped_events\":{dropped}}}\n").into_bytes());
            }
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

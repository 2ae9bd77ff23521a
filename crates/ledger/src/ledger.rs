//! The ledger as the gate sees it: records go in, and are on disk when the answer comes out. One thread commits
//! what everybody else has queued, so that many writers share one `fdatasync`. A caller who comes alone, to a disk
//! that is quick, commits by itself: handing over to a thread and back would take longer than waiting for the disk.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bartizan_crypto::{PublicKey, SigningKey};
use bartizan_gate::{AppendError, BoxFuture, Position};
use bartizan_model::{Record, canonical};
use jiff::Timestamp;
use tokio::sync::{Semaphore, oneshot};

use crate::entry::RECORD_BYTES_MAX;
use crate::error::OpenError;
use crate::queue::{Queue, Request};
use crate::writer::{Pending, Place, Writer};

/// Largest segment before the next is begun: large enough that there are few, small enough to copy around.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes that may wait for the commit thread; beyond this callers wait, too.
const QUEUE_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// What even the smallest record counts for, so that no more than 2048 wait.
const QUEUE_BYTES_MIN: u32 = 16 * 1024;

/// Longest commit that a caller waits for without handing over. It may be one that carries other work, so this is no
/// more than some turns of the scheduler; a slow disk is waited for by the commit thread alone.
const ALONE_NS_MAX: u64 = 600_000;
/// What one commit counts for at most, so that a single hiccup of the disk changes nothing.
const TOOK_NS_MAX: u64 = 4_000_000;

/// Where a ledger is and what it is signed with.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// Directory of the segments, `ledger/` in the home.
    pub directory: PathBuf,
    /// Directory of witnesses, outside the home, e.g. `$XDG_STATE_HOME/bartizan/witness`.
    pub witness: Option<PathBuf>,
    /// Size at which a segment is followed by the next.
    pub segment_bytes_max: u64,
}

impl LedgerOptions {
    /// The usual options for a ledger in this directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), witness: None, segment_bytes_max: SEGMENT_BYTES_MAX }
    }

    /// The same with a witness in this directory.
    #[must_use]
    pub fn with_witness(mut self, directory: impl Into<PathBuf>) -> Self {
        self.witness = Some(directory.into());
        self
    }
}

/// A ledger in files. Dropping it commits what is queued and signs a last checkpoint.
pub struct FileLedger {
    options: LedgerOptions,
    key: PublicKey,
    last_at: Option<Timestamp>,
    room: Arc<Semaphore>,
    committer: Arc<Committer>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the commit thread and callers who commit alone share.
struct Committer {
    writer: Mutex<Writer>,
    queue: Queue,
    /// How long a commit of one record took of late, in nanoseconds; `u64::MAX` while several come together.
    recent_ns: AtomicU64,
}

impl FileLedger {
    /// Opens the ledger, making it when there is none, and mends what a crash may have left: a torn last line.
    ///
    /// # Errors
    /// It isn't what was written, isn't ours alone, or can't be reached; each with what to do.
    pub fn open(options: LedgerOptions, key: Arc<SigningKey>) -> Result<Self, OpenError> {
        let place = Place {
            directory: options.directory.clone(),
            witness: options.witness.clone(),
            segment_bytes_max: options.segment_bytes_max,
        };
        let public = key.public();
        let writer = Writer::open(&place, key)?;
        let last_at = writer.last_at();
        let committer =
            Arc::new(Committer { writer: Mutex::new(writer), queue: Queue::default(), recent_ns: AtomicU64::new(0) });
        let shared = Arc::clone(&committer);
        let thread = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || shared.commit_all())
            .map_err(|source| OpenError::io("start the commit thread of", &options.directory, source))?;
        Ok(Self {
            options,
            key: public,
            last_at,
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)),
            committer,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn options(&self) -> &LedgerOptions {
        &self.options
    }

    /// The key its checkpoints are verified with.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Time of the last entry when the ledger was opened: what no clock may stand before.
    #[must_use]
    pub fn last_at(&self) -> Option<Timestamp> {
        self.last_at
    }

    /// Appends a record and waits until it is on disk.
    ///
    /// # Errors
    /// It could not be kept; nothing of it is in the ledger then.
    pub async fn append(&self, at: Timestamp, record: &Record) -> Result<Position, AppendError> {
        let pending = prepare(at, record)?;
        let pending = match self.committer.commit_alone(pending) {
            Ok(answer) => return answer,
            Err(pending) => pending,
        };
        let closed = || AppendError { reason: "it is closed; open it again".to_owned() };
        let bytes = u32::try_from(pending.record.len()).map_or(QUEUE_BYTES_MAX, |bytes| bytes.max(QUEUE_BYTES_MIN));
        let permit = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        self.committer.queue.push(Request { pending, reply, permit }).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// As [`FileLedger::append`], for a thread that may block; never call it from an asynchronous task.
    ///
    /// # Errors
    /// As [`FileLedger::append`].
    pub fn append_blocking(&self, at: Timestamp, record: &Record) -> Result<Position, AppendError> {
        block_on(self.append(at, record))
    }

    /// Commits what is queued, signs a last durable checkpoint and ends. Appends after this are refused.
    pub fn close(&self) {
        self.committer.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for FileLedger {
    fn drop(&mut self) {
        self.close();
    }
}

impl bartizan_gate::Ledger for FileLedger {
    fn append(&self, at: Timestamp, record: Record) -> BoxFuture<'_, Result<Position, AppendError>> {
        Box::pin(async move { FileLedger::append(self, at, &record).await })
    }
}

fn prepare(at: Timestamp, record: &Record) -> Result<Pending, AppendError> {
    let record = canonical::bytes(record).map_err(|error| AppendError { reason: error.to_string() })?;
    if record.len() > RECORD_BYTES_MAX {
        let reason =
            format!("the record has {} bytes, the most is {RECORD_BYTES_MAX}; shorten the action", record.len());
        return Err(AppendError { reason });
    }
    Ok(Pending { at, record })
}

impl Committer {
    /// Commits this record here and now; gives it back when somebody else is at it, or might be kept waiting.
    fn commit_alone(&self, pending: Pending) -> Result<Result<Position, AppendError>, Pending> {
        if self.recent_ns.load(Ordering::Relaxed) > ALONE_NS_MAX || !self.queue.is_idle() {
            return Err(pending);
        }
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(pending),
        };
        // Closing goes through this lock, too: from here on the writer isn't closed before we are done.
        if !self.queue.is_idle() {
            return Err(pending);
        }
        let begun = Instant::now();
        let batch = [pending];
        let Some(committed) = writer.commit_at_once(&batch) else {
            let [pending] = batch;
            return Err(pending);
        };
        drop(writer);
        self.took(1, begun.elapsed());
        let failed = |reason: String| AppendError { reason };
        Ok(match committed {
            Ok(positions) => {
                positions.into_iter().next().ok_or_else(|| failed("the entry has no position; try again".to_owned()))
            }
            Err(error) => Err(failed(error.reason)),
        })
    }

    /// The commit thread: takes what is there, commits it together, answers.
    fn commit_all(&self) {
        let (mut hoped, mut linger) = (1, Duration::ZERO);
        loop {
            let requests = self.queue.take(hoped, linger);
            if requests.is_empty() {
                break;
            }
            let begun = Instant::now();
            hoped = requests.len();
            let (batch, replies): (Vec<_>, Vec<_>) =
                requests.into_iter().map(|request| (request.pending, (request.reply, request.permit))).unzip();
            let committed = self.lock().commit(&batch);
            // Who asked together will ask together again; waiting for them costs at most what a commit without them would.
            linger = begun.elapsed();
            self.took(hoped, linger);
            // A caller that went away is no reason to stop.
            match committed {
                Ok(positions) => {
                    for ((reply, _permit), position) in replies.into_iter().zip(positions) {
                        let _ = reply.send(Ok(position));
                    }
                }
                Err(error) => {
                    for (reply, _permit) in replies {
                        let _ = reply.send(Err(AppendError { reason: error.reason.clone() }));
                    }
                }
            }
        }
        self.lock().close();
    }

    /// Takes note of how long so many records took.
    fn took(&self, records: usize, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(TOOK_NS_MAX);
        let recent = match self.recent_ns.load(Ordering::Relaxed) {
            _ if records > 1 => u64::MAX,
            u64::MAX => time,
            before => (before * 7 + time) / 8,
        };
        self.recent_ns.store(recent, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drives a future on this thread, parking it in between.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => thread::park(),
        }
    }
}

//! The ledger as the gate sees it: records go in, and are on disk when the answer comes out. One thread commits
//! what everybody else has queued, so that many writers share one `fdatasync`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
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
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        let queue = Arc::new(Queue::default());
        let taken = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || commit_all(writer, &taken))
            .map_err(|source| OpenError::io("start the commit thread of", &options.directory, source))?;
        Ok(Self {
            options,
            key: public,
            last_at,
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)),
            queue,
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
        let closed = || AppendError { reason: "it is closed; open it again".to_owned() };
        let bytes = u32::try_from(pending.record.len()).map_or(QUEUE_BYTES_MAX, |bytes| bytes.max(QUEUE_BYTES_MIN));
        let permit = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        self.queue.push(Request { pending, reply, permit }).map_err(|_| closed())?;
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
        self.queue.close();
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

/// The commit thread: takes what is there, commits it together, answers.
fn commit_all(mut writer: Writer, queue: &Queue) {
    let (mut hoped, mut linger) = (1, Duration::ZERO);
    loop {
        let requests = queue.take(hoped, linger);
        if requests.is_empty() {
            break;
        }
        let begun = Instant::now();
        hoped = requests.len();
        let (batch, replies): (Vec<_>, Vec<_>) =
            requests.into_iter().map(|request| (request.pending, (request.reply, request.permit))).unzip();
        // A caller that went away is no reason to stop.
        match writer.commit(&batch) {
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
        // Who asked together will ask together again; waiting for them costs at most what a commit without them would.
        linger = begun.elapsed();
    }
    writer.close();
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

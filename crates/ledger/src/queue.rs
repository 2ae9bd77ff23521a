//! What waits for the commit thread. Callers wake it only when it has as much as it hopes for, so that one
//! commit takes along all who are about to ask, rather than the first of them alone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bartizan_gate::{AppendError, Position};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::writer::Pending;

/// Most bytes in one batch: beyond this the disk is busy enough that a larger one gains nothing.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest wait for the company of the last batch: a few commits of a quick disk.
const LINGER_MAX: Duration = Duration::from_micros(500);

/// How long the commit thread looks for the next request before it sleeps: whoever asks again at once, as most do,
/// need not wait until it has woken up.
const SPIN: Duration = Duration::from_micros(60);

/// A record that somebody waits for.
pub(crate) struct Request {
    pub(crate) pending: Pending,
    pub(crate) reply: oneshot::Sender<Result<Position, AppendError>>,
    /// Gives the record's bytes back to the queue's bound.
    pub(crate) permit: OwnedSemaphorePermit,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    /// How many the commit thread sleeps for; 0 while it is awake.
    awaited: usize,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    /// Something happened since the last time everything was taken; a hint for who looks without locking.
    stirred: AtomicBool,
}

impl Queue {
    /// Hands in a request; gives it back when the queue is closed.
    pub(crate) fn push(&self, request: Request) -> Result<(), Request> {
        let mut state = self.lock();
        if state.closed {
            return Err(request);
        }
        state.requests.push_back(request);
        self.stirred.store(true, Ordering::Release);
        if state.awaited > 0 && state.requests.len() >= state.awaited {
            state.awaited = 0;
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Whether nobody waits and it is not closed.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.requests.is_empty() && !state.closed
    }

    /// Takes nothing more; what is in it is still given out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.stirred.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Waits for a request, and then a little for as many as `hoped`; empty once it is closed and done.
    pub(crate) fn take(&self, hoped: usize, linger: Duration) -> Vec<Request> {
        let patience = Instant::now() + SPIN;
        while !self.stirred.load(Ordering::Acquire) && Instant::now() < patience {
            std::hint::spin_loop();
        }
        let mut state = self.lock();
        while state.requests.is_empty() && !state.closed {
            state.awaited = 1;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let deadline = Instant::now() + linger.min(LINGER_MAX);
        while state.requests.len() < hoped && !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.awaited = hoped;
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.awaited = 0;
        let mut bytes = 0;
        let fits = |request: &&Request| {
            let first = bytes == 0;
            bytes += request.pending.record.len();
            first || bytes <= BATCH_BYTES_MAX
        };
        let count = state.requests.iter().take_while(fits).count();
        let taken = state.requests.drain(..count).collect();
        self.stirred.store(!state.requests.is_empty() || state.closed, Ordering::Release);
        taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The system's clock, held to its word: it never runs backwards, neither against itself nor against the ledger.

use std::sync::{Mutex, PoisonError};

use bartizan_gate::{Clock, ClockError};
use jiff::{SignedDuration, Timestamp};

/// A step back that time synchronisation makes in the normal course of things; it is waited out, not refused.
pub const STEP_BACK_MAX: SignedDuration = SignedDuration::from_secs(2);

/// The gate's clock.
pub struct SystemClock {
    floor: Mutex<Option<Timestamp>>,
    source: fn() -> Timestamp,
}

impl SystemClock {
    /// A clock that stands no earlier than the ledger's last entry, see [`crate::FileLedger::last_at`].
    #[must_use]
    pub fn new(ledger_last: Option<Timestamp>) -> Self {
        Self::with_source(ledger_last, Timestamp::now)
    }

    /// The same over another source of time.
    #[must_use]
    pub fn with_source(ledger_last: Option<Timestamp>, source: fn() -> Timestamp) -> Self {
        Self { floor: Mutex::new(ledger_last), source }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Result<Timestamp, ClockError> {
        // Taken under the lock: two callers at once must not see each other's earlier reading as a step back.
        let mut floor = self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        let system = (self.source)();
        let Some(last) = *floor else {
            *floor = Some(system);
            return Ok(system);
        };
        let back = last.duration_since(system);
        if back > STEP_BACK_MAX {
            return Err(ClockError {
                reason: format!(
                    "the system says {system}, but the ledger's last entry is of {last}; set the system's clock right, or, if it was ahead when that entry was made, wait until then or move the ledger and its witness away to begin a new one"
                ),
            });
        }
        let now = system.max(last);
        *floor = Some(now);
        Ok(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static TIME: Cell<i64> = const { Cell::new(0) };
    }

    fn clock(ledger_last: Option<i64>) -> SystemClock {
        let last = ledger_last.map(|second| Timestamp::from_second(second).unwrap());
        SystemClock::with_source(last, || Timestamp::from_second(TIME.get()).unwrap())
    }

    fn at(clock: &SystemClock, second: i64) -> Option<i64> {
        TIME.set(second);
        clock.now().ok().map(Timestamp::as_second)
    }

    #[test]
    fn clamps_a_small_step_back_and_refuses_a_large_one() {
        let clock = clock(None);
        assert_eq!(at(&clock, 100), Some(100));
        assert_eq!(at(&clock, 98), Some(100));
        assert_eq!(at(&clock, 97), None);
        assert_eq!(at(&clock, 101), Some(101));
    }

    #[test]
    fn stands_no_earlier_than_the_ledger() {
        assert_eq!(at(&clock(Some(100)), 99), Some(100));
        assert_eq!(at(&clock(Some(100)), 97), None);
        TIME.set(50);
        let error = clock(Some(100)).now().unwrap_err();
        assert!(error.to_string().contains("set the system's clock right"), "{error}");
    }
}

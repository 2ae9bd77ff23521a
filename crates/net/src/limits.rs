//! How much of the network one run may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Connections at once, when policy says nothing: package managers open dozens, a flood thousands.
pub const CONNECTIONS_DEFAULT: usize = 4096;

/// What policy allows a run.
#[derive(Debug, Clone)]
pub struct NetLimits {
    /// Connections at once, those that wait for a person included. More are reset. Fewer where the process may not have
    /// descriptors enough: a third of its soft limit.
    pub connections_max: usize,
    /// Bytes that may leave the box in the whole run.
    pub egress_bytes_max: Option<u64>,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self { connections_max: CONNECTIONS_DEFAULT, egress_bytes_max: None }
    }
}

/// The bytes a run may still send. Exact however many connections draw on it: bytes are taken when they are in hand
/// and before they leave, so together no more and no fewer than the budget passes.
#[derive(Debug, Clone)]
pub struct EgressBudget {
    left: Arc<AtomicU64>,
    total: Option<u64>,
}

impl EgressBudget {
    /// A budget of so many bytes, or none at all.
    #[must_use]
    pub fn new(total: Option<u64>) -> Self {
        Self { left: Arc::new(AtomicU64::new(total.unwrap_or(u64::MAX))), total }
    }

    /// Takes up to so many bytes; returns how many may be sent.
    #[must_use]
    pub fn take(&self, wanted: usize) -> usize {
        if self.total.is_none() {
            return wanted;
        }
        let wanted64 = u64::try_from(wanted).unwrap_or(u64::MAX);
        let update = |left: u64| Some(left - left.min(wanted64));
        let before = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, update).unwrap_or(0);
        usize::try_from(before.min(wanted64)).unwrap_or(wanted)
    }

    /// How it is put to a person when it is used up.
    pub(crate) fn exhausted(&self) -> String {
        format!(
            "the run's budget of {} bytes to send is used up; `limits.egress_bytes` sets it",
            self.total.unwrap_or(0)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_budget_is_given() {
        let budget = EgressBudget::new(Some(100_000));
        let given: usize = std::thread::scope(|scope| {
            let taker = |step: usize| {
                let budget = budget.clone();
                scope.spawn(move || {
                    std::iter::repeat_with(|| budget.take(step)).take_while(|got| *got > 0).sum::<usize>()
                })
            };
            [7, 64, 1000, 3].map(taker).map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert_eq!(given, 100_000);
        assert_eq!(EgressBudget::new(None).take(5), 5);
    }
}

//! The bytes of one connection: counted as they move, and granted by the run's budget before they leave the box.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::EgressBudget;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Out of the box.
    Sent,
    /// Into the box.
    Received,
}

/// One connection's meter, or that of one request on it.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    budget: EgressBudget,
    sent: AtomicU64,
    received: AtomicU64,
    whole: Option<&'a Meter<'a>>,
}

impl Meter<'_> {
    pub(crate) fn new(budget: EgressBudget) -> Self {
        Self { budget, sent: AtomicU64::new(0), received: AtomicU64::new(0), whole: None }
    }

    /// A meter for a part of this one's connection: what it counts, this one counts too.
    pub(crate) fn part(&self) -> Meter<'_> {
        Meter { budget: self.budget.clone(), sent: AtomicU64::new(0), received: AtomicU64::new(0), whole: Some(self) }
    }

    /// How many of these bytes may go. What comes into the box is free.
    pub(crate) fn grant(&self, direction: Direction, bytes: usize) -> usize {
        match direction {
            Direction::Sent => self.budget.take(bytes),
            Direction::Received => bytes,
        }
    }

    pub(crate) fn moved(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::Sent => &self.sent,
            Direction::Received => &self.received,
        };
        counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(whole) = self.whole {
            whole.moved(direction, bytes);
        }
    }

    pub(crate) fn sent(&self) -> i64 {
        i64::try_from(self.sent.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    }

    pub(crate) fn received(&self) -> i64 {
        i64::try_from(self.received.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    }

    pub(crate) fn exhausted(&self) -> String {
        self.budget.exhausted()
    }
}

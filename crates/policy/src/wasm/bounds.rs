//! How much one call of a component may take.

use std::time::Duration;

use crate::language::GuardModule;
use crate::units::{Bytes, Span};

/// The bounds of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Units of computing, about one an instruction.
    pub(super) fuel: u64,
    /// Bytes, over all memories and tables together.
    pub(super) memory: u64,
    /// Time on the clock, a backstop for a busy machine: fuel is what bounds a call everywhere alike.
    pub(super) time: Duration,
}

impl Bounds {
    /// Without a word in the policy: reading the longest input with `serde_json` takes a hundredth of it.
    const FUEL: u64 = 50_000_000;
    const MEMORY: Bytes = Bytes(16 << 20);
    const TIME: Span = Span(Duration::from_millis(500));
    /// The most a policy can say. A decision holds up what is to be done, and threads that other decisions need.
    pub(crate) const FUEL_MAX: u64 = 1_000_000_000;
    pub(crate) const MEMORY_MAX: Bytes = Bytes(128 << 20);
    pub(crate) const TIME_MAX: Span = Span(Duration::from_secs(2));

    /// What the policy says, or the usual.
    pub(crate) fn of(module: &GuardModule) -> Self {
        Self {
            fuel: module.fuel.unwrap_or(Self::FUEL),
            memory: module.memory.unwrap_or(Self::MEMORY).0,
            time: module.time.unwrap_or(Self::TIME).0,
        }
    }

    pub(super) fn memory_shown(self) -> Bytes {
        Bytes(self.memory)
    }

    pub(super) fn time_shown(self) -> Span {
        Span(self.time)
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "fuel {}, memory {}, time {}", self.fuel, self.memory_shown(), self.time_shown())
    }
}

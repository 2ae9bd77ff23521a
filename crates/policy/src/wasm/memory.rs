//! Counts what a call takes in memory, over everything in it.

use wasmtime::ResourceLimiter;

/// Most instances, memories and tables of one component, what its adapters need included.
const PARTS_MAX: usize = 32;
/// What an entry of a table takes.
const ENTRY_BYTES: usize = 16;

/// What a call has and may have.
pub(super) struct Memory {
    left: usize,
}

/// It wanted more.
#[derive(Debug)]
pub(super) struct OutOfMemory;

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("out of memory")
    }
}

impl std::error::Error for OutOfMemory {}

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        Self { left: usize::try_from(bytes).unwrap_or(usize::MAX) }
    }

    /// Refused is the end of the call: a component that is told "no" goes on with less, and gives half an answer.
    fn take(&mut self, bytes: usize) -> wasmtime::Result<bool> {
        self.left = self.left.checked_sub(bytes).ok_or(OutOfMemory)?;
        Ok(true)
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current).saturating_mul(ENTRY_BYTES))
    }

    fn instances(&self) -> usize {
        PARTS_MAX
    }

    fn tables(&self) -> usize {
        PARTS_MAX
    }

    fn memories(&self) -> usize {
        PARTS_MAX
    }
}

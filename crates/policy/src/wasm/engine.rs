//! The one engine of this process. Everything that is not plain computing is off, so that a component's answer follows
//! from its input alone; fuel and epochs bound it, and no signal handlers are installed for it.

use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use wasmtime::{Config, Engine, OperatorCost, OptLevel, VariableOperatorCost};

/// Deepest a component's calls may go, in bytes of stack; decisions are made on threads with 2 MiB.
const STACK_BYTES_MAX: usize = 256 * 1024;
/// How often time is looked at.
const TICK: Duration = Duration::from_millis(10);
/// What a page of memory costs beside the instruction that asks for it: the time to clear it.
const PAGE_FUEL: u8 = 250;

/// The engine and what counts time for it.
pub(super) struct Runtime {
    pub(super) engine: Engine,
    clock: Arc<Clock>,
}

/// Calls in progress. The thread that counts time sleeps while there are none.
#[derive(Default)]
struct Clock {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    ticking: bool,
}

/// The engine, made when the first component is read.
///
/// # Errors
/// The processor or the system can't carry it; the sentence says why.
pub(super) fn runtime() -> Result<&'static Runtime, String> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME.get_or_init(Runtime::new).as_ref().map_err(Clone::clone)
}

impl Runtime {
    fn new() -> Result<Self, String> {
        let variable = VariableOperatorCost { memory_grow_per_page: PAGE_FUEL, ..VariableOperatorCost::new() };
        let costs = OperatorCost { variable, ..OperatorCost::default() };
        let mut config = Config::new();
        config
            .consume_fuel(true)
            .operator_cost(costs)
            .epoch_interruption(true)
            .max_wasm_stack(STACK_BYTES_MAX)
            .cranelift_opt_level(OptLevel::Speed)
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true)
            .wasm_memory64(false)
            // Signal handlers are one for the whole process, and Bartizan's are not to be taken over.
            .signals_based_traps(false)
            // A call's memory is small and short-lived: no gigabytes of address space are set aside for it.
            .memory_reservation(0)
            .memory_reservation_for_growth(0)
            .memory_guard_size(0)
            .guard_before_linear_memory(false)
            // Where in a component it went wrong is not told; messages name what went wrong.
            .wasm_backtrace_max_frames(None)
            .native_unwind_info(false)
            .generate_address_map(false)
            .concurrency_support(false);
        let engine = Engine::new(&config).map_err(|error| format!("no WebAssembly engine: {error:#}"))?;
        let clock = Arc::new(Clock::default());
        let (ticked, counted) = (engine.clone(), clock.clone());
        std::thread::Builder::new()
            .name("wasm-clock".to_owned())
            .spawn(move || counted.count(&ticked))
            .map_err(|error| format!("no thread to watch over WebAssembly's time: {error}"))?;
        Ok(Self { engine, clock })
    }

    /// Runs a call while time is counted.
    pub(super) fn timed<T>(&self, call: impl FnOnce() -> T) -> T {
        let running = Running::new(&self.clock);
        let answer = call();
        drop(running);
        answer
    }
}

/// How many ticks a time is, so that no call is stopped early.
pub(super) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX - 1).saturating_add(1)
}

/// A call in progress; over when dropped, whichever way it ends.
struct Running<'a>(&'a Clock);

impl<'a> Running<'a> {
    fn new(clock: &'a Clock) -> Self {
        let mut state = clock.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running += 1;
        if !state.ticking {
            state.ticking = true;
            clock.wake.notify_one();
        }
        drop(state);
        Self(clock)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = state.running.saturating_sub(1);
    }
}

impl Clock {
    fn count(&self, engine: &Engine) {
        loop {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            while state.running == 0 {
                state.ticking = false;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}

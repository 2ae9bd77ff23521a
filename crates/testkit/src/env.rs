//! Every environment variable that development uses beside the product's own; `cargo xtask tidy` holds the
//! code to this list.

/// The `bartizan` binary under test. Without it: the one beside the running test binary.
pub const BARTIZAN_BIN: &str = "BARTIZAN_BIN";

/// The Python environment that `cargo xtask setup` made. Without it: `target/venv`.
pub const BARTIZAN_VENV: &str = "BARTIZAN_VENV";

/// A ready-made probe to use instead of building one.
pub const BARTIZAN_PROBE: &str = "BARTIZAN_PROBE";

/// Where the ledger's bench writes, to measure a disk of one's choice. Without it: the temporary folder.
pub const BARTIZAN_BENCH_DIRECTORY: &str = "BARTIZAN_BENCH_DIRECTORY";

/// The file that collects which tests were skipped and why.
pub const BARTIZAN_SKIPPED: &str = "BARTIZAN_SKIPPED";

/// The example of a guard in WebAssembly, built. Without it: the test that runs it is skipped.
pub const BARTIZAN_GUARD_EXAMPLE: &str = "BARTIZAN_GUARD_EXAMPLE";

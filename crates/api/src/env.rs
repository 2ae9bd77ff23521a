//! Every environment variable Bartizan reads or sets. Nothing else in the code names one.

/// Where Bartizan keeps its things; default `~/.bartizan`.
pub const HOME: &str = "BARTIZAN_HOME";
/// Turns colours off when set to anything but the empty string (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";
/// Roots to verify servers against instead of the system's, where requests inside TLS are decided.
pub const CERTIFICATES: &str = "SSL_CERT_FILE";
/// Set inside a box: the run's identifier.
pub const RUN: &str = "BARTIZAN_RUN";
/// Base directory of state that outlives `BARTIZAN_HOME`, where the ledger's witness is kept; default `~/.local/state`.
pub const STATE_HOME: &str = "XDG_STATE_HOME";
/// Set by sudo: who called it, whom a watched program then is.
pub const SUDO_UID: &str = "SUDO_UID";
/// Set by sudo: the group of who called it.
pub const SUDO_GID: &str = "SUDO_GID";
/// Tests only: the `bartizan` binary to drive.
pub const TEST_BINARY: &str = "BARTIZAN_BIN";
/// Tests only: a Python with third-party libraries that check our formats.
pub const TEST_PYTHON: &str = "BARTIZAN_TEST_PYTHON";

/// Every variable with a word on it, for `--help` and the reference.
pub const ALL: &[(&str, &str)] = &[
    (HOME, "where Bartizan keeps its things (default ~/.bartizan)"),
    (NO_COLOR, "turns colours off"),
    (CERTIFICATES, "roots to verify servers against, where TLS is inspected (default: the system's)"),
    (RUN, "set inside a box: the run's identifier"),
    (STATE_HOME, "base of the ledger's witness (default ~/.local/state)"),
    (SUDO_UID, "set by sudo: whom `bartizan watch -- CMD` runs the command as"),
    (SUDO_GID, "set by sudo: the group it runs it as"),
    (TEST_BINARY, "tests only: the binary to drive"),
    (TEST_PYTHON, "tests only: a Python with third-party verifiers"),
];

//! Confines, then executes.
//!
//! Started by Bartizan's process with a plan and two sockets. This process becomes the *janitor*: it
//! starts the box's first process in new namespaces, watches both sides, and ends the box when
//! either is gone. The first process (see [`init`]) builds the box, gives up every privilege, starts
//! the command and answers for what the command asks to do.

mod command;
mod confine;
mod fault;
mod init;
mod janitor;
mod mounts;
mod sockets;
mod sys;
mod warden;

use std::process::ExitCode;

fn main() -> ExitCode {
    match janitor::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

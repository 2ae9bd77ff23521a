//! Boxes: places where a program runs with only the files, processes and network it was given.
//!
//! [`prepare`] turns a [`BoxSpec`] into a box whose layers stand but in which nothing of the user's
//! runs yet, and hands out the sockets that are its only way to a network. [`PreparedBox::start`]
//! then lets the command go. The crate decides nothing: what may be read, written or started is in
//! the specification, and what must be asked arrives as [`WardenRequest`]s. It never starts a
//! program outside a box, except into a watched control group ([`guarded`]). Start reading at [`BoxSpec`]; how a box is built is in `bartizan-jail`.

mod arrange;
mod cgroup;
mod error;
pub mod guarded;
mod helper;
mod leftovers;
mod prepared;
mod probe;
mod processes;
mod running;
mod sockets;
mod spec;
mod watch;

pub use bartizan_jail::{Layer, LayerState, LayerStatus, Operation};
pub use error::StartError;
pub use helper::warm_up;
pub use leftovers::{Leftovers, claim, collect_leftovers};
pub use prepared::{PreparedBox, prepare};
pub use probe::{LayerProbe, probe};
pub use processes::of_box as processes_of;
pub use running::{
    Answer, Answers, ExitReport, ExitStatus, RunningBox, Signaller, StopReason, Stopper, Usage, WardenRequest,
};
pub use sockets::NetSockets;
pub use spec::{BoxSpec, Demand, Limits, RootMapping, Stdio};

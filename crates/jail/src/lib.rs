//! What Bartizan's process and the confining helper say to each other: the plan of one box and the
//! messages on its two sockets.
//!
//! The helper itself (`src/bin/jail`) is a small static program. It makes the namespaces and mounts,
//! gives up every privilege and starts the user's command; it decides nothing. This library only
//! describes and carries messages; both sides share it. Start reading at [`JailPlan`].

pub mod channel;
mod names;
mod plan;
mod wire;

pub use names::Names;
pub use plan::{Cgroup, Descriptor, Identity, JailPlan, Link, ResourceLimit, Text, Tree, TreeOwner};
pub use wire::{
    DecodeError, FromInit, FromJanitor, Layer, LayerState, LayerStatus, MESSAGE_BYTES_MAX, Operation, ServerSocket,
    ToInit, ToJanitor, decode, encode,
};

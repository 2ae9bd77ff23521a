//! A guard over the way out of processes that are in no box: kernel programs on a control group refuse what policy doesn't
//! let through, before a first byte, and tell who tried; [`Watch`] puts that to the gate and answers for names. Start with
//! [`Guard::stand`].

mod assemble;
mod event;
mod guard;
mod names;
mod parts;
mod programs;
mod service;
mod system;
mod trial;

pub use event::{Event, Happened};
pub use guard::{Guard, GuardError, Reach, Stance};
pub use names::NameSockets;
pub use service::{Attempt, NameReach, Offenders, Reaches, Watch};
pub use trial::trial;

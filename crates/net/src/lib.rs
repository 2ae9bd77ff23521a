//! The box's way to the network, and the only one. The box's network namespace has loopback and nothing else; this crate
//! closes it off from outside ([`namespace`]), takes every TCP connection and DNS question that is made inside, puts
//! each to the gate as an action, and carries what was admitted.
//!
//! It never dials without an armed connection in hand, never asks a name server before one was admitted, and never
//! passes on the first bytes of a connection before they have been checked. Start with [`Network::serve`].

pub mod address;
pub mod answer;
mod at_hand;
mod authority;
mod body;
pub mod chunked;
mod context;
mod dns;
pub mod dns_message;
mod exchange;
mod fetch;
mod first;
mod flow;
mod front;
pub mod head;
pub mod hello;
pub mod host;
mod http2;
mod http2_head;
mod inspect;
pub mod limits;
pub mod llm;
pub mod names;
pub mod namespace;
mod netlink;
mod network;
mod nftables;
pub mod path;
pub mod process;
mod proxy;
mod relay;
mod reply;
mod requests;
mod resolve;
mod secure;
mod side;
mod splice;
mod traffic;
mod transparent;
mod trust;
pub mod watch;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use authority::{Authority, AuthorityError};
pub use context::NetConfig;
pub use fetch::{FetchError, Fetched, Place, PlaceError, fetch};
pub use front::Front;
pub use limits::NetLimits;
pub use namespace::{Ipv6Sockets, NamespaceError, NamespaceSockets};
pub use netlink::NetlinkError;
pub use network::{NetSummary, Network, ServeError};
pub use process::ProcessCandidates;
pub use trust::{Inspection, TrustError};

/// Locks. No lock of this crate guards a change in several steps, so what a panic elsewhere left behind is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

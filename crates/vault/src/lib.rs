//! Secrets that the box never sees. The box holds *placeholders*, which are worth nothing anywhere else; a request that
//! carries one is decided with it, and only where a binding covers that very host, method, path and place does the
//! value take the placeholder's place, on its way out and outside the box ([`Broker`]).
//!
//! Values are kept in a [`store`](bartizan_gate::store): an age-encrypted directory by default ([`AgeStore`]). The crate
//! decides nothing (policy does), writes nothing into the ledger (the gate does), and never puts a value into an error,
//! a log or anything printable. Start with [`Broker`], then `request/`.

mod broker;
mod files;
mod grants;
mod placeholder;
pub mod request;
mod stores;

pub use broker::{Broker, BrokerError, Loan};
pub use grants::{GRANTS_FILE, Grants, GrantsError};
pub use placeholder::Placeholder;
pub use stores::age::AgeStore;
pub use stores::environment::EnvironmentStore;
pub use stores::kv2::{Kv2Login, Kv2Settings, Kv2Store};

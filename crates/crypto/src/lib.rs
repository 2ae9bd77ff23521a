//! Keys and proofs: Ed25519 keys and the files they live in, DSSE envelopes, C2SP signed notes and
//! checkpoints, and the RFC 6962 Merkle tree. It keeps no state, knows nothing of actions or policies,
//! and never puts key material into an error or a log. [`Locked`] is the memory secrets are kept in. Start with [`SigningKey`] and [`key_file`], then
//! [`merkle`].

pub mod checkpoint;
pub mod dsse;
mod key;
pub mod key_file;
mod locked;
pub mod merkle;
pub mod note;

pub use checkpoint::Checkpoint;
pub use dsse::Envelope;
pub use key::{KeyError, PublicKey, SigningKey};
pub use locked::{Locked, LockedError};
pub use merkle::{Frontier, Hash};

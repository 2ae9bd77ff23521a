//! The ledger: an append-only record that nobody can quietly rewrite. Entries are lines of canonical JSON, chained by
//! hash and covered by a Merkle tree whose root is signed with every commit; an answer to an append means that the
//! entry is on disk. It decides nothing, redacts nothing (what comes in is clean already) and never changes
//! an entry. Start with [`FileLedger`], then [`verify()`].

mod checkpoints;
mod clock;
mod commitments;
mod committed;
mod end;
pub mod entry;
mod error;
mod export;
mod follow;
mod head;
mod index;
mod input;
mod layout;
mod ledger;
mod lines;
mod queue;
mod receipts;
mod recovery;
mod scan;
mod signer;
pub mod verify;
mod witness;
mod writer;

pub use clock::{STEP_BACK_MAX, SystemClock};
pub use entry::{EntryRef, LineError, RECORD_BYTES_MAX, parse_line};
pub use error::OpenError;
pub use export::{ExportError, export, export_to};
pub use follow::Follow;
pub use index::{Entry, Index, IndexError, OpenAction, QUERY_ROWS_MAX, Query, Row};
pub use layout::{ledger_id, origin};
pub use ledger::{FileLedger, LedgerOptions, SEGMENT_BYTES_MAX};
pub use receipts::{ReceiptError, Receipts, envelope, verify_envelope};
pub use recovery::{RecoverError, close_unknown};
pub use signer::LedgerSigner;
pub use verify::{BadEntry, Report, VerifyError, VerifyOptions, WitnessState, verify};
pub use witness::witness_path;

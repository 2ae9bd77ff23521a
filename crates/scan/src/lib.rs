//! Finds secrets in text and takes them out.
//!
//! Everything that Bartizan writes down or shows (ledger entries, logs, prompts, errors) passes one
//! [`Redactor`]. It knows secrets by their form, so it needs no list of the user's secrets; what has no form of its own is
//! found by its context (`password=…`, `Authorization: …`). A process that holds secrets tells it their values, too
//! ([`Known`]). [`printable`]
//! is its companion for terminals: it makes visible whatever could change what a reader sees.
//!
//! The crate does no I/O and keeps no state between calls. Each detector is linear in the length of the text:
//! there is no backtracking, and no lookup whose cost an attacker could choose.
//!
//! Start reading at [`Redactor`]; a new detector is one file under `detectors/` and one line in its list.

mod bits;
mod decode;
mod detector;
mod detectors;
mod engine;
mod hidden;
pub mod injection;
mod json;
pub mod known;
mod normal;
pub mod personal;
mod printable;
mod redactor;
pub mod replace;
mod scanner;
mod sight;
mod sighting;
mod stand_in;
mod stream;

pub use known::{Known, KnownError, Mask};
pub use printable::{is_deceptive, printable};
pub use redactor::{Match, Redactor};
pub use scanner::{Options, ScanStream, Scanner};
pub use sighting::{Class, REPORT_SCORE, Sighting};
pub use stand_in::{PLACEHOLDER_DIGITS, PLACEHOLDER_PREFIX};

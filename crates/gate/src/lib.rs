//! The spine: every action of every agent passes [`Gate`], and the stages it passes are types. A
//! [`Scanned`] can be made only by looking at content, a [`Permitted`] only by deciding, an [`Approved`] only by
//! approving, an [`Opened`] only by a durable ledger entry, an [`Armed`] only by injecting; their fields are
//! private, so code that skips a stage doesn't compile. Effects take an [`Armed`] as proof that they may happen.
//! The gate knows no adapter: it reaches the world through the traits in [`ports`]. Start with [`Gate::admit`].

mod clean;
pub mod desk;
pub mod gate;
pub mod ports;
mod redaction;
pub mod refusal;
pub mod stage;
pub mod store;

pub use bartizan_scan::Mask;
pub use desk::{AnswerError, Decision, Desk, Pending, Standing};
pub use gate::{Gate, Judged, Parts};
pub use ports::{
    Answer, AppendError, Approver, BoxFuture, Clock, ClockError, Decider, Event, Fill, Ledger, Observer, Outgoing,
    Position, Question, Released, Scanner, Secrets, SecretsError, SignError, Signer,
};
pub use refusal::{Refusal, RefusalCause};
pub use stage::{Approved, Armed, Identified, Opened, Permitted, Scanned};

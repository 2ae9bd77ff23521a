//! Policy: the language, and decisions under it. [`Policy::load`] reads a policy with everything it extends,
//! [`PolicySet`] compiles it and decides, [`PolicySet::layers`] says what the box and the network enforce
//! without asking. Pure: no files are read, no clock, nothing blocks; whoever calls hands in the text. It
//! never allows what it doesn't understand. Start with `language`, then `load`, then `set`.

pub mod address;
mod args;
pub mod builtin;
pub mod bundle;
mod cases;
mod context;
mod decision;
mod decode;
mod deeds;
mod diff;
mod examples;
mod exception;
mod exec;
mod explain;
mod files;
mod guards;
mod host;
mod http;
pub mod language;
pub mod layers;
mod lint;
mod load;
mod names;
mod net;
pub mod path;
mod pattern;
mod place;
mod policy;
mod rego;
mod risk;
mod rule;
mod session;
mod set;
mod shapes;
mod suggest;
mod testing;
mod text_pattern;
mod tree;
mod units;
mod yaml;

pub use cases::{CaseError, parse_case};
pub use context::{Context, ContextError};
pub use decision::Decision;
pub use examples::examples;
pub use exception::{EXCEPTIONS_MAX, Exception};
pub use explain::{ActionExplanation, Explanation, LayerExplanation, MatchedRule};
pub use files::{Hold, PathAccess};
pub use guards::Look;
pub use host::{Host, HostPattern};
pub use language::json_schema;
pub use layers::{BoxLevel, EnvLayer, FileLayer, Layers, LimitsLayer, NetLayer};
pub use lint::Warning;
pub use load::{BuiltinsOnly, Loader, Policy, Source, parse};
pub use net::Duties;
pub use place::{At, Place, PolicyError, PolicyErrors};
pub use rego::{Rego, RegoTrialError, rego_input_schema};
pub use session::{Counters, Label, Session};
pub use set::PolicySet;
pub use suggest::Suggestion;
pub use testing::{Coverage, TestResult};
pub use units::{Bytes, Cpus, Span};
pub use yaml::POLICY_BYTES_MAX;

//! Guards of one's own: WebAssembly components after `spec/wit/guard.wit`. Each is compiled once, when the policy is
//! read, and gets a fresh instance for every action, with bounds on computing, memory and time. It is handed the
//! document Rego modules see and nothing else: what it imports is refused. It can make a decision stricter, never
//! wider, and whatever goes wrong in it is a refusal with its reason.
//!
//! The engine is large, so that it is there only when Bartizan is built with the feature `wasm`. Without it a policy
//! that names a component is an error.

#[cfg(not(feature = "wasm"))]
mod absent;
mod bounds;
#[cfg(feature = "wasm")]
mod component;
#[cfg(feature = "wasm")]
mod engine;
#[cfg(feature = "wasm")]
mod memory;

use bartizan_model::{Effect, Risk};

#[cfg(not(feature = "wasm"))]
pub(crate) use absent::Wasm;
pub(crate) use bounds::Bounds;
#[cfg(feature = "wasm")]
pub(crate) use component::Wasm;

/// Most components of one policy.
pub(crate) const MODULES_MAX: usize = 16;

/// What a component has against an action, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    /// `ask` or `deny`.
    pub(crate) effect: Effect,
    /// `wasm.<rule>` or `wasm.failed`.
    pub(crate) rule: String,
    /// Why, for a person; bounded.
    pub(crate) message: String,
    pub(crate) risk: Risk,
}

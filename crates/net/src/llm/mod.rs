//! Traffic of language models: questions read for what policy decides on, answers read as they come. The readers here
//! are pure and bounded; what they read goes on byte for byte, or not at all.

pub mod answer;
mod carry;
mod consult;
pub mod frames;
pub mod json;
mod passage;
mod refusal;
pub mod request;

pub(crate) use carry::Way;
pub(crate) use consult::{Carrier, Conversation, Unasked, api_of, halted};

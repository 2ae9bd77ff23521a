//! Section `llm`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::Merge;
use crate::place::At;
use crate::units::Span;

/// Section `llm`: what holds for every question to a language model; which models may be asked stands in `models`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Llm {
    /// Calls of tools in a model's answer are decided by `tools`, each as a call of the server `openai`, `anthropic` or
    /// `ollama`, before the agent sees them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<At<bool>>,
    /// How often the same question may be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<At<Repeats>>,
}

/// The same question, byte for byte, is refused when it comes more often.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Repeats {
    /// So often it may be asked: 1 to 100.
    pub most: u64,
    /// In so much time.
    pub within: At<Span>,
}

impl Merge for Llm {
    fn merge(self, child: Self) -> Self {
        Self { tool_calls: child.tool_calls.or(self.tool_calls), repeats: child.repeats.or(self.repeats) }
    }
}

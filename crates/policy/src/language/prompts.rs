//! Section `prompts`.

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::Serialize;

use crate::language::merge::Merge;
use crate::place::At;

/// Section `prompts`: text that enters an agent's context, by who it comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Prompts {
    /// For text in which nothing is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<At<Effect>>,
    /// The principal's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<OriginRules>,
    /// Pages, files, mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieved: Option<OriginRules>,
    /// Results of tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<OriginRules>,
    /// Answers of language models, as they stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<OriginRules>,
}

/// How sure the scanner must be that text gives orders for a person to be asked, or for a refusal: 0 to 100.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct OriginRules {
    /// From this score on a person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<At<u8>>,
    /// From this score on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<At<u8>>,
    /// What becomes of text that a reader doesn't see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<At<Effect>>,
    /// What becomes of text that holds a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<At<Effect>>,
    /// What becomes of text that holds personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<At<Effect>>,
}

impl Merge for Prompts {
    fn merge(self, child: Self) -> Self {
        Self {
            default: child.default.or(self.default),
            user: self.user.merge(child.user),
            retrieved: self.retrieved.merge(child.retrieved),
            tool: self.tool.merge(child.tool),
            model: self.model.merge(child.model),
        }
    }
}

impl Merge for OriginRules {
    fn merge(self, child: Self) -> Self {
        Self {
            ask: child.ask.or(self.ask),
            deny: child.deny.or(self.deny),
            hidden: child.hidden.or(self.hidden),
            secret: child.secret.or(self.secret),
            personal: child.personal.or(self.personal),
        }
    }
}

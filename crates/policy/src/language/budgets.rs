//! Section `budgets`.

use std::fmt;

use bartizan_model::Effect;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::language::merge::{Merge, list};
use crate::place::At;
use crate::units::{Bytes, Span};

/// Section `budgets`: what may be used up, counted exactly also when much happens at once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Budgets {
    /// By everything one `bartizan run` or `bartizan check` decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Budget>,
    /// By each session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Budget>,
    /// By what goes to some hosts, counted for each rule and session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destinations: Option<Vec<At<DestinationBudget>>>,
    /// By calls of some tools, counted for each rule and session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<At<ToolBudget>>>,
    /// What a million tokens cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<Vec<At<Price>>>,
    /// What becomes of what would go over: `deny` when absent, or `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<At<Effect>>,
}

/// How much of each thing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct Budget {
    /// Connections, requests, calls, messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<At<u64>>,
    /// Bytes of content sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<At<Bytes>>,
    /// Tokens of language models, sent and answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<At<u64>>,
    /// Cost of those tokens, in the currency of `prices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<At<Money>>,
    /// Time since the first action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<At<Span>>,
}

/// A budget over some hosts.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DestinationBudget {
    /// Name, `*.name`, `*`, address or range, as in `net`.
    pub host: String,
    /// How much.
    #[serde(flatten)]
    pub budget: Budget,
}

/// A budget over some tools; both parts may hold `*`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ToolBudget {
    /// The server that offers the tool.
    pub server: String,
    /// The tool; `*` when absent.
    #[schemars(default)]
    pub name: String,
    /// How much.
    #[serde(flatten)]
    pub budget: Budget,
}

/// What a model's tokens cost.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Price {
    /// The model, `provider/model` or `model`, which may hold `*`.
    pub model: String,
    /// A million tokens sent.
    pub input: Money,
    /// A million tokens answered.
    pub output: Money,
}

/// An amount of money, written `5` or `0.25`, kept in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(extend("type" = ["number", "string"], "examples" = [5, 0.25]))]
pub struct Money(#[schemars(skip)] pub u64);

impl Money {
    /// Reads an amount; the message says what one looks like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let amount = crate::units::millionths(text.trim());
        amount.map(Self).ok_or_else(|| "an amount is a number such as `5` or `0.25`, with at most six decimals".into())
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if rest == 0 {
            return write!(formatter, "{whole}");
        }
        let decimals = format!("{rest:06}");
        write!(formatter, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Merge for Budgets {
    fn merge(self, child: Self) -> Self {
        Self {
            run: self.run.merge(child.run),
            session: self.session.merge(child.session),
            destinations: list(self.destinations, child.destinations),
            tools: list(self.tools, child.tools),
            prices: list(self.prices, child.prices),
            over: child.over.or(self.over),
        }
    }
}

impl Merge for Budget {
    fn merge(self, child: Self) -> Self {
        Self {
            requests: child.requests.or(self.requests),
            bytes: child.bytes.or(self.bytes),
            tokens: child.tokens.or(self.tokens),
            cost: child.cost.or(self.cost),
            time: child.time.or(self.time),
        }
    }
}

//! The policy language as types: what a policy file may say. `decode` reads them, `merge` joins them, the
//! JSON Schema is generated from them.

mod approvals;
mod boxes;
mod browser;
mod budgets;
mod case;
mod command;
mod compat;
mod computer;
mod content;
mod env;
mod exec;
mod files;
mod flow;
mod guards;
mod labels;
mod limits;
mod llm;
pub(crate) mod merge;
mod names;
mod net;
mod patches;
mod pins;
mod prompts;
mod risks;
mod secret;
mod secrets;
mod tools;

pub use approvals::Approvals;
pub use boxes::{BoxSection, CgroupLevel, RootLevel};
pub use browser::{Browser, BrowserRule};
pub use budgets::{Budget, Budgets, DestinationBudget, Money, Price, ToolBudget};
pub use case::Case;
pub use command::{CommandGrammar, CommandRule};
pub use compat::{
    Compat, CompatDefault, CompatEgress, CompatForbidden, CompatInjection, CompatJailbreak, CompatLevel, CompatPatches,
    CompatPaths, CompatSecret, CompatSecrets, CompatSeverity, CompatTools,
};
pub use computer::Computer;
pub use content::{ContentClasses, ContentEffect, ContentPattern, ContentRule, ContentSection};
pub use env::Env;
pub use exec::Exec;
pub use files::Files;
pub use flow::{FlowRule, Provenance, When};
pub use guards::GuardModule;
pub use labels::{LabelRule, Labels};
pub use limits::Limits;
pub use llm::{Llm, Repeats};
pub use names::NameRules;
pub use net::{BytesRule, GraphqlRule, HttpRule, Net, NetRule, Ports};
pub use patches::{PatchKinds, Patches};
pub use pins::Pins;
pub use prompts::{OriginRules, Prompts};
pub use risks::Risks;
pub use secret::{RuleSecrets, SecretText};
pub use secrets::Secrets;
pub use tools::{ArgRule, ArgType, ToolRule, Tools};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::place::At;

/// Version of the language; the value of the key `bartizan`.
pub const LANGUAGE_VERSION: u32 = 1;

/// A policy: one file, or several joined by `extends`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Bartizan policy")]
#[serde(default)]
pub struct PolicyFile {
    /// Version of the language: 1.
    #[schemars(required, extend("const" = 1))]
    pub bartizan: u32,
    /// A short name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<At<String>>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<At<String>>,
    /// What it builds on: built-in rulesets and personas by name, files by relative path, earlier ones first.
    #[serde(skip_serializing)]
    #[schemars(schema_with = "one_or_many")]
    pub extends: Vec<At<String>>,
    /// Which files may be read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Files>,
    /// Which programs may be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// Which hosts may be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<Net>,
    /// Which tools may be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,
    /// Which secrets may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// Which language models may be asked: `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<NameRules>,
    /// What holds for every question to a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm: Option<Llm>,
    /// To whom messages may be sent: `channel/recipient`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<NameRules>,
    /// What may be done in a browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<Browser>,
    /// What may be done with screen, keyboard, mouse and clipboard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computer: Option<Computer>,
    /// What becomes of text that enters an agent's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<Prompts>,
    /// Secrets and personal data in outgoing bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentSection>,
    /// What a patch may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patches: Option<Patches>,
    /// The guards of another program, as it had them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compat: Option<Compat>,
    /// How much may be used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budgets: Option<Budgets>,
    /// Which data carry which labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// What follows from what was read, done before, or said by whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Vec<At<FlowRule>>>,
    /// Rego modules that may deny or ask: files by relative path, built-in ones by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rego: Option<Vec<At<String>>>,
    /// Guards of one's own, in WebAssembly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guards: Option<Vec<At<GuardModule>>>,
    /// What the environment inside the box holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Env>,
    /// How the box is built.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub r#box: Option<BoxSection>,
    /// How much may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How people are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// Cases this policy promises, run by `bartizan policy test`.
    #[serde(skip_serializing)]
    pub tests: Vec<Case>,
}

pub(crate) fn one_or_many(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
}

/// The JSON Schema of a policy file, generated from these types.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(PolicyFile).to_value()
}

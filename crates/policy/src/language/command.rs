//! A rule over commands: a word pattern, or a grammar.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::language::one_or_many;
use crate::pattern::unfold;

/// A rule of section `exec`.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandRule {
    /// A program and, optionally, its arguments: `npm run *`.
    Pattern(String),
    /// A program with its subcommands, flags and operands.
    Grammar(Box<CommandGrammar>),
}

/// A command grammar. In `allow` it says everything that may stand there; in `ask` and `deny`, what is enough to
/// hold a command back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct CommandGrammar {
    /// One program or several: names, or paths that say where they start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(required, schema_with = "one_or_many")]
    pub program: Vec<String>,
    /// Subcommands, one of which has to be there: `get`, `docs generate`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many")]
    pub verb: Vec<String>,
    /// Flags that may stand before the subcommand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many")]
    pub global: Vec<String>,
    /// Flags that may stand behind it: `--flag`, `-f|--flag`, `--flag=PATTERN`, `--flag[=PATTERN]`, `-<number>`, or
    /// `*` for every one that has no value in a word of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many")]
    pub flags: Vec<String>,
    /// Flags that may not, where `flags` has `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many")]
    pub deny_flags: Vec<String>,
    /// Those of `flags` that have to be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many")]
    pub require: Vec<String>,
    /// What the first operands have to be, in order; `args` says it of those behind them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many")]
    pub first: Vec<String>,
    /// What each operand may be: a pattern, `<number>`, `<name>`, `<inside>`, `<select>`, `<awk>` or `<sed>`. None: no operands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many")]
    pub args: Vec<String>,
    /// What no operand and no flag's value may be, in any letter case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many")]
    pub deny_args: Vec<String>,
    /// How many operands: `2`, `0-2`, `1-`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<String>,
    /// Variables that may be set for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_many")]
    pub env: Vec<String>,
}

impl CommandRule {
    /// The programs it names, braces unfolded.
    pub(crate) fn programs(&self) -> Vec<String> {
        let texts: Vec<&str> = match self {
            Self::Pattern(text) => text.split_whitespace().next().into_iter().collect(),
            Self::Grammar(grammar) => grammar.program.iter().map(String::as_str).collect(),
        };
        texts.into_iter().flat_map(|text| unfold(text).unwrap_or_default()).collect()
    }
}

impl fmt::Display for CommandRule {
    /// The rule as verdicts and explanations name it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(text) => formatter.write_str(text),
            Self::Grammar(grammar) => {
                formatter.write_str(&set(&grammar.program))?;
                if !grammar.verb.is_empty() {
                    write!(formatter, " {}", set(&grammar.verb))?;
                }
                let parts = [
                    ("", &grammar.flags, ""),
                    (" ", &grammar.first, ""),
                    (" ", &grammar.args, ""),
                    ("without ", &grammar.deny_flags, ""),
                    ("without ", &grammar.deny_args, ""),
                ];
                for (before, list, after) in parts.iter().filter(|(_, list, _)| !list.is_empty()) {
                    let shown: Vec<&str> = list.iter().take(SHOWN_MAX).map(String::as_str).collect();
                    let more = if list.len() > SHOWN_MAX { " …" } else { "" };
                    write!(formatter, " [{}{}{more}]{after}", before.trim_start(), shown.join(" "))?;
                }
                Ok(())
            }
        }
    }
}

/// Most entries of a list in a grammar's short form.
const SHOWN_MAX: usize = 4;

fn set(names: &[String]) -> String {
    match names {
        [one] => one.clone(),
        many => format!("{{{}}}", many.join(",")),
    }
}

impl Serialize for CommandRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Pattern(text) => serializer.serialize_str(text),
            Self::Grammar(grammar) => grammar.serialize(serializer),
        }
    }
}

impl JsonSchema for CommandRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CommandRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let grammar = generator.subschema_for::<CommandGrammar>();
        json_schema!({
            "description": "A command: a program with its arguments, or a grammar.",
            "oneOf": [{ "type": "string", "examples": ["git", "npm run *"] }, grammar]
        })
    }
}

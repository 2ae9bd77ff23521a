//! `bartizan __codegen`: prints what `cargo xtask codegen` keeps in the repository.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory, ValueEnum};

use crate::output;

/// Print a generated file
#[derive(Args)]
pub struct Codegen {
    #[arg(value_enum)]
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// JSON Schema of the policy language.
    Schema,
    /// The command reference.
    Cli,
    /// JSON Schema of actions.
    Action,
    /// JSON Schema of verdicts.
    Verdict,
    /// JSON Schema of events.
    Event,
    /// JSON Schema of receipts.
    Receipt,
    /// JSON Schema of what Rego modules see.
    RegoInput,
}

impl Codegen {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Schema => output::print_json(&bartizan_policy::json_schema())?,
            What::Action => published("action")?,
            What::Verdict => published("verdict")?,
            What::Event => published("event")?,
            What::Receipt => published("receipt")?,
            What::RegoInput => output::print_json(&bartizan_policy::rego_input_schema())?,
            What::Cli => print!("{}", reference()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints one schema of the published model.
fn published(name: &str) -> anyhow::Result<()> {
    let schemas = bartizan_api::spec::schemas();
    let (_, schema) = schemas.iter().find(|(known, _)| *known == name).context("there is no such schema")?;
    output::print_json(schema)
}

/// Every command with its help, as Markdown.
fn reference() -> String {
    let mut text = String::from("# Commands\n\nMade from the parser by `cargo xtask codegen`; do not edit.\n");
    let command = crate::Arguments::command();
    describe(command, &mut Vec::new(), &mut text);
    text.push_str("\n## Environment\n\n| variable | meaning |\n|---|---|\n");
    for (name, meaning) in bartizan_api::env::ALL {
        let _ = writeln!(text, "| `{name}` | {meaning} |");
    }
    text
}

fn describe(mut command: clap::Command, path: &mut Vec<String>, text: &mut String) {
    path.push(command.get_name().to_owned());
    command = command.bin_name(path.join(" ")).term_width(100);
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## `{}`\n\n```text\n{}\n```\n", path.join(" "), help.join("\n").trim_end());
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        describe(inner.clone(), path, text);
    }
    path.pop();
}

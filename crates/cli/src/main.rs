//! The `bartizan` command: runs agents in boxes and shows what they did. It is thin: each command is one
//! file under `commands`, and everything that matters happens in the crates below. Start with
//! `commands/run.rs`.

mod account;
mod bundles;
mod commands;
mod control;
mod exceptions;
mod git;
mod home;
mod moment;
mod output;
mod policies;
mod reload;
mod run;
mod secrets;
mod sessions;
mod standing;
mod terminal;
mod watch;
mod wiring;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::{Colour, Style};

/// Runs any program behind a gate: boxed, decided by policy, approved by you, recorded.
///
/// Start with `bartizan init`, then `bartizan run -- bash`. Inside, only what policy allows happens; the
/// ledger shows everything that was done or tried.
#[derive(Parser)]
#[command(
    name = "bartizan",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
struct Arguments {
    /// Where Bartizan keeps its things [default: ~/.bartizan]
    #[arg(long, global = true, env = bartizan_api::env::HOME, value_name = "DIRECTORY")]
    home: Option<PathBuf>,
    /// Colours in what is shown
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    color: Colour,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(commands::init::Init),
    Doctor(commands::doctor::Doctor),
    Run(commands::run::Run),
    Watch(commands::watch::Watch),
    #[command(subcommand)]
    Policy(commands::policy::Policy),
    #[command(subcommand)]
    Secret(commands::secret::Secret),
    Check(commands::check::Check),
    Scan(commands::scan::Scan),
    Redact(commands::redact::Redact),
    #[command(subcommand)]
    Approval(commands::approval::Approval),
    #[command(subcommand)]
    Log(commands::log::Log),
    #[command(subcommand)]
    Net(commands::net::Net),
    #[command(subcommand)]
    Llm(commands::llm::Llm),
    #[command(subcommand)]
    Receipt(commands::receipt::Receipt),
    #[command(subcommand)]
    Box(commands::boxes::Boxes),
    Completions(commands::completions::Completions),
    #[command(name = bartizan_sandbox::guarded::ENTER_COMMAND, hide = true)]
    Enter(commands::enter::Enter),
    #[command(name = "__codegen", hide = true)]
    Codegen(commands::codegen::Codegen),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let style = Style::new(arguments.color);
    let home = arguments.home.as_deref();
    let (result, failure) = match arguments.command {
        Command::Run(run) => (run.run(home, style), commands::run::EXIT_REFUSED),
        Command::Watch(watch) => (watch.run(home, style), commands::run::EXIT_REFUSED),
        Command::Enter(enter) => (enter.run(), commands::run::EXIT_REFUSED),
        Command::Scan(scan) => (scan.run(style), commands::scan::EXIT_FAILED),
        command => (dispatch(command, home, style), 1),
    };
    match result {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(style, &error);
            ExitCode::from(failure)
        }
    }
}

fn dispatch(command: Command, home: Option<&std::path::Path>, style: Style) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(init) => init.run(home, style),
        Command::Doctor(doctor) => doctor.run(home, style),
        Command::Run(run) => run.run(home, style),
        Command::Watch(watch) => watch.run(home, style),
        Command::Enter(enter) => enter.run(),
        Command::Policy(policy) => policy.run(home, style),
        Command::Secret(secret) => secret.run(home, style),
        Command::Check(check) => check.run(home),
        Command::Scan(scan) => scan.run(style),
        Command::Redact(redact) => redact.run(home),
        Command::Approval(approval) => approval.run(home, style),
        Command::Log(log) => log.run(home, style),
        Command::Net(net) => net.run(home, style),
        Command::Llm(llm) => llm.run(home, style),
        Command::Receipt(receipt) => receipt.run(home, style),
        Command::Box(boxes) => boxes.run(home, style),
        Command::Completions(completions) => completions.run(),
        Command::Codegen(codegen) => codegen.run(),
    }
}

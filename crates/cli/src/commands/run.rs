//! `bartizan run`: a program in its box.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bartizan_sandbox::ExitStatus;
use clap::Args;

use crate::home::Home;
use crate::output::{self, Style};
use crate::policies::Choice;
use crate::run::{CommandError, EventStream, Wanted, stop_reason};
use crate::secrets::Asked;

/// Bartizan itself refused or failed; the command was not started, or was ended.
pub const EXIT_REFUSED: u8 = 125;
const EXIT_NOT_EXECUTABLE: u8 = 126;
const EXIT_NOT_FOUND: u8 = 127;
const EXIT_SIGNAL_BASE: i32 = 128;

/// Run a program in a box, under policy, on the record
///
/// The directory you are in becomes the box's workspace. Everything else of this machine is absent or
/// read-only as policy says, and every connection, program start and guarded file passes the gate. Gives
/// the program's exit status; 125 when Bartizan refused, 126 or 127 when the program can't be started.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    choice: Choice,
    /// What to call this run [default: the program's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write every event as a JSON line to this open descriptor, e.g. `--json-events 3 3>events.jsonl`
    #[arg(long, value_name = "FD")]
    json_events: Option<RawFd>,
    /// Lend the box a secret: the variable holds a placeholder, and the value is put in on its way out where the
    /// secret is bound to [default variable: the secret's name]
    #[arg(long = "secret", value_name = "NAME[=VARIABLE]")]
    secrets: Vec<Asked>,
    /// Lend the box a secret that ends with the run: its value is your own variable of this name, and is kept nowhere
    #[arg(long = "ephemeral-secret", value_name = "NAME[=VARIABLE]")]
    ephemeral_secrets: Vec<Asked>,
    /// Say nothing at the end about what was denied
    #[arg(long, short)]
    quiet: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Run {
    pub fn run(self, home: Option<&Path>, style: Style) -> anyhow::Result<ExitCode> {
        let home = Home::open(home)?;
        let events = self.json_events.map(EventStream::open).transpose()?.map(Arc::new);
        raise_open_files();
        let ephemeral = self.ephemeral_secrets.into_iter().map(|asked| Asked { is_ephemeral: true, ..asked });
        let wanted = Wanted {
            choice: self.choice,
            name: self.name,
            events,
            command: self.command,
            secrets: self.secrets.into_iter().chain(ephemeral).collect(),
            quiet: self.quiet,
        };
        // One thread is enough for decisions: traffic, the terminal and the ledger have threads of their own.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(crate::run::run(&home, style, wanted));
        runtime.shutdown_background();
        let report = match ended {
            Ok(report) => report,
            Err(error) => return refused(style, error),
        };
        if let Some(reason) = report.stopped {
            eprintln!("{} ended the box: {}", style.bad("bartizan:"), stop_reason(reason));
        }
        Ok(ExitCode::from(match report.status {
            ExitStatus::Exited(code) => u8::try_from(code & 0xff).unwrap_or(EXIT_REFUSED),
            ExitStatus::Signaled(signal) => u8::try_from(EXIT_SIGNAL_BASE + signal).unwrap_or(EXIT_REFUSED),
            ExitStatus::NotStarted { what, errno } => {
                eprintln!("{} the program could not be started: {what}", style.bad("bartizan:"));
                if errno == rustix::io::Errno::NOENT.raw_os_error() { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE }
            }
            ExitStatus::LayerLost(error) => {
                output::print_error(style, &anyhow::Error::msg(error));
                EXIT_REFUSED
            }
            ExitStatus::Ended => EXIT_REFUSED,
        }))
    }
}

fn refused(style: Style, error: anyhow::Error) -> anyhow::Result<ExitCode> {
    let code = match error.downcast_ref::<CommandError>() {
        Some(CommandError::NotFound { .. }) => EXIT_NOT_FOUND,
        Some(CommandError::NotExecutable { .. }) => EXIT_NOT_EXECUTABLE,
        None => return Err(error),
    };
    output::print_error(style, &error);
    Ok(ExitCode::from(code))
}

/// Every tunnel needs descriptors; the soft limit is for programs that use `select`, which we don't.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

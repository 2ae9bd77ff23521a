//! The hidden command by which `bartizan watch` starts a program: goes into the guarded control group, gives up every
//! privilege and becomes the program, or tries from inside whether the guard holds.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use bartizan_sandbox::guarded::{Identity, become_command, settle_in};
use clap::Args;

/// Enter a control group
#[derive(Args)]
pub struct Enter {
    group: PathBuf,
    /// Try whether the guard holds
    #[arg(long)]
    trial: bool,
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    #[arg(long)]
    gid: Option<u32>,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Enter {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let identity = self.uid.zip(self.gid).map(|(uid, gid)| Identity { uid, gid });
        settle_in(&self.group, identity).context("layer `cgroup`: the program can't be put under guard")?;
        if self.trial {
            let through = bartizan_net::watch::trial();
            for way in &through {
                println!("{way}");
            }
            return Ok(if through.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let (program, arguments) = self.command.split_first().context("no program is named")?;
        let error = become_command(program, arguments);
        eprintln!("bartizan: `{}` can't be started: {error}", program.to_string_lossy());
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        Ok(ExitCode::from(if missing { 127 } else { 126 }))
    }
}

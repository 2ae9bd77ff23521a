//! `bartizan completions`: shell completions and manual pages, made from the parser itself.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory, ValueEnum};

/// Print shell completions, or write the manual pages
#[derive(Args)]
pub struct Completions {
    /// The shell to complete for
    #[arg(value_enum, required_unless_present = "man")]
    shell: Option<Shell>,
    /// Write the manual pages into this directory instead
    #[arg(long, value_name = "DIRECTORY")]
    man: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Zsh,
}

impl Completions {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut command = crate::Arguments::command();
        if let Some(directory) = self.man {
            clap_mangen::generate_to(command, &directory)
                .with_context(|| format!("failed to write manual pages into `{}`", directory.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let shell = match self.shell {
            Some(Shell::Bash) | None => clap_complete::Shell::Bash,
            Some(Shell::Elvish) => clap_complete::Shell::Elvish,
            Some(Shell::Fish) => clap_complete::Shell::Fish,
            Some(Shell::Zsh) => clap_complete::Shell::Zsh,
        };
        clap_complete::generate(shell, &mut command, "bartizan", &mut std::io::stdout());
        Ok(ExitCode::SUCCESS)
    }
}

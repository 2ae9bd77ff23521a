//! `bartizan policy`: what is in force, why, and what to change.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use crate::output::Style;

/// Show, explain, test and improve policies
#[derive(Subcommand)]
pub enum Policy {
    /// Print the policy in force, with everything it extends
    Show,
}

impl Policy {
    pub fn run(self, _home: Option<&Path>, _style: Style) -> anyhow::Result<ExitCode> {
        Ok(ExitCode::SUCCESS)
    }
}

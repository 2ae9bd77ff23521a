//! Clawdstrike: policies of its versions 1.1 to 1.3, and its events and decisions, to compare.

mod compat;
mod event;
mod hardened;
mod lists;
mod policy;
mod resolve;

pub use event::{Decision, Event, EventError, Subject};

use crate::report::{Fate, Report};
use crate::{Imported, Mode, ReadError};

/// Finds the files a policy extends by path.
pub trait Loader {
    /// The file `reference` means where it stands in the file `from`: its resolved name and its bytes.
    ///
    /// # Errors
    /// Why there is none, in words that end with what to do.
    fn load(&self, reference: &str, from: &str) -> Result<(String, Vec<u8>), String>;
}

/// Why a policy can't be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file can't be read.
    #[error("`{name}`: {source}")]
    Read {
        /// Which.
        name: String,
        /// Why.
        source: ReadError,
    },
    /// A version that isn't known.
    #[error("`{name}` is version `{version}`; versions 1.1.0, 1.2.0 and 1.3.0 are read")]
    Version {
        /// Which file.
        name: String,
        /// Its version.
        version: String,
    },
    /// What it extends can't be found.
    #[error("it extends `{reference}`, which can't be read: {problem}")]
    Extends {
        /// What is written.
        reference: String,
        /// Why not.
        problem: String,
    },
    /// It extends itself.
    #[error("`extends` goes in a circle through `{name}`; remove it there")]
    Circle {
        /// The file that comes again.
        name: String,
    },
    /// Too many steps.
    #[error("`extends` is more than {most} deep; join some of the files")]
    TooDeep {
        /// The limit.
        most: usize,
    },
}

/// Imports a policy file.
///
/// # Errors
/// It, or what it extends, can't be read.
pub fn import(name: &str, bytes: &[u8], mode: Mode, loader: &dyn Loader) -> Result<Imported, ImportError> {
    let mut report = Report::default();
    let resolved = resolve::resolve(name, bytes, loader, &mut report)?;
    common(&resolved, &mut report);
    let policy = match mode {
        Mode::Compat => compat::write(&resolved, &mut report),
        Mode::Hardened => hardened::write(&resolved, &mut report),
    };
    Ok(Imported { policy, report })
}

/// What no mode carries over.
fn common(resolved: &resolve::Resolved, report: &mut Report) {
    let policy = &resolved.policy;
    for custom in policy.custom_guards.iter().filter(|custom| custom.enabled) {
        let config = if custom.config.is_null() { "" } else { ", with its configuration" };
        report.add(
            format!("custom_guards.{}", custom.id),
            Fate::NoEquivalent,
            format!("its code isn't in the file{config}; write it as a WebAssembly guard and list it in `guards`"),
        );
    }
    for index in 0..policy.guards.custom.len() {
        let reason = "its code isn't in the file; write it as a WebAssembly guard and list it in `guards`";
        report.add(format!("guards.custom[{index}]"), Fate::NoEquivalent, reason);
    }
    if policy.guards.spider_sense.is_some() {
        let reason =
            "it compares with a database of embeddings that isn't in the file; `prompts` looks at the text itself";
        report.add("guards.spider_sense", Fate::NoEquivalent, reason);
    }
    if let Some(posture) = &policy.posture {
        let (states, steps) = (posture.states.len(), posture.transitions.len());
        report.add(
            "posture",
            Fate::NoEquivalent,
            format!(
                "{states} states from `{}` and {steps} transitions; say it with `flow`, `labels` and `budgets`",
                crate::report::quoted(&posture.initial)
            ),
        );
    }
    if policy.settings.fail_fast.is_some() {
        let reason = "every guard is always asked, and the strictest answer holds";
        report.add("settings.fail_fast", Fate::Remark, reason);
    }
    if policy.settings.verbose_logging.is_some() {
        report.add("settings.verbose_logging", Fate::Remark, "the ledger records every action, allowed ones included");
    }
    if let Some(guard) = &policy.guards.secret_leak
        && !guard.redact
    {
        report.add("guards.secret_leak.redact", Fate::Stricter, "what goes into the ledger is always redacted");
    }
}

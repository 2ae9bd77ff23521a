//! Secrets that the box itself is to hold, because policy says so: handed over one by one, each by leave of the gate.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use bartizan_gate::store::SecretValue;
use bartizan_model::{Deed, Outcome, OutcomeStatus};
use bartizan_policy::{Exposure, Held};

use crate::run::Inside;
use crate::secrets::Lent;

/// What the box itself holds.
#[derive(Default)]
pub struct HeldInside {
    /// In files only it sees.
    pub files: Vec<(PathBuf, SecretValue)>,
    variables: Vec<(OsString, OsString)>,
}

impl HeldInside {
    /// The environment with its variables, whatever stood there.
    pub fn beside(&mut self, mut environment: Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)> {
        environment.retain(|(name, _)| !self.variables.iter().any(|(held, _)| held == name));
        environment.append(&mut self.variables);
        environment
    }
}

impl Inside<'_> {
    /// Hands over what policy says the box itself holds.
    pub async fn hand_over(&self, exposed: &[Exposure], lent: &Lent) -> anyhow::Result<HeldInside> {
        let mut inside = HeldInside::default();
        for exposure in exposed {
            let name = &exposure.name;
            let placeholder =
                lent.broker.placeholder(name).with_context(|| format!("the secret `{name}` was not lent"))?;
            let text = exposure.text.replace(&format!("${{{name}}}"), placeholder);
            let deed = Deed::SecretUse { name: name.clone(), destination: Some(exposure.destination()) };
            let armed = self.admit(self.subject.action(deed, None)).await?;
            let filled = armed.text(text.as_bytes());
            self.wired.gate.close(armed, Outcome::new(OutcomeStatus::Done)).await?;
            let filled = filled.with_context(|| format!("the secret `{name}` was not released to the box"))?;
            match &exposure.held {
                Held::File(path) => inside.files.push((path.clone(), SecretValue::copy(&filled)?)),
                Held::Variable(variable) => {
                    inside.variables.push((variable.into(), OsString::from_vec(filled.to_vec())));
                }
            }
        }
        Ok(inside)
    }
}

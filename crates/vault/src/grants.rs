//! What secrets were bound to by their owner, whatever store keeps them: one file, which holds no value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bartizan_policy::{GRANTS_MAX, Grant, check_secret_name};

use crate::files::{self, FileError};

/// Their file in the vault's directory.
pub const GRANTS_FILE: &str = "grants.json";
/// Largest file: some thousand grants.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why grants can't be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantsError {
    /// The file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// It holds something else.
    #[error("`{}` holds no grants: {reason}; restore it from a backup or remove it", path.display())]
    Content {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There are too many.
    #[error(
        "secret `{name}` is bound to {GRANTS_MAX} places already; `bartizan secret grant {name} --revoke NUMBER` takes one back"
    )]
    TooMany {
        /// Whose.
        name: String,
    },
    /// It can't be granted so.
    #[error("{0}")]
    Grant(String),
}

/// The grants of a home.
pub struct Grants {
    directory: PathBuf,
}

type All = BTreeMap<String, Vec<Grant>>;

impl Grants {
    /// Those of the vault in this directory, which exists and is closed to others.
    ///
    /// # Errors
    /// The directory is open to others.
    pub fn open(directory: &Path) -> Result<Self, GrantsError> {
        files::check_directory(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    fn all(&self) -> Result<All, GrantsError> {
        let path = self.directory.join(GRANTS_FILE);
        let text = match files::read(&path, FILE_BYTES_MAX) {
            Err(error) if error.is_missing() => return Ok(All::new()),
            text => text?,
        };
        let content = |reason: String| GrantsError::Content { path: path.clone(), reason };
        let all: All = serde_json::from_slice(&text).map_err(|error| content(error.to_string()))?;
        for (name, grants) in &all {
            check_secret_name(name).map_err(content)?;
            for grant in grants {
                grant.clone().checked(name).map_err(content)?;
            }
        }
        Ok(all)
    }

    /// What this secret is bound to.
    ///
    /// # Errors
    /// The file can't be used.
    pub fn of(&self, name: &str) -> Result<Vec<Grant>, GrantsError> {
        Ok(self.all()?.remove(name).unwrap_or_default())
    }

    fn change(&self, change: impl FnOnce(&mut All) -> Result<(), GrantsError>) -> Result<(), GrantsError> {
        let lock = files::lock(&self.directory)?;
        let mut all = self.all()?;
        change(&mut all)?;
        all.retain(|_, grants| !grants.is_empty());
        let text = serde_json::to_vec_pretty(&all).map_err(|error| GrantsError::Grant(error.to_string()))?;
        Ok(files::write(&lock, &self.directory.join(GRANTS_FILE), &text)?)
    }

    /// Binds a secret to one more place. Gives the grant in its one form.
    ///
    /// # Errors
    /// The grant makes no sense, or can't be kept.
    pub fn add(&self, name: &str, grant: Grant) -> Result<Grant, GrantsError> {
        check_secret_name(name).map_err(GrantsError::Grant)?;
        let grant = grant.checked(name).map_err(GrantsError::Grant)?;
        self.change(|all| {
            let grants = all.entry(name.to_owned()).or_default();
            if grants.contains(&grant) {
                return Ok(());
            }
            if grants.len() >= GRANTS_MAX {
                return Err(GrantsError::TooMany { name: name.to_owned() });
            }
            grants.push(grant.clone());
            Ok(())
        })?;
        Ok(grant)
    }

    /// Takes one back, by its number from 1.
    ///
    /// # Errors
    /// There is none of this number, or the change can't be kept.
    pub fn revoke(&self, name: &str, number: usize) -> Result<Grant, GrantsError> {
        let mut revoked = None;
        self.change(|all| {
            let grants = all.get_mut(name).filter(|grants| (1..=grants.len()).contains(&number));
            let grants = grants.ok_or_else(|| {
                GrantsError::Grant(format!(
                    "secret `{name}` has no grant {number}; `bartizan secret show {name}` shows those it has"
                ))
            })?;
            revoked = Some(grants.remove(number - 1));
            Ok(())
        })?;
        revoked.ok_or_else(|| GrantsError::Grant(format!("secret `{name}` has no grant {number}")))
    }

    /// Forgets all of a secret that is no more.
    ///
    /// # Errors
    /// The change can't be kept.
    pub fn forget(&self, name: &str) -> Result<(), GrantsError> {
        if self.of(name)?.is_empty() {
            return Ok(());
        }
        self.change(|all| {
            all.remove(name);
            Ok(())
        })
    }
}

//! AegisClaw: skill manifests, `config.yaml`, `auth.yaml`, Rego and audit logs.

mod audit;
mod config;
mod manifest;
mod rego;
mod signature;

pub use audit::{AuditError, AuditLog};
pub use bartizan_model::{Scope, ScopeError};
pub use manifest::{Manifest, ManifestError};
pub use rego::{RegoError, adapt};
pub use signature::{SignatureError, TrustKey};

use crate::report::{Fate, Report};
use crate::{Imported, ReadError};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A skill's manifest.
    Manifest,
    /// `config.yaml`.
    Config,
    /// `auth.yaml`.
    Auth,
    /// A Rego module.
    Rego,
    /// An audit log.
    Audit,
}

impl Kind {
    /// What a file is, by its name and its first key; `None` when it is none of these.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Option<Self> {
        let file = name.rsplit('/').next().unwrap_or(name);
        if file.ends_with(".rego") {
            return Some(Self::Rego);
        }
        if file.ends_with(".jsonl") || bytes.trim_ascii_start().first() == Some(&b'{') {
            return Some(Self::Audit);
        }
        let keys: Vec<&[u8]> = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| line.first().is_some_and(u8::is_ascii_alphabetic))
            .filter_map(|line| line.split(|byte| *byte == b':').next())
            .take(1000)
            .collect();
        let has = |key: &str| keys.contains(&key.as_bytes());
        if has("scopes") || has("commands") || has("services") || has("image") {
            Some(Self::Manifest)
        } else if has("security") || has("network") || has("agent") || has("guardrails") {
            Some(Self::Config)
        } else if has("keys") {
            Some(Self::Auth)
        } else {
            None
        }
    }
}

/// Imports `config.yaml` as a policy.
///
/// # Errors
/// It can't be read.
pub fn import_config(bytes: &[u8]) -> Result<Imported, ReadError> {
    config::import(bytes)
}

/// Reads `auth.yaml`, of which nothing belongs in a policy: the report says so for each key.
///
/// # Errors
/// It can't be read.
pub fn import_auth(bytes: &[u8]) -> Result<Imported, ReadError> {
    config::import_auth(bytes)
}

/// Imports a skill's manifest as a policy for that skill.
///
/// # Errors
/// It can't be read, or names a scope that isn't known.
pub fn import_manifest(bytes: &[u8], keys: &[TrustKey]) -> Result<Imported, ManifestError> {
    let manifest = Manifest::parse(bytes)?;
    let mut report = Report::default();
    match manifest.verify(keys) {
        Ok(Some(key)) => report.add("signature", Fate::Converted, format!("it is signed by `{}`", key.name())),
        Ok(None) => report.add("signature", Fate::Remark, "it isn't signed; anybody could have written it"),
        Err(problem) => return Err(ManifestError::Signature(problem)),
    }
    let policy = manifest.write(&mut report);
    Ok(Imported { policy, report })
}

//! `config.yaml`: settings of this home that are no policy.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest configuration file; a setting is a line, not a book.
pub const CONFIG_BYTES_MAX: usize = 64 * 1024;

/// The settings of one home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this file's form: 1.
    pub bartizan: u32,
    /// The policy `run` and `check` use when none is named: a file relative to the home, a built-in's name,
    /// or `bundle:NAME` for an installed bundle.
    #[serde(default = "default_policy")]
    pub policy: String,
    /// The persona `run` and `check` use when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persona: Option<String>,
    /// Overlays that narrow whatever policy holds: built-in ones (`soc2`, `hipaa`, `gdpr`, `pci`, `eu`, `us`) by name,
    /// files relative to the home.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<String>,
    /// Where secrets are kept.
    #[serde(default, skip_serializing_if = "SecretSettings::is_default")]
    pub secrets: SecretSettings,
}

/// Where secrets are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSettings {
    /// The store.
    #[serde(default)]
    pub store: SecretStoreKind,
    /// HashiCorp Vault or OpenBao, with `store: vault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<VaultSettings>,
}

/// A HashiCorp Vault or OpenBao server with a KV engine, version 2. Files are named from the home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultSettings {
    /// `https://host:port`; `http://` for a server on this machine only.
    pub address: String,
    /// Where the engine is mounted.
    #[serde(default = "default_mount")]
    pub mount: String,
    /// The path that secrets lie below, each an entry with the field `value`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The namespace, where the server has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A file (0600) with a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Or a role to log in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approle: Option<AppRoleSettings>,
    /// A file with the certificates to trust, instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots: Option<PathBuf>,
    /// How many seconds one request may take, 1 to 60.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

/// A role of the AppRole login method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppRoleSettings {
    /// Where the method is mounted.
    #[serde(default = "default_approle")]
    pub mount: String,
    /// The role.
    pub role_id: String,
    /// A file (0600) with the secret id.
    pub secret_id_file: PathBuf,
}

fn default_mount() -> String {
    "secret".to_owned()
}

fn default_approle() -> String {
    "approle".to_owned()
}

fn default_timeout() -> u64 {
    5
}

impl SecretSettings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The stores there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretStoreKind {
    /// Files of this home, encrypted with age.
    #[default]
    Age,
    /// The environment of whoever starts Bartizan; for development only.
    Environment,
    /// HashiCorp Vault or OpenBao.
    Vault,
}

fn default_policy() -> String {
    "policies/default.yaml".to_owned()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bartizan: 1,
            policy: default_policy(),
            persona: None,
            overlays: Vec::new(),
            secrets: SecretSettings::default(),
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Too large.
    #[error("it has {bytes} bytes, the most is {CONFIG_BYTES_MAX}")]
    TooLarge {
        /// How many bytes it has.
        bytes: usize,
    },
    /// Not text.
    #[error("it is not UTF-8")]
    NotText,
    /// Not the right shape; the message names line and column.
    #[error("{0}")]
    Shape(String),
    /// From another version of Bartizan.
    #[error("`bartizan: {version}` is a form this version doesn't know; it knows 1")]
    Version {
        /// What it says.
        version: u32,
    },
}

impl Config {
    /// Reads a configuration file's bytes.
    ///
    /// # Errors
    /// Size, encoding, shape or version; the message says where.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ConfigError::NotText)?;
        let config: Self = serde_saphyr::from_str(text).map_err(|error| ConfigError::Shape(error.to_string()))?;
        if config.bartizan == 1 { Ok(config) } else { Err(ConfigError::Version { version: config.bartizan }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_knows_and_refuses_the_rest() {
        let config = Config::parse(b"bartizan: 1\npersona: sre\n").unwrap();
        assert_eq!(config.persona.as_deref(), Some("sre"));
        assert_eq!(config.policy, "policies/default.yaml");
        assert!(Config::parse(b"bartizan: 2\n").is_err());
        assert!(Config::parse(b"bartizan: 1\npersna: sre\n").unwrap_err().to_string().contains("persna"));
        assert!(Config::parse(b"bartizan: 1\nbartizan: 1\n").is_err());
        assert!(Config::parse(b"\xff\xfe").is_err());
        assert!(Config::parse(&vec![b'#'; CONFIG_BYTES_MAX + 1]).is_err());
    }
}

//! Secrets from the environment of whoever starts Bartizan: for development, where they lie about there anyway. It has to
//! be asked for by name; nothing falls back to it.

use bartizan_gate::BoxFuture;
use bartizan_gate::store::{
    Expect, Lease, SECRET_BYTES_MAX, SecretInfo, SecretStore, SecretValue, SecretVersion, StoreError,
};
use bartizan_policy::check_secret_name;

const KIND: &str = "environment";

/// The store. Every variable is a secret of one version.
pub struct EnvironmentStore {
    variables: Vec<(String, SecretValue)>,
}

impl EnvironmentStore {
    /// The secrets among these variables: those whose names can be names of secrets.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new(variables: impl Iterator<Item = (String, Vec<u8>)>) -> Result<Self, StoreError> {
        let mut kept = Vec::new();
        for (name, value) in variables {
            let value = zeroize::Zeroizing::new(value);
            if check_secret_name(&name).is_ok() && (1..=SECRET_BYTES_MAX).contains(&value.len()) {
                kept.push((name, SecretValue::copy(&value)?));
            }
        }
        kept.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Self { variables: kept })
    }

    fn find(&self, name: &str) -> Result<&SecretValue, StoreError> {
        check_secret_name(name).map_err(StoreError::Name)?;
        let found = self.variables.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value).ok_or_else(|| StoreError::Missing { name: name.to_owned() })
    }

    fn info_of(name: &str) -> SecretInfo {
        SecretInfo { name: name.to_owned(), versions: vec![SecretVersion { number: 1, at: None }] }
    }
}

fn read_only<T>() -> Result<T, StoreError> {
    Err(StoreError::ReadOnly { store: KIND, next: "set the variable where you start Bartizan" })
}

impl SecretStore for EnvironmentStore {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SecretInfo>, StoreError>> {
        Box::pin(async { Ok(self.variables.iter().map(|(name, _)| Self::info_of(name)).collect()) })
    }

    fn info<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<SecretInfo, StoreError>> {
        Box::pin(async move { self.find(name).map(|_| Self::info_of(name)) })
    }

    fn read<'a>(&'a self, name: &'a str, version: Option<u64>) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            let value = self.find(name)?.clone();
            match version {
                None | Some(1) => Ok(Lease { value, version: 1, until: None }),
                Some(version) => Err(StoreError::MissingVersion { name: name.to_owned(), version }),
            }
        })
    }

    fn write<'a>(
        &'a self,
        _name: &'a str,
        _value: &'a SecretValue,
        _expect: Expect,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async { read_only() })
    }

    fn remove<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { read_only() })
    }
}

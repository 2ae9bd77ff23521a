//! The port behind which secrets are kept: values that show themselves to nobody, and the trait of a store. The one
//! contract suite for every store is testkit's.

use std::sync::Arc;

use bartizan_crypto::{Locked, LockedError};
use jiff::Timestamp;

use crate::ports::BoxFuture;

/// Longest value: a private key in PEM with its chain fits.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// A secret's value. It lives in locked memory, is wiped with its last owner, and has no form that could be printed.
#[derive(Clone)]
pub struct SecretValue(Arc<Locked>);

impl SecretValue {
    /// A copy of these bytes. Wiping where they came from is up to the caller.
    ///
    /// # Errors
    /// There is no memory.
    pub fn copy(bytes: &[u8]) -> Result<Self, LockedError> {
        Locked::copy(bytes).map(|locked| Self(Arc::new(locked)))
    }

    /// The bytes, for whoever hands them to the one place they are meant for.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretValue(..)")
    }
}

/// One version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretVersion {
    /// From 1.
    pub number: u64,
    /// When it was written, where the store knows.
    pub at: Option<Timestamp>,
}

/// What may be told about a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its name.
    pub name: String,
    /// The versions that can be read, oldest first.
    pub versions: Vec<SecretVersion>,
}

/// A value on loan.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The value.
    pub value: SecretValue,
    /// Which version it is.
    pub version: u64,
    /// Until when it may be used; a store that says nothing lends for as long as the run lasts.
    pub until: Option<Timestamp>,
}

/// Under what condition a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is no secret of this name yet.
    New,
    /// There is one, which gets another version.
    Existing,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such secret.
    #[error("there is no secret `{name}`; `bartizan secret list` shows those there are")]
    Missing {
        /// Its name.
        name: String,
    },
    /// There is no such version.
    #[error("secret `{name}` has no version {version}; `bartizan secret show {name}` shows those it has")]
    MissingVersion {
        /// Its name.
        name: String,
        /// Which.
        version: u64,
    },
    /// There is one already.
    #[error("there is a secret `{name}` already; `bartizan secret rotate {name}` gives it a new value")]
    Exists {
        /// Its name.
        name: String,
    },
    /// It can't be called that.
    #[error("{0}")]
    Name(String),
    /// The value is empty or too long.
    #[error("a secret has 1 to {SECRET_BYTES_MAX} bytes, this one has {bytes}")]
    Length {
        /// How many it has.
        bytes: usize,
    },
    /// The store can be read only.
    #[error("the store `{store}` can't be written from here; {next}")]
    ReadOnly {
        /// Which.
        store: &'static str,
        /// What to do instead.
        next: &'static str,
    },
    /// The store is not to be reached or does not work.
    #[error("the store `{store}` can't be used: {reason}")]
    Unavailable {
        /// Which.
        store: &'static str,
        /// The cause and the next step, never a value.
        reason: String,
    },
    /// There is no memory.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// Keeps secrets.
pub trait SecretStore: Send + Sync {
    /// What it is called in settings and messages.
    fn kind(&self) -> &'static str;

    /// What there is, by name.
    fn list(&self) -> BoxFuture<'_, Result<Vec<SecretInfo>, StoreError>>;

    /// What may be told about one secret.
    fn info<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<SecretInfo, StoreError>>;

    /// Lends a value: of this version, or the newest.
    fn read<'a>(&'a self, name: &'a str, version: Option<u64>) -> BoxFuture<'a, Result<Lease, StoreError>>;

    /// Keeps a value; gives its version. Whole or not at all, also when the machine stops in between.
    fn write<'a>(
        &'a self,
        name: &'a str,
        value: &'a SecretValue,
        expect: Expect,
    ) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Makes leases last longer; gives until when they do now. A store whose leases don't end has nothing to do.
    fn renew(&self) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    /// Forgets a secret with all its versions.
    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;
}

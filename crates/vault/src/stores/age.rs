//! The default store: a directory with one age-encrypted file a secret, and the key beside them in a file of its own.
//! `age --decrypt -i key.txt NAME.age` reads them without Bartizan.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use bartizan_gate::BoxFuture;
use bartizan_gate::store::{
    Expect, Lease, SECRET_BYTES_MAX, SecretInfo, SecretStore, SecretValue, SecretVersion, StoreError,
};
use bartizan_policy::check_secret_name;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::files::{self, FileError, Lock};

const KIND: &str = "age";
/// The key's file, in the form of `age-keygen`.
const KEY: &str = "key.txt";
/// Largest key file: a key with its comments has some 200 bytes.
const KEY_BYTES_MAX: u64 = 4096;
/// Versions kept of a secret: enough to go back after a rotation that went wrong.
const VERSIONS_MAX: usize = 8;
/// Largest file: all versions in base64, and age's own framing.
const FILE_BYTES_MAX: u64 = (VERSIONS_MAX * SECRET_BYTES_MAX * 4 / 3 + 64 * 1024) as u64;
/// Most secrets listed; more is a job for a server.
const SECRETS_MAX: usize = 4096;

/// What a file holds once it is decrypted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Whose it is: a file under another name is refused.
    name: String,
    versions: Vec<KeptVersion>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptVersion {
    number: u64,
    at: Timestamp,
    /// Base64.
    value: String,
}

impl Drop for KeptVersion {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

/// The store.
pub struct AgeStore {
    directory: PathBuf,
    identity: Identity,
}

impl AgeStore {
    /// The store in this directory, which exists and is closed to others. Its key is made when there is none and no
    /// secret either.
    ///
    /// # Errors
    /// The directory or the key is open to others, missing or broken.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        files::check_directory(directory).map_err(unavailable)?;
        let path = directory.join(KEY);
        let identity = match files::read(&path, KEY_BYTES_MAX) {
            Ok(text) => parse_key(&text, &path)?,
            Err(error) if error.is_missing() => make_key(directory, &path)?,
            Err(error) => return Err(unavailable(error)),
        };
        Ok(Self { directory: directory.to_owned(), identity })
    }

    fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        check_secret_name(name).map_err(StoreError::Name)?;
        Ok(self.directory.join(format!("{name}.age")))
    }

    fn kept(&self, name: &str) -> Result<Kept, StoreError> {
        let path = self.path(name)?;
        let sealed = match files::read(&path, FILE_BYTES_MAX) {
            Ok(sealed) => sealed,
            Err(error) if error.is_missing() => return Err(StoreError::Missing { name: name.to_owned() }),
            Err(error) => return Err(unavailable(error)),
        };
        let broken = || broken(&path);
        let decryptor = age::Decryptor::new_buffered(&sealed[..]).map_err(|_| broken())?;
        let mut reader = decryptor.decrypt(std::iter::once(&self.identity as _)).map_err(|_| broken())?;
        let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
        reader.read_to_end(&mut plain).map_err(|_| broken())?;
        let kept: Kept = serde_json::from_slice(&plain).map_err(|_| broken())?;
        if kept.name != name || kept.versions.is_empty() {
            return Err(broken());
        }
        Ok(kept)
    }

    fn keep(&self, lock: &Lock, kept: &Kept) -> Result<(), StoreError> {
        let path = self.path(&kept.name)?;
        let failed = |_| unavailable_because(format!("`{}` can't be encrypted; check free memory", path.display()));
        let room = kept.versions.iter().map(|version| version.value.len() + 128).sum::<usize>() + 256;
        let mut plain = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *plain, kept).map_err(|error| failed(error.into()))?;
        let mut sealed = Vec::with_capacity(room + 1024);
        let recipient = self.identity.to_public();
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _))
            .map_err(|_| failed(std::io::Error::other("no recipient")))?;
        let mut writer = encryptor.wrap_output(&mut sealed).map_err(failed)?;
        writer.write_all(&plain).map_err(failed)?;
        writer.finish().map_err(failed)?;
        files::write(lock, &path, &sealed).map_err(unavailable)
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = fs::read_dir(&self.directory).map_err(|error| unavailable_because(error.to_string()))?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".age")?.to_owned()))
            .filter(|name| check_secret_name(name).is_ok())
            .take(SECRETS_MAX)
            .collect();
        names.sort();
        Ok(names)
    }

    fn write_now(&self, name: &str, value: &SecretValue, expect: Expect) -> Result<u64, StoreError> {
        self.path(name)?;
        let bytes = value.expose().len();
        if !(1..=SECRET_BYTES_MAX).contains(&bytes) {
            return Err(StoreError::Length { bytes });
        }
        let lock = files::lock(&self.directory).map_err(unavailable)?;
        let mut kept = match (self.kept(name), expect) {
            (Ok(_), Expect::New) => return Err(StoreError::Exists { name: name.to_owned() }),
            (Ok(kept), Expect::Existing) => kept,
            (Err(StoreError::Missing { .. }), Expect::New) => Kept { name: name.to_owned(), versions: Vec::new() },
            (Err(error), _) => return Err(error),
        };
        let number = kept.versions.last().map_or(0, |version| version.number).saturating_add(1);
        let value = STANDARD.encode(value.expose());
        kept.versions.push(KeptVersion { number, at: Timestamp::now(), value });
        let over = kept.versions.len().saturating_sub(VERSIONS_MAX);
        kept.versions.drain(..over);
        self.keep(&lock, &kept)?;
        Ok(number)
    }

    fn read_now(&self, name: &str, version: Option<u64>) -> Result<Lease, StoreError> {
        let kept = self.kept(name)?;
        let found = match version {
            Some(number) => kept.versions.iter().find(|version| version.number == number),
            None => kept.versions.last(),
        };
        let Some(found) = found else {
            return Err(StoreError::MissingVersion { name: name.to_owned(), version: version.unwrap_or(0) });
        };
        let path = self.path(name)?;
        let bytes = Zeroizing::new(STANDARD.decode(&found.value).map_err(|_| broken(&path))?);
        Ok(Lease { value: SecretValue::copy(&bytes)?, version: found.number, until: None })
    }

    fn info_now(&self, name: &str) -> Result<SecretInfo, StoreError> {
        let kept = self.kept(name)?;
        let versions = kept.versions.iter();
        let versions = versions.map(|version| SecretVersion { number: version.number, at: Some(version.at) }).collect();
        Ok(SecretInfo { name: name.to_owned(), versions })
    }

    fn remove_now(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name)?;
        let lock = files::lock(&self.directory).map_err(unavailable)?;
        match files::remove(&lock, &path) {
            Err(error) if error.is_missing() => Err(StoreError::Missing { name: name.to_owned() }),
            result => result.map_err(unavailable),
        }
    }
}

fn unavailable(error: FileError) -> StoreError {
    unavailable_because(error.to_string())
}

fn unavailable_because(reason: String) -> StoreError {
    StoreError::Unavailable { store: KIND, reason }
}

fn broken(path: &Path) -> StoreError {
    unavailable_because(format!(
        "`{}` was not written by this vault or is damaged; restore it from a backup, or remove it and set the secret anew",
        path.display()
    ))
}

fn parse_key(text: &[u8], path: &Path) -> Result<Identity, StoreError> {
    let lines = std::str::from_utf8(text).unwrap_or_default().lines().map(str::trim);
    let mut keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let key = keys.next().filter(|_| keys.next().is_none()).and_then(|line| line.parse().ok());
    key.ok_or_else(|| unavailable_because(format!("`{}` holds no age key; restore it from a backup", path.display())))
}

/// Makes the key, once: whoever comes second finds it.
fn make_key(directory: &Path, path: &Path) -> Result<Identity, StoreError> {
    let lock = files::lock(directory).map_err(unavailable)?;
    match files::read(path, KEY_BYTES_MAX) {
        Ok(text) => return parse_key(&text, path),
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(unavailable(error)),
    }
    let sealed = fs::read_dir(directory)
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "age")));
    if sealed {
        // A new key would open nothing and hide that the old one is gone.
        return Err(unavailable_because(format!(
            "the key `{}` is gone and there are secrets sealed with it; restore it from a backup, or move the `.age` files away",
            path.display()
        )));
    }
    let identity = Identity::generate();
    let (key, public) = (identity.to_string(), identity.to_public());
    let text = Zeroizing::new(format!("# public key: {public}\n{}\n", key.expose_secret()));
    files::write(&lock, path, text.as_bytes()).map_err(unavailable)?;
    Ok(identity)
}

impl SecretStore for AgeStore {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SecretInfo>, StoreError>> {
        Box::pin(async { self.names()?.iter().map(|name| self.info_now(name)).collect() })
    }

    fn info<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<SecretInfo, StoreError>> {
        Box::pin(async move { self.info_now(name) })
    }

    fn read<'a>(&'a self, name: &'a str, version: Option<u64>) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move { self.read_now(name, version) })
    }

    fn write<'a>(
        &'a self,
        name: &'a str,
        value: &'a SecretValue,
        expect: Expect,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move { self.write_now(name, value, expect) })
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.remove_now(name) })
    }
}

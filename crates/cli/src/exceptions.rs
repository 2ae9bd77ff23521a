//! Exceptions on disk: one signed file each. What doesn't verify is no exception; what has ended is moved away, so
//! that a clock going back can't bring it to life again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bartizan_crypto::{Envelope, PublicKey, SigningKey, key_file};
use bartizan_model::{Digest, canonical};
use bartizan_policy::{EXCEPTIONS_MAX, Exception};
use jiff::Timestamp;

use crate::home::{Home, read_bounded, write_new};

/// DSSE payload type of an exception.
const PAYLOAD_TYPE: &str = "application/vnd.bartizan.exception+json";
/// Largest exception file.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// Most files looked at, ended and foreign ones included.
const FILES_MAX: usize = 1024;
/// Where those that have ended are kept.
const ENDED: &str = "ended";
/// Characters of the digest an exception is called by.
const ID_CHARS: usize = 12;

/// The name of an exception: what it says, in short.
pub fn name(exception: &Exception) -> anyhow::Result<String> {
    let hex = Digest::of(exception)?.hex();
    Ok(format!("ex-{}", hex.get(..ID_CHARS).unwrap_or(&hex)))
}

/// The directory they lie in.
pub fn directory(home: &Home) -> PathBuf {
    home.path().join("exceptions")
}

/// Those that are signed by this home's key and haven't been moved away; without a key there are none.
pub fn load(home: &Home) -> Vec<Exception> {
    let Ok(key) = key_file::load(&home.key_file()) else { return Vec::new() };
    files(&directory(home)).iter().filter_map(|file| read(file, &key.public())).take(EXCEPTIONS_MAX).collect()
}

/// Keeps one.
pub fn add(home: &Home, key: &SigningKey, exception: &Exception) -> anyhow::Result<()> {
    if load(home).len() >= EXCEPTIONS_MAX {
        bail!("there are {EXCEPTIONS_MAX} exceptions already; remove some, or change the policy instead");
    }
    let directory = home.private_directory("exceptions")?;
    let payload = canonical::bytes(exception)?;
    let json = Envelope::sign(PAYLOAD_TYPE, &payload, key).to_json()?;
    let file = directory.join(format!("{}.json", exception.id));
    if !write_new(&file, json.as_bytes())? {
        bail!("the exception `{}` is there already", exception.id);
    }
    Ok(())
}

/// The exception of this name.
pub fn find(home: &Home, id: &str) -> anyhow::Result<Exception> {
    let Some(exception) = load(home).into_iter().find(|exception| exception.id == id) else {
        bail!("there is no exception `{id}`; `bartizan policy exception list` shows those there are");
    };
    Ok(exception)
}

/// Takes one away.
pub fn remove(home: &Home, exception: &Exception) -> anyhow::Result<()> {
    let file = directory(home).join(format!("{}.json", exception.id));
    fs::remove_file(&file).with_context(|| format!("failed to remove `{}`", file.display()))
}

/// Moves away those that have ended by this moment, which is never earlier than the ledger's last entry. Gives them.
pub fn end(home: &Home, now: Timestamp) -> anyhow::Result<Vec<Exception>> {
    let mut over = load(home);
    over.retain(|exception| exception.until <= now);
    if over.is_empty() {
        return Ok(over);
    }
    home.private_directory("exceptions")?;
    let ended = home.private_directory("exceptions/ended")?;
    for exception in &over {
        let name = format!("{}.json", exception.id);
        let file = directory(home).join(&name);
        match fs::rename(&file, ended.join(&name)) {
            // Another process was first.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            result => result.with_context(|| format!("failed to move `{}` away", file.display()))?,
        }
    }
    Ok(over)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().take(FILES_MAX).map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

fn read(file: &Path, key: &PublicKey) -> Option<Exception> {
    // What was ended and put back is still ended.
    let name = file.file_name()?;
    if file.parent()?.join(ENDED).join(name).exists() {
        return None;
    }
    let envelope = Envelope::from_json(&read_bounded(file, FILE_BYTES_MAX).ok()?).ok()?;
    let payload = envelope.verify(key).ok().filter(|_| envelope.payload_type == PAYLOAD_TYPE)?;
    let exception: Exception = serde_json::from_slice(&payload).ok()?;
    (name.to_str()? == format!("{}.json", exception.id)).then_some(exception)
}

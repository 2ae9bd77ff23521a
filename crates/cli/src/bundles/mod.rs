//! Policy bundles of this home: whose signatures count, which are installed, which version of each is in force. All of
//! that stands in one file signed with the home's key and replaced whole, so that a failed step leaves the old state.

mod remote;
mod state;
mod transport;

pub use state::Bundles;
pub use transport::{pull, push};

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use bartizan_crypto::Envelope;
use bartizan_policy::bundle::{BYTES_MAX, Bundle, FILES_MAX};

use crate::home::read_bounded;

/// Deepest directory looked into.
const DEPTH_MAX: usize = 16;
/// Largest file of a bundle in its envelope.
pub const ENVELOPE_BYTES_MAX: u64 = bartizan_crypto::dsse::ENVELOPE_BYTES_MAX as u64;

/// A bundle of the files below a directory. Symbolic links are not followed; what is no YAML or Rego is left out.
pub fn from_directory(directory: &Path) -> anyhow::Result<Bundle> {
    let mut files = BTreeMap::new();
    gather(directory, "", 0, &mut files)?;
    Ok(Bundle::new(files, None)?)
}

fn gather(directory: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    if depth > DEPTH_MAX {
        bail!("`{}` lies too deep; a bundle has at most {DEPTH_MAX} directories in each other", directory.display());
    }
    let entries = fs::read_dir(directory).with_context(|| format!("failed to look into `{}`", directory.display()))?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !name.starts_with('.') {
            gather(&entry.path(), &path, depth + 1, files)?;
        } else if kind.is_file() && Bundle::takes(&path) {
            if files.len() >= FILES_MAX {
                bail!("a bundle has at most {FILES_MAX} files; split it");
            }
            let bytes = read_bounded(&entry.path(), BYTES_MAX as u64 + 1)
                .with_context(|| format!("failed to read `{}`", entry.path().display()))?;
            files.insert(path, bytes);
        }
    }
    Ok(())
}

/// Reads an envelope from a file.
pub fn read_envelope(file: &Path) -> anyhow::Result<Envelope> {
    let bytes = read_bounded(file, ENVELOPE_BYTES_MAX + 1)
        .with_context(|| format!("failed to read the bundle `{}`", file.display()))?;
    Envelope::from_json(&bytes).with_context(|| format!("`{}` is no bundle", file.display()))
}

/// A bundle in an envelope nobody has signed yet.
pub fn unsigned(bundle: &Bundle) -> anyhow::Result<String> {
    let mut envelope = Envelope::from_signature(
        bartizan_policy::bundle::PAYLOAD_TYPE,
        bundle.statement(),
        String::new(),
        String::new(),
    );
    envelope.signatures.clear();
    let json = envelope.to_json()?;
    if json.len() as u64 > ENVELOPE_BYTES_MAX {
        bail!("the bundle has {} bytes in its envelope, the most is {ENVELOPE_BYTES_MAX}; split it", json.len());
    }
    Ok(json)
}

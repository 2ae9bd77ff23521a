//! Bundles on their way: a directory `NAME/VERSION.json`, on a shared disk, in a Git repository or on a web server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bartizan_crypto::Envelope;
use bartizan_net::Place;
use bartizan_policy::bundle::{Bundle, BundleVersion};

use super::remote::{self, INDEX, Index};
use super::{ENVELOPE_BYTES_MAX, read_envelope};
use crate::git;
use crate::home::{Home, replace, write_new};

/// The branch of a Git repository that holds bundles.
const BRANCH: &str = "refs/heads/bartizan-bundles";
/// Most versions looked through.
pub(super) const VERSIONS_MAX: usize = 4096;

/// Puts a bundle into a directory or Git repository, or on a web server. One version never gets other contents.
pub fn push(home: &Home, bundle: &Bundle, envelope: &Envelope, destination: &Path) -> anyhow::Result<()> {
    if let Some(url) = url(destination) {
        return remote::push(home, bundle, envelope, url);
    }
    let json = envelope.to_json()?;
    let (name, version) = (&bundle.manifest().name, bundle.manifest().version);
    if git::is_repository(destination) {
        let repository = git::Commits::open(destination)?;
        let path = format!("{name}/{version}.json");
        if let Some(there) = repository.read(BRANCH, &path, ENVELOPE_BYTES_MAX)? {
            return already(bundle, &Envelope::from_json(&there)?);
        }
        return repository.add(BRANCH, &path, json.as_bytes(), &format!("{name} {version}"));
    }
    if !destination.is_dir() {
        bail!("`{}` is neither a directory nor a Git repository; make it first", destination.display());
    }
    let directory = destination.join(name);
    match fs::create_dir(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("failed to make `{}`", directory.display()));
        }
        _ => {}
    }
    let file = directory.join(format!("{version}.json"));
    if !write_new(&file, json.as_bytes())? {
        already(bundle, &read_envelope(&file)?)?;
    }
    // So that the directory can be served to those who pull over HTTP.
    let mut versions: Vec<_> = versions(names_in(&directory)?).collect();
    versions.sort_unstable();
    replace(&directory.join(INDEX), Index { versions }.to_json()?.as_bytes())
}

/// The address of a web server, where this is one and no path.
fn url(place: &Path) -> Option<&str> {
    place.to_str().filter(|text| Place::is_meant(text))
}

fn names_in(directory: &Path) -> io::Result<impl Iterator<Item = String>> {
    Ok(fs::read_dir(directory)?.flatten().filter_map(|entry| entry.file_name().into_string().ok()))
}

/// The same contents again are no harm; others under the same version are refused.
pub(super) fn already(bundle: &Bundle, there: &Envelope) -> anyhow::Result<()> {
    if there.payload_bytes().as_deref() == Some(bundle.statement()) {
        return Ok(());
    }
    bail!(
        "version {} of `{}` is there already with other contents; a version means one thing, give the new one a higher number",
        bundle.manifest().version,
        bundle.manifest().name
    )
}

/// Fetches a bundle: the version named, or the highest there is. Gives the version it is said to be, too.
pub fn pull(
    home: &Home,
    source: &Path,
    name: &str,
    version: Option<BundleVersion>,
) -> anyhow::Result<(Envelope, BundleVersion)> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        bail!("`{}` is no name of a bundle", bartizan_scan::printable(name));
    }
    if let Some(url) = url(source) {
        return remote::pull(home, url, name, version);
    }
    let missing = || format!("there is no such version of `{name}` in `{}`", source.display());
    if git::is_repository(source) {
        let repository = git::Commits::open(source)?;
        let names = repository.list(BRANCH, name)?;
        let version = choose(names.into_iter(), version).with_context(missing)?;
        let bytes = repository.read(BRANCH, &format!("{name}/{version}.json"), ENVELOPE_BYTES_MAX)?;
        return Ok((Envelope::from_json(&bytes.with_context(missing)?)?, version));
    }
    let directory: PathBuf = source.join(name);
    let names = names_in(&directory).with_context(missing)?;
    let version = choose(names, version).with_context(missing)?;
    Ok((read_envelope(&directory.join(format!("{version}.json")))?, version))
}

fn choose(names: impl Iterator<Item = String>, wanted: Option<BundleVersion>) -> Option<BundleVersion> {
    versions(names).filter(|version| wanted.is_none_or(|wanted| wanted == *version)).max()
}

fn versions(names: impl Iterator<Item = String>) -> impl Iterator<Item = BundleVersion> {
    names.take(VERSIONS_MAX).filter_map(|name| name.strip_suffix(".json")?.parse().ok())
}

//! Bundles: a policy with its Rego modules, personas and overlays, under one name and version. In transit a bundle
//! is an in-toto statement in a DSSE envelope; here are its form and what it holds. The same files give the same
//! bytes, so a bundle has one digest wherever it is built. Files, keys and signatures are the business of whoever
//! calls.

mod manifest;
mod statement;
mod version;

pub(crate) use manifest::KEYS as MANIFEST_KEYS;
pub use manifest::Manifest;
pub use statement::{PAYLOAD_TYPE, PREDICATE_TYPE};
pub use version::BundleVersion;

use std::collections::BTreeMap;

use bartizan_model::Digest;

use crate::builtin;
use crate::load::{Loader, Policy, Source};
use crate::place::{PolicyErrors, quoted};

/// Where the manifest lies in a bundle's directory.
pub const MANIFEST_FILE: &str = "bundle.yaml";
/// Most files of one bundle.
pub const FILES_MAX: usize = 256;
/// Largest bundle, all files together: in base64 inside its envelope it must still be read in one piece.
pub const BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest path in a bundle.
const PATH_BYTES_MAX: usize = 200;
/// What files of a bundle end in; others are no part of it.
const ENDINGS: [&str; 3] = [".yaml", ".yml", ".rego"];

/// Why something is no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The manifest or a policy in it is wrong.
    #[error("{0}")]
    Policy(#[from] PolicyErrors),
    /// No manifest.
    #[error("there is no `{MANIFEST_FILE}`; write one with `bundle: 1`, `name`, `version` and `policy`")]
    NoManifest,
    /// Too much.
    #[error("a bundle has at most {FILES_MAX} files and {BYTES_MAX} bytes; split it")]
    TooLarge,
    /// A file that can't be in a bundle.
    #[error("the file `{path}` can't be in a bundle: {why}")]
    File {
        /// Which.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// The manifest names a file that isn't there.
    #[error("the manifest names `{path}`, which is not in the bundle; add it or correct the name")]
    Missing {
        /// Which.
        path: String,
    },
    /// The statement is not one of ours.
    #[error("this is no statement about a policy bundle: {0}; build it with `bartizan policy bundle build`")]
    Statement(String),
}

/// A bundle whose parts have been read and found to be right.
#[derive(Debug, Clone)]
pub struct Bundle {
    manifest: Manifest,
    files: BTreeMap<String, String>,
    /// The commit it was built from.
    commit: Option<String>,
    digest: Digest,
    statement: Vec<u8>,
}

impl Bundle {
    /// Whether a file of this name is part of a bundle.
    #[must_use]
    pub fn takes(path: &str) -> bool {
        ENDINGS.iter().any(|ending| path.ends_with(ending)) && !path.split('/').any(|part| part.starts_with('.'))
    }

    /// A bundle of these files, `bundle.yaml` among them; paths are relative, with `/`.
    ///
    /// # Errors
    /// A part is missing, too large or wrong.
    pub fn new(files: BTreeMap<String, Vec<u8>>, commit: Option<String>) -> Result<Self, BundleError> {
        let mut texts = BTreeMap::new();
        for (path, bytes) in files {
            let text = String::from_utf8(bytes)
                .map_err(|_| BundleError::File { path: path.clone(), why: "it is no UTF-8 text" })?;
            texts.insert(path, text);
        }
        Self::of_texts(texts, commit)
    }

    fn of_texts(files: BTreeMap<String, String>, commit: Option<String>) -> Result<Self, BundleError> {
        if files.len() > FILES_MAX || files.values().map(String::len).sum::<usize>() > BYTES_MAX {
            return Err(BundleError::TooLarge);
        }
        for path in files.keys() {
            check_path(path)?;
        }
        let manifest = files.get(MANIFEST_FILE).ok_or(BundleError::NoManifest)?;
        let manifest = Manifest::read(manifest.as_bytes(), MANIFEST_FILE)?;
        let named = std::iter::once(&manifest.policy).chain(manifest.overlays.iter().filter(|name| is_file(name)));
        for path in named {
            if !files.contains_key(path) {
                return Err(BundleError::Missing { path: path.clone() });
            }
        }
        let statement = statement::write(&manifest, &files, commit.as_deref())?;
        let bundle = Self { digest: Digest::of_bytes(&statement), manifest, files, commit, statement };
        bundle.policy()?;
        bundle.overlays()?;
        for name in bundle.personas() {
            bundle.persona(name).transpose()?;
        }
        Ok(bundle)
    }

    /// Reads a statement whose signature was found to hold.
    ///
    /// # Errors
    /// It is no statement about a bundle, or what it holds is wrong.
    pub fn from_statement(statement: &[u8]) -> Result<Self, BundleError> {
        let (files, commit) = statement::read(statement)?;
        let bundle = Self::of_texts(files, commit)?;
        // Whatever else a statement says would be signed and mean nothing; a bundle has one form.
        if bundle.statement != statement {
            return Err(BundleError::Statement("it is not in its one form".to_owned()));
        }
        Ok(bundle)
    }

    /// The in-toto statement, the bytes that are signed.
    #[must_use]
    pub fn statement(&self) -> &[u8] {
        &self.statement
    }

    /// Digest of the statement: what a verdict and the ledger refer to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Name, version and what is in it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The commit it was built from, where it was.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// Its files' paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The policy it is for.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn policy(&self) -> Result<Policy, PolicyErrors> {
        Policy::load(&self.policy_source(), self)
    }

    /// That policy's text.
    #[must_use]
    pub fn policy_source(&self) -> Source {
        self.source(&self.manifest.policy)
            .unwrap_or_else(|| Source::new(self.name_of(&self.manifest.policy), Vec::new()))
    }

    /// The policies that narrow it.
    ///
    /// # Errors
    /// Everything wrong with them.
    pub fn overlays(&self) -> Result<Vec<Policy>, PolicyErrors> {
        let load = |name: &String| match builtin::overlay_source(name).or_else(|| self.source(name)) {
            Some(source) => Policy::load(&source, self),
            None => Ok(Policy::default()),
        };
        self.manifest.overlays.iter().map(load).collect()
    }

    /// Names of the personas it brings.
    pub fn personas(&self) -> impl Iterator<Item = &str> {
        self.files.keys().filter_map(|path| path.strip_prefix("personas/")?.strip_suffix(".yaml"))
    }

    /// One of its personas.
    #[must_use]
    pub fn persona(&self, name: &str) -> Option<Result<Policy, PolicyErrors>> {
        Some(Policy::load(&self.persona_source(name)?, self))
    }

    /// A persona's text.
    #[must_use]
    pub fn persona_source(&self, name: &str) -> Option<Source> {
        self.source(&format!("personas/{name}.yaml"))
    }

    /// How its sources are called in messages and verdicts: `bundle:NAME@VERSION/PATH`.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("bundle:{}@{}/", self.manifest.name, self.manifest.version)
    }

    fn name_of(&self, path: &str) -> String {
        format!("{}{path}", self.prefix())
    }

    fn source(&self, path: &str) -> Option<Source> {
        Some(Source::new(self.name_of(path), self.files.get(path)?.as_str()))
    }
}

/// Inside a bundle only its own files and built-ins can be named.
impl Loader for Bundle {
    fn file(&self, reference: &str, from: &str) -> Result<Source, String> {
        let from = from.strip_prefix(&self.prefix()).unwrap_or_default();
        let mut parts: Vec<&str> = from.split('/').collect();
        parts.pop();
        for part in reference.split('/') {
            match part {
                "." | "" => {}
                ".." if parts.pop().is_none() => {
                    return Err(format!("{} lies outside the bundle; put the file into it", quoted(reference)));
                }
                ".." => {}
                part => parts.push(part),
            }
        }
        let path = parts.join("/");
        self.source(&path).ok_or_else(|| format!("{} is not in the bundle; add it or correct the name", quoted(&path)))
    }

    fn module(&self, reference: &str, from: &str) -> Result<Source, String> {
        if reference.ends_with(".wasm") {
            return Err(format!("{}: a bundle carries no WebAssembly; leave the guard out", quoted(reference)));
        }
        self.file(reference, from)
    }

    fn named(&self, name: &str) -> Option<Source> {
        self.persona_source(name)
    }
}

fn is_file(name: &str) -> bool {
    name.contains('/') || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn check_path(path: &str) -> Result<(), BundleError> {
    let problem = |why| Err(BundleError::File { path: path.chars().take(PATH_BYTES_MAX).collect(), why });
    if path.len() > PATH_BYTES_MAX {
        return problem("its path is too long");
    }
    if !Bundle::takes(path) {
        return problem("it is no YAML or Rego file, or is hidden");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if path.split('/').any(|part| part.is_empty() || part == ".." || !part.chars().all(plain)) {
        return problem("its path has more than letters, digits, `.`, `_` and `-`");
    }
    Ok(())
}

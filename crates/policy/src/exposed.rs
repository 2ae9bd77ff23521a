//! Secrets that the box itself holds, in files and variables: what policy names in so many words, and nothing else.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::context::Context;
use crate::language::{SecretText, Secrets};
use crate::place::{At, Place};

/// Where in the box a secret stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A file in memory.
    File(PathBuf),
    /// A variable.
    Variable(String),
}

/// A secret that the box itself holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    /// The secret's name.
    pub name: String,
    /// What stands there, with `${NAME}` for the value.
    pub text: String,
    /// Where it stands.
    pub held: Held,
    pub(crate) rule: String,
    pub(crate) source: Place,
}

impl Exposure {
    /// Where it goes, as actions name it: `file:/home/me/.netrc`, `env:TOKEN`.
    #[must_use]
    pub fn destination(&self) -> String {
        match &self.held {
            Held::File(path) => format!("file:{}", path.display()),
            Held::Variable(name) => format!("env:{name}"),
        }
    }
}

/// What a policy exposes.
pub(crate) fn exposures(secrets: &Secrets, context: &Context) -> Vec<Exposure> {
    let exposure = |section: &str, key: &str, text: &At<SecretText>, held| Exposure {
        name: text.value.name.clone(),
        text: text.value.text.clone(),
        held,
        rule: format!("secrets.{section}[{key}]"),
        source: text.place.clone(),
    };
    let path = |text: &str| {
        let bytes = match text.strip_prefix('~') {
            Some(below) => [context.home(), below.as_bytes()].concat(),
            None => text.as_bytes().to_vec(),
        };
        PathBuf::from(OsString::from_vec(bytes))
    };
    let files = secrets.files.iter().flatten().map(|(key, text)| exposure("files", key, text, Held::File(path(key))));
    let variables =
        secrets.env.iter().flatten().map(|(key, text)| exposure("env", key, text, Held::Variable(key.clone())));
    files.chain(variables).collect()
}

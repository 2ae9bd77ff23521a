//! What `~` and `./` stand for.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::path;

/// Why a context can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} `{path}` is no absolute path; give one")]
pub struct ContextError {
    what: &'static str,
    path: String,
}

/// The directories a policy's patterns are over. Symbolic links in them are resolved by the caller, who
/// compares paths in the same form later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    home: Vec<u8>,
    workspace: Vec<u8>,
    control: Vec<Vec<u8>>,
    protected: Vec<Vec<u8>>,
}

impl Context {
    /// A context over a person's home and the directory worked in.
    ///
    /// # Errors
    /// One of them isn't absolute.
    pub fn new(home: &Path, workspace: &Path) -> Result<Self, ContextError> {
        Ok(Self {
            home: absolute("home", home)?,
            workspace: absolute("workspace", workspace)?,
            control: Vec::new(),
            protected: Vec::new(),
        })
    }

    /// The same with a place that is Bartizan's own (its home, a policy file): never readable, whatever the
    /// policy says.
    ///
    /// # Errors
    /// It isn't absolute.
    pub fn with_control(mut self, path: &Path) -> Result<Self, ContextError> {
        self.control.push(absolute("control path", path)?);
        Ok(self)
    }

    /// The same with a file no program may write, whatever the policy says: the policy itself, where it lies
    /// in the open.
    ///
    /// # Errors
    /// It isn't absolute.
    pub fn with_protected(mut self, path: &Path) -> Result<Self, ContextError> {
        self.protected.push(absolute("protected path", path)?);
        Ok(self)
    }

    pub(crate) fn home(&self) -> &[u8] {
        &self.home
    }

    pub(crate) fn workspace(&self) -> &[u8] {
        &self.workspace
    }

    pub(crate) fn control(&self) -> &[Vec<u8>] {
        &self.control
    }

    pub(crate) fn protected(&self) -> &[Vec<u8>] {
        &self.protected
    }
}

fn absolute(what: &'static str, given: &Path) -> Result<Vec<u8>, ContextError> {
    path::canonical(given.as_os_str().as_bytes())
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| ContextError { what, path: given.display().to_string() })
}

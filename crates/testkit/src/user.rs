//! Who a test runs as: the current user, or an ordinary one when the tests run as root.

use std::{fs, io, os::unix::fs::MetadataExt, os::unix::process::CommandExt, path::Path, process::Command};

/// `nobody`: exists everywhere, owns nothing.
const ORDINARY: u32 = 65534;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the tests.
    Current,
    /// An ordinary user without any privilege; only root can become it.
    Ordinary,
}

impl User {
    /// Every user a test can be run as here: always the current one, and an ordinary one too when that is root.
    pub fn all() -> Vec<Self> {
        if is_root() { vec![Self::Current, Self::Ordinary] } else { vec![Self::Current] }
    }

    /// The numeric id.
    pub fn id(self) -> u32 {
        match self {
            Self::Current => rustix::process::geteuid().as_raw(),
            Self::Ordinary => ORDINARY,
        }
    }

    /// Make `command` run as this user, with no supplementary group.
    pub fn apply(self, command: &mut Command) {
        if self == Self::Ordinary {
            // The standard library drops supplementary groups itself when root sets a user id.
            command.gid(ORDINARY).uid(ORDINARY);
        }
    }

    /// Give this user everything at and below `path`; links themselves, never what they point at.
    pub fn own(self, path: &Path) {
        if self == Self::Current {
            return;
        }
        let metadata = fs::symlink_metadata(path).unwrap();
        if metadata.uid() != ORDINARY {
            std::os::unix::fs::lchown(path, Some(ORDINARY), Some(ORDINARY)).unwrap();
        }
        if metadata.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.own(&entry.unwrap().path());
            }
        }
    }
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Hard-link, or copy where the two places are on different file systems. Never over something that is there:
/// it could be another link to the very file.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => fs::copy(from, to).map(drop),
        result => result,
    }
}

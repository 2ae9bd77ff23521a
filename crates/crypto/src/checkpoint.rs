//! Checkpoints as in <https://c2sp.org/tlog-checkpoint>: a log's origin, size and root in a signed note.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::key::{PublicKey, SigningKey};
use crate::merkle::Hash;
use crate::note::{self, NoteError};

/// What a log commits to: everything up to `size` has this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log; also the name of the key that signs it.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The note's text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        note::sign(&self.text(), &self.origin, key)
    }

    /// Reads a checkpoint of this log, signed by this key. Extension lines are signed but not looked at.
    ///
    /// # Errors
    /// It is no checkpoint, is another log's, or isn't signed by the key.
    pub fn open(text: &str, origin: &str, key: &PublicKey) -> Result<Self, NoteError> {
        let malformed = |reason| NoteError::Malformed { reason };
        let mut lines = note::open(text, origin, key)?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty());
        let named = line().ok_or(malformed("a checkpoint starts with its origin"))?;
        if named != origin {
            return Err(malformed("the checkpoint is another log's"));
        }
        let size = line().ok_or(malformed("a checkpoint's second line is its size"))?;
        if !size.bytes().all(|byte| byte.is_ascii_digit()) || (size.starts_with('0') && size != "0") {
            return Err(malformed("a checkpoint's size is a decimal number"));
        }
        let size = size.parse().map_err(|_| malformed("a checkpoint's size is a decimal number"))?;
        let root = line().ok_or(malformed("a checkpoint's third line is its root"))?;
        let root = STANDARD.decode(root).ok().and_then(|root| Hash::try_from(root).ok());
        Ok(Self { origin: origin.to_owned(), size, root: root.ok_or(malformed("a root is 32 bytes in base64"))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_binds_origin_and_key() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let checkpoint = Checkpoint { origin: "example.org/log".into(), size: 42, root: [7; 32] };
        let note = checkpoint.sign(&key);
        assert_eq!(Checkpoint::open(&note, "example.org/log", &key.public()), Ok(checkpoint));
        assert!(Checkpoint::open(&note, "example.org/other", &key.public()).is_err());
        assert!(Checkpoint::open(&note, "example.org/log", &other.public()).is_err());
        assert!(Checkpoint::open(&note.replace("42", "41"), "example.org/log", &key.public()).is_err());
    }

    #[test]
    fn refuses_signed_nonsense_and_takes_extensions() {
        let key = SigningKey::generate().unwrap();
        let root = STANDARD.encode([7; 32]);
        let open = |text: String| Checkpoint::open(&note::sign(&text, "o", &key), "o", &key.public());
        assert!(open(format!("o\n1\n{root}\nextension\n")).is_ok());
        for bad in [
            format!("o\n01\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("p\n1\n{root}\n"),
            "o\n1\nAAAA\n".into(),
            "o\n1\n".into(),
            "o\n99999999999999999999\nAA\n".into(),
        ] {
            assert!(open(bad.clone()).is_err(), "{bad:?}");
        }
    }
}

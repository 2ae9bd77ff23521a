//! Signed notes as in <https://c2sp.org/signed-note>: a text, a blank line, and one line a signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::key::{PublicKey, SigningKey};

/// Largest note read: a checkpoint has some 200 bytes, a dozen witnesses add 150 each.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// Signature type byte of Ed25519 in the key hash.
const ED25519: u8 = 1;

/// Why a note is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not a note at all.
    #[error("not a signed note: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No line by the key that is trusted.
    #[error("the note carries no signature by key `{name}`")]
    NotSigned {
        /// Name of the key.
        name: String,
    },
    /// A line claims to be by the trusted key and isn't.
    #[error("the note's signature by key `{name}` does not hold")]
    Forged {
        /// Name of the key.
        name: String,
    },
}

/// First four bytes of the hash that ties a key to its name.
fn key_hash(name: &str, key: &PublicKey) -> [u8; 4] {
    let digest =
        Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize();
    let mut hash = [0; 4];
    hash.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    hash
}

/// The verifier key line other tools take: `name+hash+key`.
#[must_use]
pub fn verifier_key(name: &str, key: &PublicKey) -> String {
    let hash = key_hash(name, key);
    let mut typed = vec![ED25519];
    typed.extend_from_slice(key.as_bytes());
    format!("{name}+{:08x}+{}", u32::from_be_bytes(hash), STANDARD.encode(typed))
}

/// Signs a text, which must end with a newline, under this key name.
#[must_use]
pub fn sign(text: &str, name: &str, key: &SigningKey) -> String {
    let mut signature = key_hash(name, &key.public()).to_vec();
    signature.extend_from_slice(&key.sign(text.as_bytes()));
    format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(signature))
}

/// The text of a note that carries a good signature by this key. Lines by other keys are left alone.
///
/// # Errors
/// It is no note, or isn't signed by the key.
pub fn open<'a>(note: &'a str, name: &str, key: &PublicKey) -> Result<&'a str, NoteError> {
    let malformed = |reason| NoteError::Malformed { reason };
    if note.len() > NOTE_BYTES_MAX {
        return Err(malformed("it is too large"));
    }
    if note.chars().any(|character| character.is_control() && character != '\n') {
        return Err(malformed("it holds control characters"));
    }
    let split = note.rfind("\n\n").ok_or(malformed("it has no blank line"))?;
    let (text, signatures) = note.split_at_checked(split + 1).ok_or(malformed("it has no blank line"))?;
    let lines = signatures.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
    let lines = lines.ok_or(malformed("it does not end with a signature line"))?;
    let (expected, mut good) = (key_hash(name, key), false);
    for line in lines.split('\n') {
        let rest = line.strip_prefix("\u{2014} ").ok_or(malformed("a signature line lacks its dash"))?;
        let (signer, encoded) = rest.split_once(' ').ok_or(malformed("a signature line lacks its name"))?;
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed("a signature is no base64"))?;
        let (hash, signature) =
            bytes.split_first_chunk::<4>().ok_or(malformed("a signature is shorter than its key hash"))?;
        if signer != name || *hash != expected {
            continue;
        }
        let forged = || NoteError::Forged { name: name.to_owned() };
        let signature = signature.try_into().map_err(|_| forged())?;
        key.verify(text.as_bytes(), signature).map_err(|_| forged())?;
        good = true;
    }
    if good { Ok(text) } else { Err(NoteError::NotSigned { name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example key and note of the format's reference implementation (`golang.org/x/mod/sumdb/note`).
    const SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn key() -> SigningKey {
        SigningKey::from_seed(STANDARD.decode(SEED).unwrap()[1..].try_into().unwrap())
    }

    #[test]
    fn makes_the_reference_note() {
        assert_eq!(verifier_key("PeterNeumann", &key().public()), VERIFIER);
        assert_eq!(sign(TEXT, "PeterNeumann", &key()), format!("{TEXT}\n{SIGNATURE}"));
        assert_eq!(open(&format!("{TEXT}\n{SIGNATURE}"), "PeterNeumann", &key().public()), Ok(TEXT));
    }

    #[test]
    fn other_signers_are_left_alone_and_never_suffice() {
        let other = SigningKey::generate().unwrap();
        let note = sign(TEXT, "other", &other);
        let line = note.strip_prefix(TEXT).unwrap().strip_prefix('\n').unwrap();
        let both = format!("{TEXT}\n{line}{SIGNATURE}");
        assert_eq!(open(&both, "PeterNeumann", &key().public()), Ok(TEXT));
        assert!(matches!(open(&note, "PeterNeumann", &key().public()), Err(NoteError::NotSigned { .. })));
    }

    #[test]
    fn refuses_changed_and_malformed_notes() {
        let good = format!("{TEXT}\n{SIGNATURE}");
        let open = |note: &str| open(note, "PeterNeumann", &key().public()).map(str::to_owned);
        assert!(matches!(open(&good.replace("your", "my")), Err(NoteError::Forged { .. })));
        for bad in [
            "",
            "\n\n",
            "x\n\n\u{2014} ",
            "x\n\n\u{2014} a b\n",
            "x\n\n- PeterNeumann AAAA\n",
            &good[..good.len() - 1],
            &good.replace('-', "\r"),
            &format!("{good}\n"),
            &good.replace("PeterNeumann x", "PeterNeumann  x"),
        ] {
            assert!(open(bad).is_err() || bad == good, "{bad:?}");
        }
    }
}

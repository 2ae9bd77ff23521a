//! Signatures of manifests: Ed25519 over the compact JSON that Go's encoder gives for the manifest with an empty
//! signature. The bytes are rebuilt here field by field; nothing of the file's own spelling goes in.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bartizan_crypto::PublicKey;

use super::manifest::{Command, Manifest, Service};
use crate::report::quoted;

/// Why a signature doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not a key.
    #[error("`{0}` is no Ed25519 public key; write it as 64 hexadecimal digits")]
    Key(String),
    /// Not a signature.
    #[error("the signature can't be read; it is 128 hexadecimal digits, with or without `ed25519:`")]
    Unreadable,
    /// There is nobody to ask.
    #[error("it is signed, and no key is trusted; name one with `--trust-key`")]
    NoKeys,
    /// Nobody who is trusted signed this.
    #[error("none of the {keys} trusted keys made the signature; the manifest was changed or is from somebody else")]
    Wrong {
        /// How many were tried.
        keys: usize,
    },
}

/// A key whose signatures count.
#[derive(Debug, Clone)]
pub struct TrustKey {
    name: String,
    key: PublicKey,
}

impl TrustKey {
    /// Reads `[name=]hex`, the hex with or without `ed25519:`.
    ///
    /// # Errors
    /// It is no key.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let problem = || SignatureError::Key(quoted(text));
        let (name, key) = text.split_once('=').unwrap_or((text, text));
        let bytes: [u8; 32] = hex(key.strip_prefix("ed25519:").unwrap_or(key)).ok_or_else(problem)?;
        Ok(Self { name: quoted(name), key: PublicKey::from_bytes(&bytes).map_err(|_| problem())? })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

pub(super) fn verify<'k>(manifest: &Manifest, keys: &'k [TrustKey]) -> Result<Option<&'k TrustKey>, SignatureError> {
    if manifest.signature.is_empty() {
        return Ok(None);
    }
    let text = manifest.signature.strip_prefix("ed25519:").unwrap_or(&manifest.signature);
    let signature: [u8; 64] = hex(text).ok_or(SignatureError::Unreadable)?;
    if keys.is_empty() {
        return Err(SignatureError::NoKeys);
    }
    let message = signed_bytes(manifest);
    let signer = keys.iter().find(|key| key.key.verify(message.as_bytes(), &signature).is_ok());
    signer.map(Some).ok_or(SignatureError::Wrong { keys: keys.len() })
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0_u8; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| pair.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(bytes)
}

/// What is signed.
pub(super) fn signed_bytes(manifest: &Manifest) -> String {
    let mut out = String::from("{");
    for (key, value) in [
        ("Name", &manifest.name),
        ("Version", &manifest.version),
        ("Description", &manifest.description),
        ("Image", &manifest.image),
        ("Platform", &manifest.platform),
        ("ComposeFile", &manifest.compose_file),
    ] {
        let _ = write!(out, "\"{key}\":");
        text(&mut out, value);
        out.push(',');
    }
    out.push_str("\"Scopes\":");
    texts(&mut out, manifest.scopes.as_deref());
    out.push_str(",\"Services\":");
    map(&mut out, manifest.services.as_ref(), |out, service: &Service| {
        out.push_str("{\"Scopes\":");
        texts(out, service.scopes.as_deref());
        out.push('}');
    });
    out.push_str(",\"Commands\":");
    map(&mut out, manifest.commands.as_ref(), |out, command: &Command| {
        out.push_str("{\"Args\":");
        texts(out, command.args.as_deref());
        out.push_str(",\"Env\":");
        texts(out, command.env.as_deref());
        out.push('}');
    });
    out.push_str(",\"Signature\":\"\"}");
    out
}

fn texts(out: &mut String, list: Option<&[String]>) {
    let Some(list) = list else { return out.push_str("null") };
    out.push('[');
    for (index, entry) in list.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        text(out, entry);
    }
    out.push(']');
}

fn map<T>(out: &mut String, map: Option<&BTreeMap<String, T>>, value: impl Fn(&mut String, &T)) {
    let Some(map) = map else { return out.push_str("null") };
    out.push('{');
    for (index, (key, entry)) in map.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        text(out, key);
        out.push(':');
        value(out, entry);
    }
    out.push('}');
}

/// A string as Go's `encoding/json` writes it, HTML escaping on.
fn text(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use bartizan_crypto::SigningKey;

    use super::*;

    const MANIFEST: &str = "name: a<b>\nversion: '1'\nscopes: [files.read:/w]\ncommands:\n  z: {args: [x]}\n  a: {args: [], env: ['K=v&w']}\n";

    fn hexed(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    }

    #[test]
    fn bytes_are_those_of_go() {
        let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
        assert_eq!(
            signed_bytes(&manifest),
            "{\"Name\":\"a\\u003cb\\u003e\",\"Version\":\"1\",\"Description\":\"\",\"Image\":\"\",\"Platform\":\"\",\"ComposeFile\":\"\",\
             \"Scopes\":[\"files.read:/w\"],\"Services\":null,\"Commands\":{\"a\":{\"Args\":[],\"Env\":[\"K=v\\u0026w\"]},\
             \"z\":{\"Args\":[\"x\"],\"Env\":null}},\"Signature\":\"\"}"
        );
    }

    #[test]
    fn a_signature_holds_for_these_bytes_and_this_key() {
        let key = SigningKey::from_seed(&[7; 32]);
        let trusted = TrustKey::parse(&format!("me={}", hexed(key.public().as_bytes()))).unwrap();
        let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
        let signature = hexed(&key.sign(signed_bytes(&manifest).as_bytes()));
        let signed = |change: &str, signature: &str| {
            Manifest::parse(format!("{}signature: '{signature}'\n", MANIFEST.replace("/w", change)).as_bytes()).unwrap()
        };
        let keys = [TrustKey::parse(&hexed(SigningKey::from_seed(&[8; 32]).public().as_bytes())).unwrap(), trusted];
        assert_eq!(signed("/w", &signature).verify(&keys).unwrap().unwrap().name(), "me");
        assert_eq!(signed("/w", &format!("ed25519:{signature}")).verify(&keys).unwrap().unwrap().name(), "me");
        assert_eq!(signed("/x", &signature).verify(&keys).unwrap_err(), SignatureError::Wrong { keys: 2 });
        assert_eq!(signed("/w", &signature).verify(&[]).unwrap_err(), SignatureError::NoKeys);
        assert_eq!(signed("/w", "abc").verify(&keys).unwrap_err(), SignatureError::Unreadable);
        assert!(manifest.verify(&keys).unwrap().is_none());
        assert!(TrustKey::parse("zz").is_err());
    }
}

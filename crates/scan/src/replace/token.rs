//! Tokens: the original, sealed with ChaCha20-Poly1305, in a form that survives in text.
//!
//! The nonce is a keyed digest of kind and value, so one value has one token under one key and two values never share
//! a nonce (but by a collision of 96 bits). The kind is authenticated with the value.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, NONCE_LEN, Nonce};

use super::Key;

const START: &[u8] = b"[sealed:";
/// Finds are bounded by their detectors; what is longer was not made here.
const TOKEN_BYTES_MAX: usize = 1 << 16;

/// `[sealed:kind:…]`; a label where the value can't be sealed, so that nothing of it is ever shown.
pub(super) fn seal(key: &Key, kind: &str, original: &[u8]) -> Vec<u8> {
    sealed(key, kind, original)
        .filter(|token| token.len() <= TOKEN_BYTES_MAX)
        .unwrap_or_else(|| format!("[redacted:{kind}]").into_bytes())
}

fn sealed(key: &Key, kind: &str, original: &[u8]) -> Option<Vec<u8>> {
    let digest = key.digest(&[b"nonce", kind.as_bytes(), original]);
    let nonce = *digest.first_chunk::<NONCE_LEN>()?;
    let mut body = original.to_vec();
    let aad = Aad::from(kind.as_bytes());
    key.aead()?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body).ok()?;
    let mut sealed = nonce.to_vec();
    sealed.append(&mut body);
    Some(format!("[sealed:{kind}:{}]", URL_SAFE_NO_PAD.encode(sealed)).into_bytes())
}

/// The text with every token that this key made opened again. Others, and what was changed, stay as they are.
#[must_use]
pub fn restore(text: &[u8], key: &Key) -> Vec<u8> {
    let mut restored = Vec::with_capacity(text.len());
    let mut copied = 0;
    for start in memchr::memmem::find_iter(text, START) {
        if start < copied {
            continue;
        }
        if let Some((original, end)) = open_at(text, start, key) {
            restored.extend_from_slice(text.get(copied..start).unwrap_or_default());
            restored.extend_from_slice(&original);
            copied = end;
        }
    }
    restored.extend_from_slice(text.get(copied..).unwrap_or_default());
    restored
}

/// The original of the token that starts here, and where the token ends.
pub(super) fn open_at(text: &[u8], start: usize, key: &Key) -> Option<(Vec<u8>, usize)> {
    let rest = text.get(start..text.len().min(start + TOKEN_BYTES_MAX))?.strip_prefix(START)?;
    let length = rest.iter().position(|byte| !is_part(*byte)).filter(|end| rest.get(*end) == Some(&b']'))?;
    Some((open(key, rest.get(..length)?)?, start + START.len() + length + 1))
}

/// What `kind:…` was made of.
fn open(key: &Key, token: &[u8]) -> Option<Vec<u8>> {
    let colon = memchr::memchr(b':', token)?;
    let (kind, sealed) = (token.get(..colon)?, token.get(colon + 1..)?);
    let mut sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let nonce = *sealed.first_chunk::<NONCE_LEN>()?;
    let body = sealed.get_mut(NONCE_LEN..)?;
    let original = key.aead()?.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(kind), body).ok()?;
    Some(original.to_vec())
}

/// What a kind and base64 consist of.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':')
}

//! JSON Web Tokens, signed (three parts) and encrypted (five).

use super::judge::{PROVEN, WEAK};
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "jwt",
    &[Hint::Exact(&["eyJ"])],
    // `eyJ` is `{"` in base64: every header starts so. The signature may be missing (`alg: none`).
    Look::From(r"eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+){1,4}\.?", signed),
)];

/// The header is JSON that names an algorithm; what doesn't decode to that is only taken out of logs. A token without
/// claims or without a signature is the middle of something else, or an example.
fn signed(found: &Found<'_>) -> u8 {
    let mut parts = found.secret.split(|byte| *byte == b'.');
    let header = decode(parts.next().unwrap_or_default());
    let names = |name: &[u8]| header.windows(name.len()).any(|window| window == name);
    let is_header = header.starts_with(b"{\"") && (names(b"\"alg\"") || names(b"\"typ\"") || names(b"\"enc\""));
    let claims = parts.next().unwrap_or_default();
    let signature = parts.next().unwrap_or_default();
    if is_header && claims.len() >= 2 && signature.len() >= 16 { PROVEN } else { WEAK }
}

/// Decodes base64 for URLs, as much of it as is needed for a header.
fn decode(text: &[u8]) -> Vec<u8> {
    const HEADER_BYTES_MAX: usize = 2048;
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for byte in text.iter().take(HEADER_BYTES_MAX) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_tokens_and_leaves_plain_base64() {
        let check = |text: &str| check("jwt", text);
        check("x «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl» y");
        check("«eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.»");
        check("eyJhbGciOiJIUzI1NiJ9");
        check("eyJ.short");
    }
}

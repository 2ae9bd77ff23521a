//! PEM and OpenPGP private keys, over as many lines as they have, also JSON-escaped and cut off.

use super::judge::{SURE, WEAK};
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "private-key",
    &[Hint::Exact(&["-----BEGIN "])],
    // Header lines, then the base64 body. The body is described by its characters instead of "anything up to
    // the end line", so that a key without an end doesn't swallow what follows it.
    Look::From(
        concat!(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
            r"(?:(?:Proc-Type|DEK-Info|Version|Comment|Charset): [^\r\n\\]*|[A-Za-z0-9+/=\s\\])*",
            r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
        ),
        whole,
    ),
)];

/// A key has a body: the smallest ones are some forty bytes. The header alone is what programs that read keys are full of.
fn whole(found: &Found<'_>) -> u8 {
    const BODY_CHARACTERS_MIN: usize = 60;
    let body = found.secret.split(|byte| *byte == b'-').max_by_key(|part| part.len()).unwrap_or_default();
    let characters = body.iter().filter(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte)).count();
    if characters >= BODY_CHARACTERS_MIN && super::judge::distinct(body) >= 16 { SURE } else { WEAK }
}

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_private_keys_and_leaves_public_ones() {
        let check = |text: &str| check("private-key", text);
        check("x «-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/=\nAAAA\n-----END RSA PRIVATE KEY-----» y");
        check("«-----BEGIN PRIVATE KEY-----\\nMIIE\\nAA==\\n-----END PRIVATE KEY-----»");
        check(
            "«-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\nMII=\n-----END EC PRIVATE KEY-----»",
        );
        check("«-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n»");
        check(
            "«-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\nlQ==\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----»",
        );
        check("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----");
        check("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----");
        check("the PRIVATE KEY is in a safe");
    }
}

//! Keys of programs rather than of services: age, PuTTY, WireGuard, minisign, JWK, wallets.

use super::judge::{PROVEN, SURE, distinct, random_token, token};
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    secret(
        "age-key",
        &[Hint::Exact(&["AGE-SECRET-KEY-"])],
        Look::From(
            r"AGE-SECRET-KEY-(?:PQ-)?1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7Lqpzry9x8gf2tvdw0s3jn54khce6mua7l]{50,64}",
            age_key,
        ),
    ),
    secret(
        "age-key",
        &[Hint::Exact(&["AGE-PLUGIN-"])],
        Look::From(r"AGE-PLUGIN-[A-Z0-9-]{2,32}-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{20,200}", token),
    ),
    secret(
        "putty-key",
        &[Hint::Exact(&["Private-Lines: "])],
        Look::From(r"Private-Lines: \d{1,3}\s+([A-Za-z0-9+/=\s]{40,8000}?)(?:\r?\nPrivate-(?:MAC|Hash)|$)", any),
    ),
    secret(
        "wireguard-key",
        &[Hint::Exact(&["PrivateKey", "PresharedKey", "private-key", "private_key"])],
        Look::From(
            r"(?:PrivateKey|PresharedKey|private[-_]key)[ \t]*[=:][ \t]*[\x22']?([A-Za-z0-9+/]{43}=)(?:[^A-Za-z0-9+/=]|$)",
            varied,
        ),
    ),
    secret("minisign-key", &[Hint::Exact(&["RWRTY0Iy"])], Look::From(r"\bRWRTY0Iy[A-Za-z0-9+/]{100,220}={0,2}", any)),
    // The private exponent or scalar of a JSON Web Key.
    secret(
        "jwk",
        &[Hint::Exact(&["\"kty\"", "\\\"kty\\\""])],
        Look::Around(400, r#"\{[^{}]{0,390}?"d"[ \t\r\n]{0,8}:[ \t\r\n]{0,8}"([A-Za-z0-9_-]{40,})"#, varied),
    ),
    secret(
        "jwk",
        &[Hint::Exact(&["\"kty\"", "\\\"kty\\\""])],
        Look::From(r#""kty"[^{}]{1,1000}?"d"[ \t\r\n]{0,8}:[ \t\r\n]{0,8}"([A-Za-z0-9_-]{40,})"#, varied),
    ),
    secret(
        "wallet-key",
        &[Hint::Opens(&["xprv9", "xprv7", "tprv8", "zprv", "yprv"])],
        Look::From(r"\b[xtyz]prv[1-9A-HJ-NP-Za-km-z]{100,112}\b", any),
    ),
    secret(
        "nostr-key",
        &[Hint::Opens(&["nsec1"])],
        Look::From(r"\bnsec1[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{58}\b", any),
    ),
    secret("stellar-key", &[Hint::Word { digits: 4, bytes: 40 }], Look::From(r"\bS[A-D][A-Z2-7]{54}\b", random_token)),
    secret(
        "password-hash",
        &[Hint::Exact(&["$6$", "$y$", "$2a$", "$2b$", "$2y$", "$argon2", "$apr1$", "$pbkdf2"])],
        Look::From(
            r"\$(?:6\$(?:rounds=\d+\$)?[A-Za-z0-9./]{1,16}\$[A-Za-z0-9./]{86}|y\$[A-Za-z0-9./]+\$[A-Za-z0-9./]{1,40}\$[A-Za-z0-9./]{43}|2[aby]\$\d\d\$[A-Za-z0-9./]{53}|argon2(?:id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]{20,}|apr1\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22})",
            hash,
        ),
    ),
];

fn any(_: &Found<'_>) -> u8 {
    SURE
}

fn varied(found: &Found<'_>) -> u8 {
    if distinct(found.secret) < 12 { 0 } else { SURE }
}

/// A hash can be guessed at: it is taken out of logs, but it isn't the password.
fn hash(_: &Found<'_>) -> u8 {
    super::judge::WEAK
}

/// Bech32 carries a checksum over its prefix and data.
fn age_key(found: &Found<'_>) -> u8 {
    if bech32_agrees(found.secret) { PROVEN } else { token(found) }
}

/// The checksum of BIP 173.
fn bech32_agrees(text: &[u8]) -> bool {
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const STEPS: [u32; 5] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3];
    let Some(at) = text.iter().rposition(|byte| *byte == b'1') else { return false };
    let (prefix, data) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
    let step = |sum: u32, value: u32| {
        let top = sum >> 25;
        STEPS.iter().enumerate().fold((sum & 0x01FF_FFFF) << 5 ^ value, |sum, (bit, term)| {
            if top >> bit & 1 == 1 { sum ^ term } else { sum }
        })
    };
    let lower = || prefix.iter().map(|byte| u32::from(byte.to_ascii_lowercase()));
    let mut sum = lower().map(|byte| byte >> 5).fold(1, step);
    sum = step(sum, 0);
    sum = lower().map(|byte| byte & 31).fold(sum, step);
    for byte in data {
        let Some(value) = LETTERS.iter().position(|letter| *letter == byte.to_ascii_lowercase()) else { return false };
        sum = step(sum, u32::try_from(value).unwrap_or_default());
    }
    sum == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bech32_checksums_are_verified() {
        // From BIP 173.
        assert!(bech32_agrees(b"A12UEL5L"));
        assert!(bech32_agrees(b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"));
        assert!(!bech32_agrees(b"A12UEL5Q"));
    }
}

//! Tells a token from what only has its form: placeholders, words, and checksums that don't add up.

use super::words::wordliness;
use crate::detector::Found;
use crate::sighting::REPORT_SCORE;

/// A checksum agreed: no accident.
pub(super) const PROVEN: u8 = 100;
/// A form that nothing else has.
pub(super) const SURE: u8 = 90;
/// A form that other things could have, with contents that look random.
pub(super) const LIKELY: u8 = 70;
/// Worth taking out of a log, not worth a person's time.
pub(super) const WEAK: u8 = 20;
const _: () = assert!(WEAK < REPORT_SCORE && REPORT_SCORE <= LIKELY);

/// For tokens with a prefix of their own: certain, unless it is a placeholder such as `ghp_xxxx…`.
pub(super) fn token(found: &Found<'_>) -> u8 {
    if is_placeholder(found.secret) { WEAK } else { SURE }
}

/// For short prefixes, which could also begin a name: the rest must look random.
pub(super) fn random_token(found: &Found<'_>) -> u8 {
    if is_placeholder(found.secret) || !looks_random(found.secret) { 0 } else { LIKELY }
}

/// For forms in which a word of any other meaning can stand, such as 32 hex digits: as [`random_token`], and the
/// letters must not be all the same kind of run.
pub(super) fn hex_token(found: &Found<'_>) -> u8 {
    if distinct(found.secret) < 9 { 0 } else { LIKELY }
}

/// Tokens whose last six characters are the CRC-32 of what stands between prefix and checksum, in base 62.
pub(super) fn with_crc32(found: &Found<'_>) -> u8 {
    // The prefix ends with the last underscore of the first twelve bytes; the random part has none.
    let Some(prefix) = found.secret.iter().take(12).rposition(|byte| *byte == b'_') else { return token(found) };
    let body = found.secret.get(prefix + 1..).unwrap_or_default();
    let Some((random, checksum)) = body.len().checked_sub(6).and_then(|at| body.split_at_checked(at)) else {
        return token(found);
    };
    if base62(crc32(random)) == checksum { PROVEN } else { token(found) }
}

/// The CRC-32 of ISO 3309, as in zip files, bit by bit: it is only computed over what has a token's form.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

/// Six digits to the base 62: `0` to `9`, `A` to `Z`, `a` to `z`.
fn base62(mut number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        let value = u8::try_from(number % 62).unwrap_or_default();
        *digit = match value {
            0..=9 => b'0' + value,
            10..=35 => b'A' + value - 10,
            _ => b'a' + value - 36,
        };
        number /= 62;
    }
    digits
}

/// How many different bytes there are.
pub(super) fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [0_u64; 4];
    for byte in bytes {
        if let Some(word) = seen.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }
    seen.iter().map(|word| word.count_ones() as usize).sum()
}

/// Text that stands where a token would: one letter many times, or words that ask for the real one.
pub(super) fn is_placeholder(secret: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"xxxxx",
        b"aaaaaaaa",
        b"00000000",
        b"11111111",
        b"*****",
        b"your",
        b"placeholder",
        b"changeme",
        b"change_me",
        b"redacted",
        b"insert",
        b"replace",
        b"dummy",
        b"sample",
        b"fake",
        b"....",
        b"_here",
        b"-here",
        b"<",
    ];
    // Without the prefix, which has letters of its own.
    let tail = secret.get(secret.len() / 3..).unwrap_or_default();
    distinct(tail) < 4 || WORDS.iter().any(|word| contains_any_case(secret, word))
}

pub(super) fn contains_any_case(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// Whether letters and digits follow each other by chance, instead of as words with numbers after them.
pub(super) fn looks_random(secret: &[u8]) -> bool {
    // The last part of a token is its random one; what stands before says whose it is.
    let tail = secret.rsplit(|byte| b"_-:.".contains(byte)).next().unwrap_or_default();
    let secret = if tail.len() >= 16 { tail } else { secret };
    let digits = secret.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = secret.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    if secret.iter().all(u8::is_ascii_hexdigit) {
        return digits >= 2 && letters >= 2 && distinct(secret) >= secret.len().min(20) * 2 / 5;
    }
    let (upper, lower) = (secret.iter().any(u8::is_ascii_uppercase), secret.iter().any(u8::is_ascii_lowercase));
    if digits == 0 {
        // One in thirty tokens of twenty letters has no digit; it has letters of both cases then, and no words.
        return secret.len() >= 16 && upper && lower && wordliness(secret) < -8;
    }
    letters >= 2 && distinct(secret) * 3 >= secret.len().min(36) && wordliness(secret) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_agrees_with_its_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn words_are_not_random() {
        for text in ["aB3dE5fG7hJ9kL2m", "x8Yq2mPz7Lw4Tn6R"] {
            assert!(looks_random(text.as_bytes()), "{text}");
        }
        for text in ["download_version_2026", "AbstractFactory12", "aaaaaaaaaaaa1111"] {
            assert!(!looks_random(text.as_bytes()), "{text}");
        }
    }
}

//! Another value of the same form.
//!
//! Digits become digits, letters become letters of the same case, and all else stays. Where the kind has a check, other
//! values are tried until one passes, which for a check digit is one in ten, and for the rarest form (a Chinese
//! resident number, with a date in it) one in fifteen thousand.

use super::Key;
use crate::personal;

/// Tries until a value is given up that passes no check, as the original may not have, either.
const TRIES_MAX: u32 = 1 << 17;

/// A value with the shape of `original`, always the same one under one key.
pub(super) fn shape(key: &Key, kind: &str, original: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(original);
    let kept = kept(kind, &text);
    let is_checked = personal::is_valid(kind, original) == Some(true);
    let seed = key.digest(&[b"shape", kind.as_bytes(), original]);
    let mut other = Vec::new();
    for attempt in 0..TRIES_MAX {
        other = draw(&mut Stream::new(seed, attempt), &text, kept);
        if other != original && (!is_checked || personal::is_valid(kind, &other) == Some(true)) {
            return other;
        }
    }
    if other == original { vec![b'*'; text.chars().count()] } else { other }
}

/// How many characters at the start stay: they say which country or network, not who.
fn kept(kind: &str, text: &str) -> usize {
    match kind {
        "iban" => 2,
        "payment-card" | "sg-nric" => 1,
        "ch-ahv" => 3,
        "crypto-address" => text.find('1').filter(|mark| *mark > 0).map_or(2, |mark| mark + 1).min(4),
        "phone" if text.starts_with(['+', '0']) => 2,
        // The scheme tells that this is an address.
        "url" => text.find("://").map_or(0, |colon| text.get(..colon + 3).map_or(0, |start| start.chars().count())),
        _ => 0,
    }
}

fn draw(stream: &mut Stream, text: &str, kept: usize) -> Vec<u8> {
    let mut other = Vec::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        let byte = match character {
            _ if index < kept => None,
            '0'..='9' => Some(b'0' + stream.below(10)),
            _ if character.is_uppercase() => Some(b'A' + stream.below(26)),
            _ if character.is_alphabetic() => Some(b'a' + stream.below(26)),
            _ => None,
        };
        match byte {
            Some(byte) => other.push(byte),
            None => other.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    other
}

/// Numbers out of a seed (SplitMix64, whose state starts at a keyed digest: who can't make the digest can't tell them).
struct Stream {
    state: u64,
}

impl Stream {
    fn new(seed: [u8; 32], attempt: u32) -> Self {
        let words = seed.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let state = words.fold(0_u64, |state, word| state.rotate_left(21) ^ word);
        Self { state: state.wrapping_add(u64::from(attempt).wrapping_mul(0x9FB2_1C65_1E98_DF25)) }
    }

    /// A number from 0 up to `bound`; the bias for bounds this small is below one in 2^56.
    fn below(&mut self, bound: u8) -> u8 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * u128::from(bound)) >> 64) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, original: &str) {
        let other = String::from_utf8(shape(&Key::new([3; 32]), kind, original.as_bytes())).unwrap();
        let form = |text: &str| {
            text.chars()
                .map(|character| {
                    if character.is_ascii_digit() {
                        '0'
                    } else if character.is_alphabetic() {
                        'a'
                    } else {
                        character
                    }
                })
                .collect::<String>()
        };
        assert_ne!(other, original);
        assert_eq!(form(&other), form(original), "{other}");
        assert_eq!(
            personal::is_valid(kind, other.as_bytes()),
            personal::is_valid(kind, original.as_bytes()),
            "{other}"
        );
    }

    #[test]
    fn keeps_the_form_and_the_check() {
        check("payment-card", "4111-1111-1111-1111");
        check("iban", "DE89 3704 0044 0532 0130 00");
        check("us-ssn", "536-90-4399");
        check("br-cnpj", "11.222.333/0001-81");
        check("be-national-number", "85.07.30-033.28");
        check("ch-ahv", "756.9217.0769.85");
        check("cn-resident-id", "110105194912310021");
        check("es-nif", "12345678Z");
        check("it-fiscal-code", "RSSMRA85T10A562S");
        check("fi-hetu", "131052-308T");
        check("phone", "+46 (0)8 928 571 38");
        check("email", "jane.doe@example.org");
        check("person", "Jürgen Müller");
        check("ip-address", "41.173.96.26");
    }
}

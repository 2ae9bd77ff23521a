//! Addresses of wallets: Bitcoin with its checksums, Ethereum by its form.

use sha2::{Digest, Sha256};

use super::bytes::{before, part};
use super::{Found, Kind};

/// The address that this word is.
pub(super) fn find(text: &[u8], start: usize, end: usize) -> Option<Found> {
    let word = part(text, start..end);
    if matches!(before(text, start), b'/' | b'=' | b'-' | b'_' | b'+' | b'.') && word.first() != Some(&b'b') {
        return None;
    }
    let is_address = match word {
        [b'0', b'x', hex @ ..] if hex.len() == 40 => is_account(hex),
        [b'1' | b'3', ..] if (26..=35).contains(&word.len()) => base58(word),
        [b'b' | b'B', b'c' | b'C', b'1', ..] | [b'l', b't', b'c', b'1', ..] if (14..=74).contains(&word.len()) => {
            bech32(word)
        }
        _ => false,
    };
    is_address.then_some(Found { kind: Kind::CryptoAddress, score: 85, span: start..end })
}

/// Twenty bytes in hexadecimal that are not a pattern that somebody typed.
fn is_account(hex: &[u8]) -> bool {
    let mut seen = [false; 16];
    for byte in hex {
        let Some(place) = char::from(*byte).to_digit(16).and_then(|digit| seen.get_mut(digit as usize)) else {
            return false;
        };
        *place = true;
    }
    seen.iter().filter(|is_seen| **is_seen).count() >= 10
}

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A version byte, twenty bytes, and the start of their double SHA-256.
fn base58(word: &[u8]) -> bool {
    let mut bytes = [0_u8; 25];
    for sign in word {
        let Some(value) = BASE58.iter().position(|known| known == sign) else { return false };
        let mut carry = u32::try_from(value).unwrap_or(0);
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return false;
        }
    }
    let (body, check) = bytes.split_at(21);
    let digest = Sha256::digest(Sha256::digest(body));
    matches!(body.first(), Some(0 | 5)) && digest.as_slice().starts_with(check)
}

/// BIP 173 and BIP 350.
fn bech32(word: &[u8]) -> bool {
    const SIGNS: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let lower = word.to_ascii_lowercase();
    if lower != word && word.to_ascii_uppercase() != word {
        return false;
    }
    let Some(mark) = lower.iter().rposition(|byte| *byte == b'1') else { return false };
    let mut check = 1_u32;
    let mut add = |value: u32| {
        let top = check >> 25;
        check = ((check & 0x01ff_ffff) << 5) ^ value;
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if top >> bit & 1 == 1 {
                check ^= generator;
            }
        }
    };
    let name = part(&lower, 0..mark);
    name.iter().for_each(|byte| add(u32::from(byte >> 5)));
    add(0);
    name.iter().for_each(|byte| add(u32::from(byte & 31)));
    for byte in part(&lower, mark + 1..lower.len()) {
        let Some(value) = SIGNS.iter().position(|sign| sign == byte) else { return false };
        add(u32::try_from(value).unwrap_or(0));
    }
    matches!(check, 1 | 0x2bc8_30a3)
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check;

    #[test]
    fn finds_addresses_with_a_right_checksum() {
        check("to «crypto-address:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa»");
        check("to «crypto-address:3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy»");
        check("to «crypto-address:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4»");
        check("to «crypto-address:0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe»");
    }

    #[test]
    fn leaves_others() {
        check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb");
        check("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5");
        check("0x0000000000000000000000000000000000000001");
        check("0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BA");
    }
}

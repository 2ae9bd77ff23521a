//! Text from the outside world that may not be text.

/// Bytes 0x80–0xFF that belong to no character are kept as characters from here on, the end of the last private
/// use plane, where nobody writes.
const RAW_BYTE: u32 = 0x0010_FF00;

/// The bytes as text, so that different bytes give different texts: what approvals and rules are held against
/// must be exact even where a file name or an argument isn't UTF-8.
#[must_use]
pub fn exact(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if u32::from(character) >= RAW_BYTE {
                // It would read like a raw byte, so it is written as the bytes it is made of.
                character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push_raw(&mut text, byte));
            } else {
                text.push(character);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_raw(&mut text, *byte));
    }
    text
}

fn push_raw(text: &mut String, byte: u8) {
    text.extend(char::from_u32(RAW_BYTE + u32::from(byte)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_stays_and_other_bytes_stay_apart() {
        assert_eq!(exact("plain — text".as_bytes()), "plain — text");
        assert_ne!(exact(b"a\xffb"), exact(b"a\xfeb"));
        assert_ne!(exact(b"\xff"), exact("\u{10ffff}".as_bytes()));
        assert_ne!(exact(b"\xff"), exact("\u{fffd}".as_bytes()));
    }

    proptest! {
        #[test]
        fn different_bytes_give_different_texts(one: Vec<u8>, two: Vec<u8>) {
            prop_assert_eq!(one == two, exact(&one) == exact(&two));
        }
    }
}

//! The forms a value takes on its way through other programs.

use std::ops::Range;

use bartizan_crypto::{Locked, LockedError};
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::KNOWN_BYTES_MIN;

/// The forms of a value in one piece of locked memory, and where each stands in it.
pub(super) fn of(value: &[u8]) -> Result<(Locked, Vec<Range<usize>>), LockedError> {
    let mut forms: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    let mut add = |form: Vec<u8>| {
        let form = Zeroizing::new(form);
        // What is left of an encoding at its edges may be short; the rest of it is looked for in its other places.
        if form.len() >= KNOWN_BYTES_MIN && !forms.contains(&form) {
            forms.push(form);
        }
    };
    add(value.to_vec());
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for offset in 0..3 {
            add(base64(value, engine, offset));
        }
    }
    add(hex(value, b"0123456789abcdef"));
    add(hex(value, b"0123456789ABCDEF"));
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        add(percent(value, digits, |_| false));
        add(percent(value, digits, is_unreserved));
        // What `encodeURI` and form encoders leave as it is.
        add(percent(value, digits, |byte| is_unreserved(byte) || b";,/?:@&=+$!*'()#".contains(&byte)));
        add(percent(value, digits, |byte| is_unreserved(byte) || b"!*'()/:@".contains(&byte)));
    }
    // Form encoders write a space as a plus; browsers' own leave other signs alone than the rest.
    for plain in [b"-._~".as_slice(), b"*-._", b"-._"] {
        let form = percent(value, b"0123456789ABCDEF", |byte| byte.is_ascii_alphanumeric() || plain.contains(&byte));
        add(replaced(&form, b"%20", b"+"));
    }
    add(json(value, |_| None));
    add(json(value, |byte| (byte == b'/').then(|| b"\\/".to_vec())));
    // Go's encoder and others hide what browsers might take for markup.
    add(json(value, |byte| b"<>&'".contains(&byte).then(|| unicode(byte))));
    add(json(value, |byte| b"<>&'\"".contains(&byte).then(|| unicode(byte))));
    add(json(value, |byte| {
        b"<>&'/".contains(&byte).then(|| if byte == b'/' { b"\\/".to_vec() } else { unicode(byte) })
    }));
    // What was put into JSON and then into JSON again, as logs do.
    let once = Zeroizing::new(json(value, |_| None));
    add(json(&once, |_| None));
    let length = forms.iter().map(|form| form.len()).sum();
    let mut whole = Zeroizing::new(Vec::with_capacity(length));
    let mut spans = Vec::with_capacity(forms.len());
    for form in &forms {
        spans.push(whole.len()..whole.len() + form.len());
        whole.extend_from_slice(form);
    }
    Ok((Locked::copy(&whole)?, spans))
}

/// The letters that stand for this value alone when so many bytes come before it in a group of three.
fn base64(value: &[u8], engine: &impl base64::Engine, offset: usize) -> Vec<u8> {
    let mut shifted = Zeroizing::new(vec![0; offset]);
    shifted.extend_from_slice(value);
    let encoded = Zeroizing::new(engine.encode(&*shifted).into_bytes());
    // The first letters hold bits of what comes before, the last one bits of what comes after.
    let first = (offset * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    encoded.get(first..last).unwrap_or_default().to_vec()
}

fn hex(value: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let mut form = Vec::with_capacity(value.len() * 2);
    value.iter().for_each(|byte| push_hex(&mut form, *byte, digits));
    form
}

fn push_hex(form: &mut Vec<u8>, byte: u8, digits: &[u8; 16]) {
    for nibble in [byte >> 4, byte & 15] {
        form.extend(digits.get(usize::from(nibble)));
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn percent(value: &[u8], digits: &[u8; 16], plain: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut form = Vec::with_capacity(value.len() * 3);
    for byte in value {
        if plain(*byte) {
            form.push(*byte);
        } else {
            form.push(b'%');
            push_hex(&mut form, *byte, digits);
        }
    }
    form
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut form = Vec::with_capacity(text.len());
    let mut copied = 0;
    for at in memchr::memmem::find_iter(text, from) {
        form.extend_from_slice(text.get(copied..at).unwrap_or_default());
        form.extend_from_slice(to);
        copied = at + from.len();
    }
    form.extend_from_slice(text.get(copied..).unwrap_or_default());
    form
}

fn json(value: &[u8], other: impl Fn(u8) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut form = Vec::with_capacity(value.len() * 2);
    for byte in value {
        match (other(*byte), byte) {
            (Some(escape), _) => form.extend(escape),
            (None, b'"') => form.extend(b"\\\""),
            (None, b'\\') => form.extend(b"\\\\"),
            (None, b'\n') => form.extend(b"\\n"),
            (None, b'\r') => form.extend(b"\\r"),
            (None, b'\t') => form.extend(b"\\t"),
            (None, 0..=0x1f) => form.extend(unicode(*byte)),
            (None, byte) => form.push(*byte),
        }
    }
    form
}

fn unicode(byte: u8) -> Vec<u8> {
    format!("\\u{byte:04x}").into_bytes()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::super::Known;
    use super::*;

    fn assert_hidden(known: &Known, value: &[u8], text: &[u8]) {
        let found = known.find_all(text);
        assert_eq!(found.len(), 1, "{:?} in {:?}", String::from_utf8_lossy(value), String::from_utf8_lossy(text));
    }

    proptest! {
        #[test]
        fn every_form_is_found_wherever_it_stands(
            value in "[ -~]{8,40}",
            before in "[ -~]{0,7}",
            after in "[ -~]{0,7}",
        ) {
            let known = Known::default();
            known.add(value.as_bytes()).unwrap();
            let whole = format!("{before}\u{1}{value}\u{1}{after}");
            let value = value.as_bytes();
            assert_hidden(&known, value, whole.as_bytes());
            if value.len() >= 10 {
                assert_hidden(&known, value, STANDARD.encode(&whole).as_bytes());
                assert_hidden(&known, value, URL_SAFE.encode(&whole).as_bytes());
            }
            assert_hidden(&known, value, hex(whole.as_bytes(), b"0123456789abcdef").as_slice());
            let percent = percent(whole.as_bytes(), b"0123456789ABCDEF", is_unreserved);
            assert_hidden(&known, value, &percent);
            assert_hidden(&known, value, serde_json::to_string(&whole).unwrap().as_bytes());
        }
    }
}

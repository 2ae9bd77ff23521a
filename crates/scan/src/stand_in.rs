//! Placeholders of secrets: what a box holds in a secret's stead. They look like secrets on purpose and are none.

use std::ops::Range;

/// How every placeholder begins.
pub const PLACEHOLDER_PREFIX: &str = "bartizan-secret-";
/// Random hexadecimal digits at the end of each.
pub const PLACEHOLDER_DIGITS: usize = 32;

/// Longest placeholder: a name of 64 letters between prefix and digits.
const BYTES_MAX: usize = 160;
/// What may stand before it and be found with it, such as `Bearer `.
const BEFORE_BYTES_MAX: usize = 16;

/// Whether what was found is a placeholder, or part of one.
pub(crate) fn is_placeholder(text: &[u8], span: &Range<usize>) -> bool {
    let letter = |byte: &&u8| matches!(**byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let before = text.get(..span.end).unwrap_or_default().iter().rev().take(BYTES_MAX).take_while(letter).count();
    let after = text.get(span.end..).unwrap_or_default().iter().take(BYTES_MAX).take_while(letter).count();
    let start = span.end - before;
    let word = text.get(start..span.end + after).unwrap_or_default();
    let Some(rest) = word.strip_prefix(PLACEHOLDER_PREFIX.as_bytes()) else { return false };
    let Some((name, digits)) = rest.split_at_checked(rest.len().saturating_sub(PLACEHOLDER_DIGITS)) else {
        return false;
    };
    start <= span.start.saturating_add(BEFORE_BYTES_MAX)
        && name.len() > 1
        && name.ends_with(b"-")
        && digits.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use crate::{Redactor, Scanner};

    #[test]
    fn placeholders_are_no_secrets() {
        let placeholder = format!("bartizan-secret-key-{}", "0123456789abcdef".repeat(2));
        for text in [
            placeholder.clone(),
            format!("Authorization: Bearer {placeholder}"),
            format!("https://me:{placeholder}@api.test/?key={placeholder}&a=b"),
            format!("API_TOKEN={placeholder}"),
            format!("{{\"password\": \"{placeholder}\"}}"),
        ] {
            assert_eq!(Redactor::standard().redact(&text), text);
            assert!(Scanner::standard().scan(text.as_bytes()).is_empty(), "{text}");
        }
    }

    #[test]
    fn secrets_beside_and_like_placeholders_are_found() {
        let digits = "0123456789abcdef".repeat(2);
        for text in [
            format!("Authorization: Bearer bartizan-{digits}"),
            format!("API_TOKEN=bartizan-secret-{digits}x"),
            format!("Authorization: Bearer ghp_16C7e42F292c6912E7710c838347Ae178B4a bartizan-secret-a-{digits}"),
        ] {
            assert_ne!(Redactor::standard().redact(&text), text);
        }
    }
}

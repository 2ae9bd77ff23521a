//! crates.io: API tokens.

use crate::detector::{Detector, Hint, Look, has_digit_and_letter, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "crates-io-token",
    &[Hint::Opens(&["cio"])],
    Look::From(r"\b(cio[A-Za-z0-9]{32})\b", |found| {
        if found.secret.iter().any(u8::is_ascii_uppercase) { has_digit_and_letter(found) } else { 0 }
    }),
)];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_tokens_and_leaves_words() {
        let check = |text: &str| check("crates-io-token", text);
        check(&format!("cargo login «cio{}»", "a1B2".repeat(8)));
        check(&format!("cio{}", "abcd".repeat(8)));
        check("precio, social, delicious");
    }
}

//! crates.io: API tokens.

use super::{Rule, has_digit_and_letter};

pub(super) const RULES: &[Rule] = &[Rule {
    kind: "crates-io-token",
    needs: b"",
    hints: &["cio"],
    pattern: r"\b(cio[A-Za-z0-9]{32})\b",
    accepts: |found| has_digit_and_letter(found) && found.secret.iter().any(u8::is_ascii_uppercase),
}];

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

//! Google: API keys, OAuth access tokens and client secrets.

use super::{Rule, always, has_digit_and_letter};

pub(super) const RULES: &[Rule] = &[
    Rule { kind: "google-api-key", needs: b"", hints: &["AIza"], pattern: r"AIza[A-Za-z0-9_-]{35}", accepts: always },
    Rule {
        kind: "google-oauth",
        needs: b"",
        hints: &["ya29.", "GOCSPX-"],
        pattern: r"ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}",
        accepts: has_digit_and_letter,
    },
];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_api_keys() {
        let check = |text: &str| check("google-api-key", text);
        check(&format!("?x=«AIza{}»", "Sy0_-".repeat(7)));
        check("AIzawa is a person");
    }

    #[test]
    fn finds_oauth() {
        let check = |text: &str| check("google-oauth", text);
        check(&format!("«ya29.{}»", "a0Af_".repeat(6)));
        check(&format!("«GOCSPX-{}»", "a0Af".repeat(7)));
        check("ya29.txt");
    }
}

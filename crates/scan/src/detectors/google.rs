//! Google: API keys, OAuth access tokens and client secrets.

use super::judge::{random_token, token};
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    secret("google-api-key", &[Hint::Exact(&["AIza"])], Look::From(r"AIza[A-Za-z0-9_-]{35}", token)),
    secret("google-api-key", &[Hint::Exact(&["AQ.Ab8R"])], Look::From(r"\bAQ\.Ab8R[A-Za-z0-9_-]{30,60}", token)),
    secret("google-oauth", &[Hint::Exact(&["1//0", "1/0"])], Look::From(r"\b1//?0[A-Za-z0-9_-]{40,120}", random_token)),
    secret(
        "google-oauth",
        &[Hint::Exact(&["ya29.", "GOCSPX-"])],
        Look::From(r"ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}", token),
    ),
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

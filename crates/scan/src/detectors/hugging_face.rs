//! Hugging Face: user and organisation tokens.

use super::judge::token;
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "hugging-face-token",
    &[Hint::Opens(&["hf_", "api_org_"])],
    Look::From(r"\b((?:hf|api_org)_[A-Za-z0-9]{30,})\b", token),
)];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_tokens() {
        let check = |text: &str| check("hugging-face-token", text);
        check(&format!("«hf_{}»", "aBcDe".repeat(7)));
        check(&format!("«api_org_{}»", "aBcDe".repeat(7)));
        check("hf_hub_download(repo), half_life");
    }
}

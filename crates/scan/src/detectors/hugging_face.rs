//! Hugging Face: user and organisation tokens.

use super::{Rule, always};

pub(super) const RULES: &[Rule] = &[Rule {
    kind: "hugging-face-token",
    needs: b"",
    hints: &["hf_", "api_org_"],
    pattern: r"\b((?:hf|api_org)_[A-Za-z0-9]{30,})\b",
    accepts: always,
}];

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

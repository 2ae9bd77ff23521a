//! GitHub: classic, OAuth, app, refresh and fine-grained tokens.

use super::judge::with_crc32;
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "github-token",
    &[Hint::Exact(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"])],
    Look::From(r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}", with_crc32),
)];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_every_prefix() {
        let check = |text: &str| check("github-token", text);
        for prefix in ["ghp", "gho", "ghu", "ghs", "ghr"] {
            check(&format!("git clone «{prefix}_{}» x", "a1B2".repeat(9)));
        }
        check(&format!("url%3D«github_pat_{}_{}»", "A1".repeat(11), "b2".repeat(29)));
        check("ghp_short and GHP_NOT_A_TOKEN");
        check("github_path = github_pat");
    }
}

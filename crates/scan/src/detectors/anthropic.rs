//! Anthropic: API, admin and OAuth keys.

use super::judge::token;
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] =
    &[secret("anthropic-key", &[Hint::Exact(&["sk-ant-"])], Look::From(r"sk-ant-[A-Za-z0-9_-]{20,}", token))];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_keys() {
        let check = |text: &str| check("anthropic-key", text);
        check(&format!("«sk-ant-api03-{}AA»", "aB3_-".repeat(18)));
        check(&format!("x-api-key: «sk-ant-oat01-{}»", "aB3_-".repeat(18)));
        check("disk-ant-hill, sk-ant-short");
    }
}

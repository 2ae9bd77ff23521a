//! Anthropic: API, admin and OAuth keys.

use super::{Rule, always};

pub(super) const RULES: &[Rule] = &[Rule {
    kind: "anthropic-key",
    needs: b"",
    hints: &["sk-ant-"],
    pattern: r"sk-ant-[A-Za-z0-9_-]{20,}",
    accepts: always,
}];

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

//! PyPI and TestPyPI: upload tokens, which are macaroons behind a fixed prefix.

use super::{Rule, always};

pub(super) const RULES: &[Rule] = &[Rule {
    kind: "pypi-token",
    needs: b"",
    hints: &["pypi-AgE"],
    pattern: r"pypi-AgE[A-Za-z0-9_-]{50,}",
    accepts: always,
}];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_tokens() {
        let check = |text: &str| check("pypi-token", text);
        check(&format!("twine «pypi-AgEIcHlwaS5vcmc{}»", "aB3_-".repeat(12)));
        check("pypi-age-of-packages, pypi-AgE");
    }
}

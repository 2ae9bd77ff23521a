//! PyPI and TestPyPI: upload tokens, which are macaroons behind a fixed prefix.

use crate::detector::{Detector, Hint, Look, always, secret};

pub(super) const RULES: &[Detector] =
    &[secret("pypi-token", &[Hint::Exact(&["pypi-AgE"])], Look::From(r"pypi-AgE[A-Za-z0-9_-]{50,}", always))];

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

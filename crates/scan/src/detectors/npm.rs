//! npm: access tokens.

use super::judge::with_crc32;
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] =
    &[secret("npm-token", &[Hint::Exact(&["npm_"])], Look::From(r"npm_[A-Za-z0-9]{36}", with_crc32))];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_tokens_and_leaves_settings() {
        let check = |text: &str| check("npm-token", text);
        check(&format!("//registry.npmjs.org/:_authToken=«npm_{}»", "a1B2".repeat(9)));
        check("npm_config_registry and npm_package_dependencies_something_longer");
    }
}

//! Query parameters whose names say that they carry a secret.

use super::{Rule, always};

pub(super) const RULES: &[Rule] = &[Rule {
    kind: "query-secret",
    needs: b"",
    hints: &[
        "password=",
        "passwd=",
        "pwd=",
        "secret=",
        "token=",
        "key=",
        "sig=",
        "signature=",
        "auth=",
        "jwt=",
        "credential=",
    ],
    pattern: concat!(
        r"(?i)[?&](?:",
        r"[a-z0-9_.\[\]-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|signature|credential)",
        r"|(?:[a-z0-9_.\[\]-]*[_.-])?(?:key|sig|auth|jwt))",
        r#"[\])]?=([^&\#\s"'<>\\`]+)"#,
    ),
    accepts: always,
}];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_parameters_and_leaves_their_neighbours() {
        let check = |text: &str| check("query-secret", text);
        check("https://x/?a=1&access_token=«abc»&b=2");
        check("https://x/?key=«abc»#top");
        check("https://s3/x?X-Amz-Signature=«0a1b»&X-Amz-Date=2020");
        check("https://x/?monkey=abc&tokens=5&keys=1");
        check("https://x/?q=token");
    }
}

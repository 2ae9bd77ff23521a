//! Cookie headers: a session cookie is as good as a password.

use super::{Rule, always};

pub(super) const RULES: &[Rule] = &[Rule {
    kind: "cookie",
    needs: b"",
    hints: &["cookie"],
    pattern: r#"(?i)\b(?:set-)?cookie(?:\\*["'])?[ \t]*:[ \t]*(?:\\*["'])?([^\s"'\\=;]+=[^\r\n"'\\]+)"#,
    accepts: always,
}];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_cookie_headers() {
        let check = |text: &str| check("cookie", text);
        check("Cookie: «session=abc; theme=dark»\r\nHost: x");
        check(r#""set-cookie": "«id=1; HttpOnly»""#);
        check("cookie: none");
        check("a cookie = a biscuit");
    }
}

//! Cookie headers: a session cookie is as good as a password.

use crate::detector::{Detector, Hint, Look, always, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "cookie",
    &[Hint::AnyCase(&["cookie"])],
    Look::From(r#"(?i)\b(?:set-)?cookie(?:\\*["'])?[ \t]*:[ \t]*(?:\\*["'])?([^\s"'\\=;]+=[^\r\n"'\\]+)"#, always),
)];

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

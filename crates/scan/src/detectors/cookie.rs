//! Cookie headers: a session cookie is as good as a password.

use super::judge::{LIKELY, WEAK, is_placeholder, looks_random};
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "cookie",
    &[Hint::AnyCase(&["cookie"])],
    Look::From(r#"(?i)\b(?:set-)?cookie(?:\\*["'])?[ \t]*:[ \t]*(?:\\*["'])?([^\s"'\\=;]+=[^\r\n"'\\]+)"#, worth),
)];

/// A session has a long random value; `theme=dark` is nobody's secret.
fn worth(found: &Found<'_>) -> u8 {
    let values = found.secret.split(|byte| b"=; ,".contains(byte));
    let is_session = |value: &[u8]| value.len() >= 16 && looks_random(value) && !is_placeholder(value);
    if values.take(64).any(is_session) { LIKELY } else { WEAK }
}

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

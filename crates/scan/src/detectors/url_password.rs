//! The password in a URL's user information, as in `https://user:password@host`.

use crate::detector::{Detector, Hint, Look, always, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "url-password",
    &[Hint::Exact(&["://"])], //"],
    Look::From(r#"://[^\s/?\#@:"'<>\\]*:([^\s/?\#"'<>\\]+)@"#, always),
)];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_the_password_and_leaves_the_user() {
        let check = |text: &str| check("url-password", text);
        check("https://me:«hunter2»@example.com/x");
        check("postgres://:«p@ss:word»@db:5432/x");
        check("https://example.com:8080/a@b");
        check("https://me@example.com/?q=a:b@c");
        check("ssh://git@example.com:22/x");
    }
}

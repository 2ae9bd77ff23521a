//! The password in a URL's user information, as in `https://user:password@host`.

use super::judge::{LIKELY, WEAK, is_placeholder};
use super::words::wordliness;
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[secret(
    "url-password",
    &[Hint::Exact(&["://"])], //"],
    Look::From(r#"://[^\s/?\#@:"'<>\\]*:([^\s/?\#"'<>\\]+)@"#, worth),
)];

/// Documentation is full of `user:password@example.com`. A person should look at what no one would write as an example.
fn worth(found: &Found<'_>) -> u8 {
    let password = found.secret;
    let mixed = password.iter().any(u8::is_ascii_digit) && password.iter().any(u8::is_ascii_alphabetic);
    let host = found.line_after(64);
    let is_example =
        [&b"example."[..], b"localhost", b"127.0.0.1", b"host", b"test."].iter().any(|name| host.starts_with(name));
    let is_chance = wordliness(password) < if is_example { -4 } else { 2 };
    if password.len() >= 8 && mixed && is_chance && !is_placeholder(password) && !password.contains(&b'$') {
        LIKELY
    } else {
        WEAK
    }
}

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

//! Credentials in `Authorization` headers, and after the scheme's name alone.

use crate::detector::{Detector, Found, Hint, Look, always, secret};

pub(super) const RULES: &[Detector] = &[
    secret(
        "authorization",
        &[Hint::AnyCase(&["authorization"])],
        Look::From(
            concat!(
                r#"(?i)authorization(?:\\*["'])?[ \t]*[:=,][ \t]*(?:\\*["'])?"#,
                r#"(?:(?:basic|bearer|token|negotiate|apikey|dpop)[ \t]+([^\s"'\\,;]+)"#,
                // Schemes with a list of parameters: all of them, to the end of the value.
                r#"|(?:digest|hawk|oauth|aws4-hmac-sha256)[ \t]+([^\r\n]+))"#,
            ),
            always,
        ),
    ),
    secret(
        "authorization",
        &[Hint::AnyCase(&["bearer", "basic"])],
        Look::From(r"(?i)\b(?:bearer|basic)(?:[ \t]|%20|\+)+([a-z0-9._~+/=-]{12,})", looks_encoded),
    ),
];

/// Sentences go on after `basic` and `bearer`; what goes on with a digit or padding is a credential.
fn looks_encoded(found: &Found<'_>) -> u8 {
    if found.secret.iter().any(u8::is_ascii_digit) || found.secret.ends_with(b"=") { 60 } else { 0 }
}

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_header_credentials() {
        let check = |text: &str| check("authorization", text);
        check("Authorization: Bearer «abc»");
        check("proxy-authorization: basic «dXNlcjpwYXNz»\r\nHost: x");
        check(r#"{"Authorization": "token «abcdef»"}"#);
        check(r#"{\"authorization\":\"Bearer «abcdef»\"}"#);
        check("Authorization: Digest «username=\"me\", response=\"6629\"»\r\nHost: x");
        check("curl -H 'Authorization: Bearer «abc»' https://x");
        check("Authorization: required");
        check("the Authorization header");
    }

    #[test]
    fn finds_credentials_after_the_scheme() {
        let check = |text: &str| check("authorization", text);
        check("sent Bearer «abcdef0123456789»");
        check("sent basic «dXNlcjpwYXNzd29yZA==»");
        check("basic authentication-required, bearer authentication");
    }
}

//! Credentials in `Authorization` headers, and after the scheme's name alone.

use super::judge::{LIKELY, WEAK, is_placeholder, looks_random};
use super::words::wordliness;
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    secret(
        "authorization",
        &[Hint::AnyCase(&["authorization"])],
        Look::From(
            concat!(
                r#"(?i)authorization(?:\\*["'])?[ \t]*[:=,][ \t]*(?:\\*["'])?"#,
                r#"(?:(?:basic|bearer|[a-z]{0,12}[-_]?token|negotiate|[a-z]{0,12}[-_]?api[-_]?key|key|dpop|sso-key|genie[-_]?key|pve[a-z]+)[ \t]+([^\s"'\\,;]+)"#,
                // Schemes with a list of parameters: all of them, to the end of the value.
                r#"|(?:digest|hawk|oauth|aws4-hmac-sha256)[ \t]+([^\r\n]+))"#,
            ),
            worth,
        ),
    ),
    secret(
        "authorization",
        &[Hint::AnyCase(&["bearer", "basic"])],
        Look::From(r"(?i)\b(?:bearer|basic)(?:[ \t]|%20|\+)+([a-z0-9._~+/=-]{12,})", looks_encoded),
    ),
    secret(
        "authorization",
        &[Hint::Exact(&["curl "])],
        Look::From(r#"curl [^\n]{0,200}?(?:-u|--user)(?:[ \t]+|=)["']?[^\s:"']{0,64}:([^\s"']{6,128})"#, given_to_curl),
    ),
];

/// A real credential is long and random; examples are words.
fn worth(found: &Found<'_>) -> u8 {
    let secret = found.secret;
    let is_list = secret.contains(&b'"') || secret.contains(&b',');
    let looks = looks_random(secret) || (is_list && secret.iter().filter(|byte| byte.is_ascii_digit()).count() >= 8);
    if secret.len() >= 12 && looks && !is_placeholder(secret) && !secret.starts_with(b"$") { LIKELY } else { WEAK }
}

/// Sentences go on after `basic` and `bearer`; what goes on with a digit or padding is a credential.
fn looks_encoded(found: &Found<'_>) -> u8 {
    if found.secret.iter().any(u8::is_ascii_digit) || found.secret.ends_with(b"=") { worth(found) } else { 0 }
}

/// `curl --user name:password`: a password that is a word is an example.
fn given_to_curl(found: &Found<'_>) -> u8 {
    let secret = found.secret;
    let mixed = secret.iter().any(|byte| !byte.is_ascii_alphabetic()) && secret.iter().any(u8::is_ascii_alphabetic);
    if mixed && wordliness(secret) < 2 && !is_placeholder(secret) && !secret.starts_with(b"$") { LIKELY } else { WEAK }
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

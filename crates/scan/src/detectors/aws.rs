//! Amazon Web Services: access key ids, and secret keys where their name stands before them.

use super::judge::token;
use crate::detector::{Detector, Hint, Look, has_digit_and_letter, secret};

pub(super) const RULES: &[Detector] = &[
    secret(
        "aws-access-key",
        &[Hint::Opens(&["AKIA", "ASIA", "ABIA", "ACCA"])],
        Look::From(r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b", token),
    ),
    secret(
        "aws-secret-key",
        &[Hint::AnyCase(&["secret"])],
        Look::From(
            concat!(
                r#"(?i)secret[_-]?(?:access[_-]?)?key(?:\\*["'])?[ \t]*(?:=>|:=|[=:]|%3d)[ \t]*(?:\\*["'])?"#,
                r"([a-z0-9/+]{40})(?:[^a-z0-9/+]|$)",
            ),
            has_digit_and_letter,
        ),
    ),
    // Temporary credentials begin with base64 of the same words.
    secret(
        "aws-session-token",
        &[Hint::Exact(&["IQoJb3JpZ2lu", "FwoGZXIvYXdz", "FQoGZXIvYXdz", "FQoDYXdz"])],
        Look::From(r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz|FQoDYXdz)[A-Za-z0-9/+=%]{60,}", token),
    ),
    secret(
        "aws-bedrock-key",
        &[Hint::Exact(&["ABSKQmVkcm9ja0FQSUtleS", "ABSK"])],
        Look::From(r"\bABSK[A-Za-z0-9+/]{100,132}={0,2}", token),
    ),
    secret(
        "aws-bedrock-key",
        &[Hint::Exact(&["bedrock-api-key-"])],
        Look::From(r"bedrock-api-key-[A-Za-z0-9+/]{16,}={0,2}", token),
    ),
    secret(
        "aws-mws-token",
        &[Hint::Exact(&["amzn.mws."])],
        Look::From(r"amzn\.mws\.[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}", token),
    ),
];

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_access_key_ids() {
        let check = |text: &str| check("aws-access-key", text);
        check(concat!("id «AK", "IAIOSFODNN7EXAMPLE»."));
        check(concat!("«AS", "IAIOSFODNN7EXAMPLE»"));
        check("AKIAIOSFODNN7EXAMPL is one short");
        check(concat!("AK", "IAIOSFODNN7EXAMPLEXX is too long"));
        check("the Asian elephant in AKIA's garden");
    }

    #[test]
    fn finds_secret_keys_by_their_name() {
        let check = |text: &str| check("aws-secret-key", text);
        check(concat!("aws_secret_access_key = «wJalrXUtnFEMI/K7MDENG/bPx", "RfiCYEXAMPLEKEY»"));
        check(concat!(r#"{"SecretAccessKey": "«wJalrXUtnFEMI/K7MDENG/bPx"#, r#"RfiCYEXAMPLEKEY»"}"#));
        check(concat!("sha1 wJalrXUtnFEMI/K7MDENG/bPx", "RfiCYEXAMPLEKEY"));
    }
}

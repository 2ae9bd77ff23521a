//! Amazon Web Services: access key ids, and secret keys where their name stands before them.

use crate::detector::{Detector, Hint, Look, always, has_digit_and_letter, secret};

pub(super) const RULES: &[Detector] = &[
    secret(
        "aws-access-key",
        &[Hint::Exact(&["AKIA", "ASIA", "ABIA", "ACCA"])],
        Look::From(r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b", always),
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

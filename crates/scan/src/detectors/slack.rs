//! Slack: bot, user, app, refresh and configuration tokens, and incoming webhooks.

use super::judge::{SURE, WEAK, is_placeholder, looks_random};
use crate::detector::{Detector, Found, Hint, Look, always, has_digit_and_letter, secret};

pub(super) const RULES: &[Detector] = &[
    secret(
        "slack-token",
        &[Hint::Exact(&[
            "xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xoxe.", "xapp-",
        ])],
        Look::From(r"(?:xox[a-eoprs](?:\.xox[bp])?|xapp)-[A-Za-z0-9%-]{10,}", slack_token),
    ),
    secret(
        "slack-webhook",
        &[Hint::Exact(&["hooks.slack.com/"])],
        Look::From(r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{20,})", always),
    ),
];

/// Every kind has a long number or a long random part; hyphenated words have neither.
fn slack_token(found: &Found<'_>) -> u8 {
    let long = found.secret.split(|byte| b"-.%".contains(byte)).any(|part| {
        part.len() >= 8 && (part.iter().all(u8::is_ascii_digit) || (looks_random(part) && !is_placeholder(part)))
    });
    if has_digit_and_letter(found) == 0 {
        0
    } else if long {
        SURE
    } else {
        WEAK
    }
}

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_tokens() {
        let check = |text: &str| check("slack-token", text);
        check(concat!("«xox", "b-123456789012-abcdefABCDEF»"));
        check(concat!("«xox", "e.xoxp-1-Mi0yLTEyMzQ1»"));
        check(concat!("«xap", "p-1-A0123-456-abcdef»"));
        check("xoxb- is a prefix; xoxb-short");
    }

    #[test]
    fn finds_webhooks() {
        let check = |text: &str| check("slack-webhook", text);
        check(concat!("https://hooks.slack.com/services/", "«T00000000/B00000000/abcdefghijkl»"));
        check("see https://hooks.slack.com/services/");
    }
}

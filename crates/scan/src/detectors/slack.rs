//! Slack: bot, user, app, refresh and configuration tokens, and incoming webhooks.

use crate::detector::{Detector, Hint, Look, always, has_digit_and_letter, secret};

pub(super) const RULES: &[Detector] = &[
    secret(
        "slack-token",
        &[Hint::Exact(&[
            "xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xoxe.", "xapp-",
        ])],
        Look::From(r"(?:xox[a-eoprs](?:\.xox[bp])?|xapp)-[A-Za-z0-9%-]{10,}", has_digit_and_letter),
    ),
    secret(
        "slack-webhook",
        &[Hint::Exact(&["hooks.slack.com/"])],
        Look::From(r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{20,})", always),
    ),
];

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

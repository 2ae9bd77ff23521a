//! Slack: bot, user, app, refresh and configuration tokens, and incoming webhooks.

use super::{Rule, always, has_digit_and_letter};

pub(super) const RULES: &[Rule] = &[
    Rule {
        kind: "slack-token",
        needs: b"",
        hints: &["xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xoxe.", "xapp-"],
        pattern: r"(?:xox[a-eoprs](?:\.xox[bp])?|xapp)-[A-Za-z0-9%-]{10,}",
        accepts: has_digit_and_letter,
    },
    Rule {
        kind: "slack-webhook",
        needs: b"",
        hints: &["hooks.slack.com/"],
        pattern: r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{20,})",
        accepts: always,
    },
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

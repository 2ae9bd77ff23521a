//! Mail, chat, telephones and social networks.

use super::judge::{LIKELY, SURE, distinct, hex_token, is_placeholder, looks_random, random_token, token};
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    // The first part is a number in base64: digits become these letters.
    secret(
        "discord-token",
        &[Hint::Word { digits: 2, bytes: 23 }],
        Look::From(r"\b[MNO][A-Za-z0-9]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}", random_token),
    )
    .sifted(|spot| matches!(spot.hint(), [b'M' | b'N' | b'O', ..]) && spot.after().first() == Some(&b'.')),
    secret("discord-token", &[Hint::Opens(&["mfa."])], Look::From(r"\bmfa\.[A-Za-z0-9_-]{84}", random_token)),
    secret(
        "discord-webhook",
        &[Hint::Exact(&["/api/webhooks/"])],
        Look::Around(32, r"discord(?:app)?\.com/api/webhooks/(\d{17,20}/[A-Za-z0-9_-]{60,80})", token),
    ),
    secret(
        "teams-webhook",
        &[Hint::Exact(&[".webhook.office.com/"])],
        Look::From(
            r"\.webhook\.office\.com/webhookb2/([A-Za-z0-9@/-]{60,}IncomingWebhook/[a-f0-9]{32}/[a-f0-9-]{36})",
            token,
        ),
    ),
    secret(
        "zapier-webhook",
        &[Hint::Exact(&["hooks.zapier.com/hooks/catch/"])],
        Look::From(r"hooks\.zapier\.com/hooks/catch/(\d+/[A-Za-z0-9]{6,})", token),
    ),
    secret(
        "telegram-token",
        &[Hint::Exact(&[":AA"])],
        Look::Around(11, r"\b\d{8,10}:AA[A-Za-z0-9_-]{32,33}\b", random_token),
    ),
    secret("twilio-key", &[Hint::Word { digits: 4, bytes: 34 }], Look::From(r"\bSK[a-fA-F0-9]{32}\b", hex_token)),
    secret("twilio-account", &[Hint::Word { digits: 4, bytes: 34 }], Look::From(r"\bAC[a-f0-9]{32}\b", hex_token)),
    secret(
        "sendgrid-key",
        &[Hint::Opens(&["SG."])],
        Look::From(r"\bSG\.[A-Za-z0-9_=-]{16,32}\.[A-Za-z0-9_=-]{32,64}", token),
    ),
    secret("mailgun-key", &[Hint::Opens(&["key-", "pubkey-"])], Look::From(r"\b(?:pub)?key-[a-f0-9]{32}\b", hex_token)),
    secret(
        "mailgun-key",
        &[Hint::Word { digits: 4, bytes: 32 }],
        Look::From(r"\b[a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8}\b", hex_token),
    ),
    secret(
        "mailchimp-key",
        &[Hint::Word { digits: 4, bytes: 32 }],
        Look::From(r"\b[a-f0-9]{32}-us\d{1,2}\b", hex_token),
    ),
    secret("mandrill-key", &[Hint::Opens(&["md-"])], Look::From(r"\bmd-[A-Za-z0-9_-]{22}\b", random_token)),
    secret(
        "brevo-key",
        &[Hint::Opens(&["xkeysib-", "xsmtpsib-"])],
        Look::From(r"\bx(?:key|smtp)sib-[a-fA-F0-9]{64}-[A-Za-z0-9]{16}", token),
    ),
    secret("resend-key", &[Hint::Opens(&["re_"])], Look::From(r"\bre_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}\b", random_token)),
    secret("klaviyo-key", &[Hint::Opens(&["pk_"])], Look::From(r"\bpk_[a-f0-9]{34}\b", hex_token)),
    secret("facebook-token", &[Hint::Opens(&["EAA"])], Look::From(r"\bEAA[A-Za-z0-9]{100,400}(?:ZD|\b)", random_token)),
    secret("facebook-token", &[Hint::Digits(15)], Look::From(r"\b\d{15,16}\|[A-Za-z0-9_-]{27,40}", random_token)),
    secret(
        "instagram-token",
        &[Hint::Opens(&["IGQ", "IGAA"])],
        Look::From(r"\bIG(?:Q[VW][A-Za-z0-9_-]{80,}|AA[A-Za-z0-9]{80,})", random_token),
    ),
    secret(
        "twitter-bearer",
        &[Hint::Exact(&["AAAAAAAAAAAAAAAAAAAA"])],
        Look::From(r"\bA{20,23}[A-Za-z0-9%]{60,120}", twitter_bearer),
    ),
    secret("twitch-token", &[Hint::Exact(&["oauth:"])], Look::From(r"\boauth:([a-z0-9]{30})\b", random_token)),
    secret(
        "line-token",
        &[Hint::Exact(&["w1cDnyilFU="])],
        Look::Around(200, r"[A-Za-z0-9+/]{100,180}w1cDnyilFU=", token),
    ),
    secret(
        "linkedin-secret",
        &[Hint::Opens(&["WPL_AP1."])],
        Look::From(r"\bWPL_AP1\.[A-Za-z0-9]{16}\.[A-Za-z0-9+/]{6}==", token),
    ),
    secret(
        "linkedin-token",
        &[Hint::Opens(&["AQX", "AQV", "AQU", "AQW", "AQT"])],
        Look::From(r"\bAQ[TUVWX][A-Za-z0-9_-]{300,400}\b", random_token),
    ),
    secret("pinterest-token", &[Hint::Opens(&["pina_"])], Look::From(r"\bpina_[A-Za-z0-9]{32,}\b", random_token)),
    secret(
        "tiktok-token",
        &[Hint::Opens(&["act."])],
        Look::From(r"\bact\.[A-Za-z0-9]{50,}(?:!\d{4}\.[a-z0-9]{2})", token),
    ),
    secret(
        "mattermost-webhook",
        &[Hint::Exact(&["/hooks/"])],
        Look::Around(60, r"https?://[a-z0-9.-]*mattermost[a-z0-9.-]*/hooks/([a-z0-9]{26})\b", token),
    ),
    secret(
        "ifttt-webhook",
        &[Hint::Exact(&["maker.ifttt.com/trigger/"])],
        Look::From(r"maker\.ifttt\.com/trigger/[^\s/]+/(?:json/)?with/key/([A-Za-z0-9_-]{20,50})", token),
    ),
    secret(
        "onesignal-key",
        &[Hint::Exact(&["os_v2_app_", "os_v2_org_"])],
        Look::From(r"\bos_v2_(?:app|org)_[a-z0-9]{90,110}", token),
    ),
    secret("mailersend-token", &[Hint::Opens(&["mlsn."])], Look::From(r"\bmlsn\.[A-Za-z0-9]{30,100}\b", random_token)),
    secret("nylas-key", &[Hint::Opens(&["nyk_"])], Look::From(r"\bnyk_(?:v0_)?[A-Za-z0-9]{50,70}\b", random_token)),
];

/// The letters `A` are in every table of base64; what follows must be a real token.
fn twitter_bearer(found: &Found<'_>) -> u8 {
    let tail = found.secret.trim_ascii_start();
    let tail = tail.iter().position(|byte| *byte != b'A').and_then(|at| tail.get(at..)).unwrap_or_default();
    if is_placeholder(tail) || distinct(tail) < 20 || !looks_random(tail) {
        return 0;
    }
    if found.secret.contains(&b'%') { SURE } else { LIKELY }
}

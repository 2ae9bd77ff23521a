//! A true and two near examples of the formats in the tables: the whole token is reported under its name; cut short, or
//! with one letter in the place of all random ones, it is not.

use super::judge::WEAK;
use crate::Scanner;

/// `h` hex, `l` lower case and digits, `u` upper case and digits, `n` letters and digits.
const FORMATS: &[(&str, &str, char, usize)] = &[
    ("digitalocean-token", "dop_v1_", 'h', 64),
    ("databricks-token", "dapi", 'h', 32),
    ("supabase-token", "sbp_", 'h', 40),
    ("planetscale-token", "pscale_tkn_", 'n', 43),
    ("cockroach-key", "CCDB1_", 'n', 22),
    ("clickhouse-key", "4b1d", 'n', 38),
    ("netlify-token", "nfp_", 'n', 36),
    ("rubygems-key", "rubygems_", 'h', 48),
    ("docker-token", "dckr_pat_", 'n', 27),
    ("nuget-key", "oy2", 'l', 43),
    ("pulumi-token", "pul-", 'h', 40),
    ("sonar-token", "sqp_", 'h', 40),
    ("prefect-key", "pnu_", 'n', 36),
    ("vault-token", "hvs.", 'n', 95),
    ("openshift-token", "sha256~", 'n', 43),
    ("new-relic-key", "NRAK-", 'u', 27),
    ("sentry-token", "sntryu_", 'h', 64),
    ("replicate-token", "r8_", 'n', 37),
    ("groq-key", "gsk_", 'n', 52),
    ("perplexity-key", "pplx-", 'n', 48),
    ("nvidia-key", "nvapi-", 'n', 64),
    ("firecrawl-key", "fc-", 'h', 32),
    ("apify-token", "apify_api_", 'n', 36),
    ("twilio-key", "SK", 'h', 32),
    ("mailgun-key", "key-", 'h', 32),
    ("shopify-token", "shpat_", 'h', 32),
    ("easypost-key", "EZAK", 'n', 54),
    ("shippo-token", "shippo_live_", 'h', 40),
    ("razorpay-key", "rzp_live_", 'n', 14),
    ("linear-key", "lin_api_", 'n', 40),
    ("figma-token", "figd_", 'n', 40),
    ("contentful-token", "CFPAT-", 'n', 43),
];

fn random(class: char, length: usize) -> String {
    let alphabet: &[u8] = match class {
        'h' => b"0123456789abcdef",
        'l' => b"abcdefghijklmnopqrstuvwxyz0123456789",
        'u' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        _ => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    };
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()])
    };
    (0..length).map(|_| letter()).collect()
}

#[test]
fn whole_tokens_are_reported_and_near_ones_are_not() {
    let scanner = Scanner::standard();
    let seen = |text: &str, kind: &str| scanner.scan(text.as_bytes()).into_iter().find(|seen| seen.kind == kind);
    for (kind, prefix, class, length) in FORMATS {
        let body = random(*class, *length);
        let body = if *kind == "cockroach-key" { format!("{body}_{}", random('n', 40)) } else { body };
        let text = format!("use {prefix}{body}, please");
        let found = seen(&text, kind).unwrap_or_else(|| panic!("{kind} is not seen in {text}"));
        assert_eq!(&text[found.span.clone()], format!("{prefix}{body}"), "{kind}");
        assert!(found.score > WEAK, "{kind} is weak in {text}");
        let cut = format!("use {prefix}{}, please", &body[..length / 4]);
        assert!(seen(&cut, kind).is_none(), "{kind} is seen in {cut}");
        let placeholder = format!("use {prefix}{}, please", "X".repeat(*length));
        assert!(seen(&placeholder, kind).is_none_or(|found| found.score <= WEAK), "{kind} in {placeholder}");
    }
}

/// A quick look stands before the patterns of these, whose hints ordinary text is full of.
#[test]
fn tokens_behind_a_quick_look_are_seen_wherever_they_stand() {
    let scanner = Scanner::standard();
    let discord = |first| format!("{first}{}.{}.{}", random('n', 23), random('n', 6), random('n', 30));
    let vault = |first| format!("{first}.{}", random('n', 24));
    let tokens = ["M", "N", "O"].map(|first| ("discord-token", discord(first)));
    for (kind, token) in tokens.into_iter().chain(["s", "b", "r"].map(|first| ("vault-token", vault(first)))) {
        for (before, after) in [("", ""), ("use ", ", please"), ("x=\"", "\""), ("\n", "\n"), ("(", ")")] {
            let text = format!("{before}{token}{after}");
            let found = scanner.scan(text.as_bytes());
            let span = before.len()..before.len() + token.len();
            assert!(found.iter().any(|found| found.kind == kind && found.span == span), "{text}: {found:?}");
        }
    }
}

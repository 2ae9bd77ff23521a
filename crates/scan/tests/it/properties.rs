use std::borrow::Cow;

use bartizan_scan::{Redactor, printable};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;

fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        "ghp_[A-Za-z0-9]{36}",
        "glpat-[A-Za-z0-9]{20}",
        "sk-ant-api03-[A-Za-z0-9_-]{40}",
        "hf_[A-Za-z]{34}",
        "npm_[A-Za-z0-9]{36}",
        "eyJ[A-Za-z0-9]{12}\\.eyJ[A-Za-z0-9]{12}\\.[A-Za-z0-9_-]{20}",
        "-----BEGIN RSA PRIVATE KEY-----\n([A-Za-z0-9+/]{64}\n){1,4}-----END RSA PRIVATE KEY-----",
    ]
}

/// A token as it stands in other texts: encoded, escaped, or with letters that look alike.
fn encoded(token: &str, how: usize) -> String {
    let each = |form: &dyn Fn(u8) -> String| token.bytes().map(form).collect::<String>();
    match how % 7 {
        0 => STANDARD.encode(format!("the token is {token}, keep it")),
        1 => URL_SAFE_NO_PAD.encode(token),
        2 => each(&|byte| format!("{byte:02x}")),
        3 => each(&|byte| format!("%{byte:02X}")),
        4 => each(&|byte| format!("\\u{byte:04x}")),
        5 => each(&|byte| format!("&#{byte};")),
        _ => each(&|byte| format!("{}\u{200b}", char::from(byte))),
    }
}

/// Text built from pieces that matter to the detectors, besides anything at all.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        token(),
        (token(), any::<usize>()).prop_map(|(token, how)| encoded(&token, how)),
        any::<String>(),
        "[ -~]{0,12}",
        prop::sample::select(vec![
            "password",
            "token",
            "secret",
            "api_key",
            "=",
            ":",
            "=>",
            "\"",
            "'",
            "\\\"",
            " ",
            "\n",
            "&",
            "?",
            "://",
            "@",
            "Authorization: Bearer ",
            "basic ",
            "[redacted:secret]",
            "[redacted:",
            "]",
            "--password ",
            "%3D",
            ",",
            "Cookie: a=",
            "-----BEGIN PRIVATE KEY-----",
            "https://u:",
            "eyJ",
            "sk-",
            "$",
            "{",
            "}",
            "é",
            "\u{202e}",
        ])
        .prop_map(str::to_owned),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_second_pass_changes_nothing(text in tricky()) {
        let redactor = Redactor::standard();
        let once = redactor.redact(&text).into_owned();
        prop_assert_eq!(redactor.redact(&once), once.as_str());
    }

    #[test]
    fn no_token_survives(before in "[^A-Za-z0-9_-]{0,20}", token in token(), after in "[^A-Za-z0-9_-]{0,20}") {
        let text = format!("{before}{token}{after}");
        let clean = Redactor::standard().redact(&text).into_owned();
        prop_assert!(!clean.contains(&token), "{clean:?}");
        prop_assert!(clean.contains("[redacted:"), "{clean:?}");
    }

    #[test]
    fn finds_are_in_order_and_the_rest_stays(text in tricky()) {
        let redactor = Redactor::standard();
        let clean = redactor.redact(&text);
        let mut end = 0;
        for found in redactor.find(&text) {
            prop_assert!(found.span.start >= end && found.span.end > found.span.start);
            end = found.span.end;
        }
        if end == 0 {
            prop_assert_eq!(clean.as_ref(), text.as_str());
        } else {
            prop_assert!(clean.contains("[redacted:"));
        }
    }

    #[test]
    fn bytes_and_text_agree(text in tricky()) {
        let redactor = Redactor::standard();
        if text.is_ascii() {
            prop_assert_eq!(redactor.redact_bytes(text.as_bytes()).into_owned(), redactor.redact(&text).into_owned().into_bytes());
        }
    }

    #[test]
    fn ordinary_text_is_borrowed(words in vec("[a-z]{1,5}", 0..40)) {
        let text = words.join(" ");
        prop_assume!(!["cio", "pwd", "key", "basic", "token"].iter().any(|hint| text.contains(hint)));
        prop_assert!(matches!(Redactor::standard().redact(&text), Cow::Borrowed(_)));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..400)) {
        let redactor = Redactor::standard();
        let once = redactor.redact_bytes(&bytes).into_owned();
        prop_assert_eq!(redactor.redact_bytes(&once).into_owned(), once);
    }

    #[test]
    fn printable_text_is_one_visible_line(text in any::<String>()) {
        let shown = printable(&text);
        prop_assert!(!shown.chars().any(bartizan_scan::is_deceptive));
        prop_assert_eq!(printable(&shown), shown.as_ref());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // A backslash before the line break would join the token to what stands before it.
    #[test]
    fn no_encoded_token_survives(before in "[ -\\[\\]-~]{0,20}", token in token(), how in any::<usize>(), after in "[ -~]{0,20}") {
        let text = format!("{before}\n{}\n{after}", encoded(&token, how));
        let redactor = Redactor::standard();
        let clean = redactor.redact(&text).into_owned();
        prop_assert!(clean.contains("[redacted:"), "{clean:?}");
        prop_assert_eq!(redactor.redact(&clean), clean.as_str());
    }
}

/// Repeated starts of secrets once made a search quadratic; a megabyte of each must not take minutes.
#[test]
fn crafted_text_stays_linear() {
    let redactor = Redactor::standard();
    for piece in [
        "token:",
        "-----BEGIN PRIVATE KEY-----",
        "://a:b",
        "://a:b@",
        "password=\"",
        "sk-proj-",
        "eyJ",
        "--password ",
        "?token",
        "Cookie: ",
        "%41a",
        "aB1",
        "\u{fdfa}",
        "a\u{200b}",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        let clean = redactor.redact(&text);
        assert_eq!(redactor.redact(&clean), clean.as_ref(), "{piece}");
    }
}

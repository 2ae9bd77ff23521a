//! However content is cut, the same is seen.

use bartizan_scan::{Scanner, Sighting};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;

fn in_pieces(content: &[u8], cuts: &[usize]) -> Vec<Sighting> {
    let mut stream = Scanner::standard().stream();
    let mut seen = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().cycle() {
        if from >= content.len() {
            break;
        }
        let to = content.len().min(from + cut.max(&1));
        seen.extend(stream.push(&content[from..to]));
        from = to;
    }
    seen.extend(stream.finish());
    seen
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "ghp_[A-Za-z0-9]{36}",
        "password=[a-z0-9]{8} ",
        "-----BEGIN RSA PRIVATE KEY-----\n([A-Za-z0-9+/]{64}\n){1,9}-----END RSA PRIVATE KEY-----\n",
        "ghp_[A-Za-z0-9]{36}".prop_map(|token| STANDARD.encode(format!("the token {token}"))),
        "ghp_[A-Za-z0-9]{36}".prop_map(|token| token.replace('_', "%5F")),
        "[ -~]{0,200}",
        "[a-z ]{0,200}\n",
        any::<String>(),
        "\\PC{0,20}\u{200b}\u{e0041}",
    ]
    .prop_map(String::into_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cutting_changes_nothing(pieces in vec(piece(), 0..40), cuts in vec(1_usize..5_000, 1..8)) {
        let content = pieces.concat();
        prop_assert_eq!(in_pieces(&content, &cuts), Scanner::standard().scan(&content));
    }
}

proptest! {
    // Content of several segments: slow, so few.
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn cutting_long_content_changes_nothing(
        pieces in vec(piece(), 30..60),
        repeats in 60_usize..120,
        cuts in vec(1_usize..300_000, 1..5),
    ) {
        let content = pieces.concat().repeat(repeats);
        prop_assert_eq!(in_pieces(&content, &cuts), Scanner::standard().scan(&content));
    }
}

/// A token at every place around the end of a segment is seen once, whole.
#[test]
fn borders_hide_nothing() {
    let token = format!("ghp_{}", "a1B2".repeat(9));
    for border in [256 << 10, 272 << 10, 511 << 10] {
        for at in (border - 60..border + 20).step_by(3) {
            let content = [" ".repeat(at).as_str(), &token, &" ".repeat(300_000)].concat();
            let seen = Scanner::standard().scan(content.as_bytes());
            let spans: Vec<_> = seen.into_iter().map(|sighting| (sighting.span.start, sighting.span.end)).collect();
            assert_eq!(spans, [(at, at + token.len())]);
        }
    }
}

/// A find that is longer than what segments share is seen as one.
#[test]
fn long_finds_are_whole() {
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----",
        format!("{}\n", "QUJDREVGR0hJSktM".repeat(4)).repeat(800)
    );
    let content = [" ".repeat(250 << 10).as_str(), &key, &" ".repeat(400_000)].concat();
    let seen = Scanner::standard().scan(content.as_bytes());
    let keys: Vec<_> =
        seen.iter().filter(|sighting| sighting.kind == "private-key").map(|seen| seen.span.len()).collect();
    assert_eq!(keys, [key.len()]);
}

//! Replacement: nothing of a value stays, tokens open again, arbitrary sightings do no harm.

use bartizan_scan::replace::{Key, Replacer, Style, restore};
use bartizan_scan::{Class, Options, Scanner, Sighting};
use proptest::collection::vec;
use proptest::prelude::*;

const VALUES: [&str; 7] = [
    "4111 1111 1111 1111",
    "GB82WEST12345698765432",
    "536-90-4399",
    "jane.doe@example.org",
    "+44 20 7946 0958",
    "529.982.247-25",
    "41.173.96.26",
];

/// Values among words that neither name nor continue them.
fn letter() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        proptest::sample::select(VALUES.to_vec()).prop_map(str::to_owned),
        "[a-z]{1,9}".prop_map(|word| word),
        "[äöü→\u{4e00}-\u{4e20}]{1,4}".prop_map(|word| word),
    ];
    vec(word, 1..20).prop_map(|words| words.join(" , "))
}

/// What is replaced: an order to an agent is a whole text, of which a replacement keeps nothing.
fn scanner() -> Scanner {
    Scanner::new(Options { classes: vec![Class::Secret, Class::Personal], ..Options::default() })
}

fn replaced(style: Style, text: &[u8]) -> Vec<u8> {
    Replacer::new(style).replace(text, &scanner().scan(text))
}

proptest! {
    #[test]
    fn no_value_stays(text in letter()) {
        for style in [Style::Label, Style::Mask, Style::Shape(Key::new([1; 32])), Style::Token(Key::new([1; 32]))] {
            let clean = String::from_utf8(replaced(style, text.as_bytes())).unwrap();
            for value in VALUES {
                prop_assert!(!clean.contains(value), "{value} in {clean}");
            }
        }
    }

    #[test]
    fn labels_and_masks_are_final(text in letter()) {
        for style in [|| Style::Label, || Style::Mask, || Style::Token(Key::new([1; 32]))] {
            let once = replaced(style(), text.as_bytes());
            prop_assert_eq!(replaced(style(), &once), once);
        }
    }

    #[test]
    fn tokens_become_the_original(text in letter()) {
        let sealed = replaced(Style::Token(Key::new([1; 32])), text.as_bytes());
        prop_assert_eq!(restore(&sealed, &Key::new([1; 32])), text.as_bytes());
        prop_assert_eq!(restore(&sealed, &Key::new([2; 32])), sealed);
    }

    #[test]
    fn shapes_keep_form_and_kind(text in letter()) {
        let other = replaced(Style::Shape(Key::new([1; 32])), text.as_bytes());
        let kinds = |text: &[u8]| scanner().scan(text).into_iter().map(|found| found.kind).collect::<Vec<_>>();
        prop_assert_eq!(String::from_utf8(other.clone()).unwrap().chars().count(), text.chars().count());
        prop_assert_eq!(kinds(&other).len(), kinds(text.as_bytes()).len(), "{}", String::from_utf8_lossy(&other));
    }

    #[test]
    fn arbitrary_sightings_do_no_harm(
        bytes in vec(any::<u8>(), 0..200),
        spans in vec((0..250_usize, 0..250_usize, 0..100_u8), 0..10),
    ) {
        let sightings: Vec<Sighting> = spans
            .iter()
            .map(|(start, end, score)| Sighting { class: Class::Personal, kind: "email", score: *score, span: *start..*end })
            .collect();
        for style in [Style::Label, Style::Mask, Style::Shape(Key::new([1; 32])), Style::Token(Key::new([1; 32]))] {
            let is_token = matches!(style, Style::Token(_));
            let clean = Replacer::new(style).replace(&bytes, &sightings);
            if is_token {
                prop_assert_eq!(restore(&clean, &Key::new([1; 32])), bytes.clone());
            }
        }
    }

    #[test]
    fn restoring_arbitrary_bytes_does_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        let text = [b"[sealed:email:".as_slice(), &bytes, b"]"].concat();
        prop_assert_eq!(restore(&text, &Key::new([1; 32])), text);
    }
}

//! Puts something else in the place of what was found.
//!
//! Four styles: a *label* says what was there; a *mask* shows how long it was; a *shape* is another value of the same
//! form, so that whatever reads the text goes on working; a *token* is the value itself, sealed, which [`restore`] opens
//! for who has the key. Under one key equal values become equal shapes and equal tokens, so what belongs together in a
//! document stays together. All are pure functions of text, sightings and key.

mod key;
mod shape;
mod token;

use std::ops::Range;

pub use key::Key;
pub use token::restore;

use crate::sighting::Sighting;

/// What stands in the place of a find.
pub enum Style {
    /// `[redacted:email]`.
    Label,
    /// `*` for each character.
    Mask,
    /// Another value with the same length and form, and with a right check digit where the original had one.
    Shape(Key),
    /// `[sealed:email:…]`, which [`restore`] makes the original again.
    Token(Key),
}

impl Style {
    /// The names of the styles, in the order in which they are shown.
    pub const NAMES: [&'static str; 4] = ["label", "mask", "shape", "token"];
}

/// Replaces what was found.
pub struct Replacer {
    style: Style,
}

impl Replacer {
    /// A replacer of one style.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self { style }
    }

    /// The text with each sighting replaced; hand in those of the classes that shall go. Sightings may come in any order
    /// and overlap; those that do are replaced as one, under the name of the surest. Labels and tokens that are in the
    /// text already are left as they are.
    #[must_use]
    pub fn replace(&self, text: &[u8], sightings: &[Sighting]) -> Vec<u8> {
        let markers = self.markers(text);
        let mut clean = Vec::with_capacity(text.len());
        let mut copied = 0;
        for (kind, span) in join(sightings, text.len()) {
            for span in without(span, &markers) {
                clean.extend_from_slice(text.get(copied..span.start).unwrap_or_default());
                clean.extend_from_slice(&self.one(kind, text.get(span.clone()).unwrap_or_default()));
                copied = span.end;
            }
        }
        clean.extend_from_slice(text.get(copied..).unwrap_or_default());
        clean
    }

    /// Where there are labels, and tokens that this key made. A token of somebody else may hide anything, so it is none.
    fn markers(&self, text: &[u8]) -> Vec<Range<usize>> {
        let key = match &self.style {
            Style::Token(key) => Some(key),
            _ => None,
        };
        let end = |start: usize| {
            let token = key.and_then(|key| token::open_at(text, start, key)).map(|(_, end)| end);
            token.or_else(|| label_end(text, start))
        };
        memchr::memchr_iter(b'[', text).filter_map(|start| Some(start..end(start)?)).collect()
    }

    /// What stands in the place of one find of this kind.
    #[must_use]
    pub fn one(&self, kind: &str, original: &[u8]) -> Vec<u8> {
        match &self.style {
            Style::Label => format!("[redacted:{kind}]").into_bytes(),
            Style::Mask => vec![b'*'; String::from_utf8_lossy(original).chars().count()],
            Style::Shape(key) => shape::shape(key, kind, original),
            Style::Token(key) => token::seal(key, kind, original),
        }
    }
}

impl std::fmt::Debug for Replacer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let style = match self.style {
            Style::Label => "label",
            Style::Mask => "mask",
            Style::Shape(_) => "shape",
            Style::Token(_) => "token",
        };
        formatter.debug_struct("Replacer").field("style", &style).finish()
    }
}

/// Spans in order and apart, each with the kind of the surest sighting in it.
fn join(sightings: &[Sighting], text_bytes: usize) -> Vec<(&str, Range<usize>)> {
    let mut ordered: Vec<&Sighting> =
        sightings.iter().filter(|sighting| sighting.span.start < sighting.span.end.min(text_bytes)).collect();
    ordered.sort_by_key(|sighting| (sighting.span.start, std::cmp::Reverse(sighting.span.end)));
    let mut joined: Vec<(&Sighting, Range<usize>)> = Vec::with_capacity(ordered.len());
    for sighting in ordered {
        let end = sighting.span.end.min(text_bytes);
        match joined.last_mut() {
            Some((surest, span)) if sighting.span.start < span.end => {
                if sighting.score > surest.score {
                    *surest = sighting;
                }
                span.end = span.end.max(end);
            }
            _ => joined.push((sighting, sighting.span.start..end)),
        }
    }
    joined.into_iter().map(|(sighting, span)| (sighting.kind, span)).collect()
}

/// The parts of a span that lie outside of all markers, which are in order.
fn without(span: Range<usize>, markers: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut parts = Vec::with_capacity(1);
    let mut start = span.start;
    let first = markers.partition_point(|marker| marker.end <= span.start);
    for marker in markers.iter().skip(first).take_while(|marker| marker.start < span.end) {
        if start < marker.start {
            parts.push(start..marker.start);
        }
        start = marker.end;
    }
    if start < span.end {
        parts.push(start..span.end);
    }
    parts
}

/// Where the label that starts here ends: a kind has letters and hyphens only, so that no value fits into one.
fn label_end(text: &[u8], start: usize) -> Option<usize> {
    const KIND_BYTES_MAX: usize = 40;
    let rest = text.get(start..)?.strip_prefix(b"[redacted:")?;
    let length = rest.iter().take(KIND_BYTES_MAX).position(|byte| !byte.is_ascii_lowercase() && *byte != b'-')?;
    (rest.get(length) == Some(&b']')).then(|| start + b"[redacted:".len() + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Options, Scanner};

    fn key() -> Key {
        Key::new([7; 32])
    }

    const LETTER: &str =
        "Card 4111 1111 1111 1111, again 4111 1111 1111 1111, jane.doe@example.org, GB82WEST12345698765432.";

    fn replaced(style: Style, text: &str) -> String {
        let scanner = Scanner::new(Options { classes: vec![Class::Secret, Class::Personal], ..Options::default() });
        let sightings = scanner.scan(text.as_bytes());
        String::from_utf8(Replacer::new(style).replace(text.as_bytes(), &sightings)).unwrap()
    }

    #[test]
    fn labels_say_what_was_there() {
        let clean = replaced(Style::Label, LETTER);
        assert_eq!(
            clean,
            "Card [redacted:payment-card], again [redacted:payment-card], [redacted:email], [redacted:iban]."
        );
        assert_eq!(replaced(Style::Label, &clean), clean);
    }

    #[test]
    fn a_label_ends_with_its_bracket() {
        assert_eq!(label_end(b"x [redacted:email] y", 2), Some(18));
        for none in [&b"[redacted:Email]"[..], b"[redacted:email", b"[redacted:e 1]", b"redacted:email]"] {
            assert_eq!(label_end(none, 0), None);
        }
    }

    #[test]
    fn masks_keep_the_length() {
        let clean = replaced(Style::Mask, LETTER);
        assert_eq!(clean.len(), LETTER.len());
        assert!(clean.starts_with("Card *******************, again"));
    }

    #[test]
    fn shapes_are_found_again_and_are_other_values() {
        let clean = replaced(Style::Shape(key()), LETTER);
        let kinds = |text: &str| {
            Scanner::standard().scan(text.as_bytes()).into_iter().map(|found| found.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&clean), kinds(LETTER), "{clean}");
        let cards: Vec<&str> = clean.split(", ").take(2).map(|part| &part[part.len() - 19..]).collect();
        assert_eq!(cards[0], cards[1], "one value has one pseudonym");
        assert_ne!(cards[0], "4111 1111 1111 1111");
        assert_ne!(replaced(Style::Shape(Key::new([8; 32])), LETTER), clean, "another key gives others");
    }

    #[test]
    fn tokens_open_with_their_key_only() {
        let sealed = replaced(Style::Token(key()), LETTER);
        assert!(!sealed.contains("4111") && !sealed.contains("jane"), "{sealed}");
        assert_eq!(restore(sealed.as_bytes(), &key()), LETTER.as_bytes());
        assert_eq!(restore(sealed.as_bytes(), &Key::new([8; 32])), sealed.as_bytes());
        assert_eq!(replaced(Style::Token(key()), &sealed), sealed, "tokens are left alone");
        let forged = sealed.replacen("[sealed:email:", "[sealed:phone:", 1);
        assert_ne!(restore(forged.as_bytes(), &key()), LETTER.as_bytes(), "the kind is sealed, too");
    }

    #[test]
    fn leaves_no_value_in_a_false_marker() {
        for text in
            ["[redacted:4111-1111-1111-1111]", "[sealed:x:GB82WEST12345698765432]", "[redacted:jane@example.org]"]
        {
            for style in [Style::Label, Style::Mask, Style::Token(key())] {
                let clean = replaced(style, text);
                assert!(!clean.contains("1111") && !clean.contains("WEST") && !clean.contains("jane"), "{clean}");
            }
        }
    }

    #[test]
    fn joins_what_overlaps() {
        let sighting = |score, span| Sighting { class: Class::Personal, kind: "email", score, span };
        let sightings = [sighting(50, 4..9), sighting(90, 0..6), sighting(60, 20..400)];
        let clean = Replacer::new(Style::Mask).replace(b"0123456789abcdefghij!!!", &sightings);
        assert_eq!(clean, b"*********9abcdefghij***");
    }
}

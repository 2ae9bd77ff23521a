//! Tokens of issuers nobody has told us about: most new ones give their keys a short name in front, such as `acme_live_…`.
//!
//! What follows must be longer and more random than a name ever is: letters of both cases and digits, in no order of
//! any language. Hex and lower-case identifiers are left to [`super::named`], since hashes and mangled names look alike.

use super::judge::{distinct, is_placeholder};
use super::words::wordliness;
use crate::detector::{Detector, Hint, Hit, Look, Spot, secret};

pub(super) const RULES: &[Detector] = &[secret(KIND, &[Hint::Word { digits: 2, bytes: 24 }], Look::Parse(prefixed))];

const KIND: &str = "prefixed-token";
/// A guess by form alone.
const GUESSED: u8 = 55;
/// Longer prefixes are names.
const PREFIX_BYTES_MAX: usize = 24;
/// Mean weight of pairs below which no word was ever seen; random tokens of this length stand far below.
const WORDLINESS_MAX: i32 = -12;

fn prefixed(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    let Some(word) = spot.text.get(spot.at.clone()) else { return };
    let mixed = word.iter().any(u8::is_ascii_uppercase) && word.iter().any(u8::is_ascii_lowercase);
    if !mixed || distinct(word) < 14 || wordliness(word) > WORDLINESS_MAX {
        return;
    }
    let is_of_prefix = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let before = spot.text.get(spot.at.start.saturating_sub(PREFIX_BYTES_MAX)..spot.at.start).unwrap_or_default();
    let prefix = before.iter().rev().take_while(is_of_prefix).count();
    let start = spot.at.start - prefix;
    let prefix = spot.text.get(start..spot.at.start).unwrap_or_default();
    let is_name = prefix.len() >= 3
        && prefix.len() < PREFIX_BYTES_MAX
        && prefix.ends_with(b"_")
        // `QME_` is how URL-safe base64 goes on, too.
        && prefix.iter().any(u8::is_ascii_lowercase)
        && prefix.first().is_some_and(u8::is_ascii_alphabetic)
        && !prefix.iter().any(u8::is_ascii_digit);
    let after = spot.text.get(spot.at.end).copied().unwrap_or_default();
    let token = spot.text.get(start..spot.at.end).unwrap_or_default();
    if is_name && !b"_(+/".contains(&after) && !is_placeholder(token) {
        report(Hit { kind: KIND, score: GUESSED, span: start..spot.at.end });
    }
}

#[cfg(test)]
mod tests {
    use crate::detectors::testing::check;

    #[test]
    fn finds_random_words_behind_a_short_name() {
        let check = |text: &str| check(super::KIND, text);
        check("use «acme_live_x8Yq2mPz7Lw4Tn6RkVb3Hc9G» here");
        check("_ZN4core3fmt9Formatter17h0123456789abcdefE");
        check("digest_0123456789abcdef0123456789abcdef");
        check("my_AbstractSingletonProxyFactoryBean2026V2");
        check("x8Yq2mPz7Lw4Tn6RkVb3Hc9G has no name");
    }
}

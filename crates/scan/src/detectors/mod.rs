//! What a secret looks like, one file for each issuer or form.
//!
//! Issuers with a token form of their own come first; forms that are known only by their context come last, so
//! that `token=ghp_…` is named by its issuer.

mod anthropic;
mod assignment;
mod authorization;
mod aws;
mod cookie;
mod crates_io;
mod github;
mod gitlab;
mod google;
mod hugging_face;
mod jwt;
mod npm;
mod openai;
mod private_key;
mod pypi;
mod query;
mod slack;
mod stripe;
mod url_password;

pub(crate) use assignment::{is_sensitive_flag, is_sensitive_name};

/// Every detector. The order decides whose name a secret carries when two find it.
pub(crate) const ALL: &[&[Rule]] = &[
    private_key::RULES,
    aws::RULES,
    github::RULES,
    gitlab::RULES,
    slack::RULES,
    stripe::RULES,
    anthropic::RULES,
    openai::RULES,
    google::RULES,
    npm::RULES,
    pypi::RULES,
    crates_io::RULES,
    hugging_face::RULES,
    jwt::RULES,
    url_password::RULES,
    authorization::RULES,
    cookie::RULES,
    query::RULES,
    assignment::RULES,
];

/// The rules that had a hint are kept as the bits of one word.
const RULES_MAX: usize = 64;
const _: () = assert!(rule_count() <= RULES_MAX);

/// One form of secret.
pub(crate) struct Rule {
    /// What the marker says; lower case and hyphens.
    pub kind: &'static str,
    /// At least one of these is part of every match, in any case. They decide whether the pattern is tried at all.
    pub hints: &'static [&'static str],
    /// Where hints are everyday words: at least one of these bytes is part of every match, too. Empty says nothing.
    pub needs: &'static [u8],
    /// The secret is the first group that takes part, or the whole match where there is no group.
    pub pattern: &'static str,
    /// Turns away what only looks like a secret.
    pub accepts: fn(&Found<'_>) -> bool,
}

/// What a pattern found.
pub(crate) struct Found<'a> {
    /// The match with its context.
    pub whole: &'a [u8],
    /// The part to be taken out.
    pub secret: &'a [u8],
}

/// For forms that nothing else has.
pub(crate) fn always(_: &Found<'_>) -> bool {
    true
}

/// For forms that ordinary hyphenated words could have: random text nearly always has a digit and a letter.
pub(crate) fn has_digit_and_letter(found: &Found<'_>) -> bool {
    let tail = found.secret;
    tail.iter().any(u8::is_ascii_digit) && tail.iter().any(u8::is_ascii_alphabetic)
}

/// The place in the list of the first rule of this kind.
pub(crate) fn rank(kind: &str) -> usize {
    kinds().position(|known| known == kind).unwrap_or(usize::MAX)
}

pub(crate) fn is_kind(bytes: &[u8]) -> bool {
    kinds().any(|known| known.as_bytes() == bytes)
}

fn kinds() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|rules| rules.iter()).map(|rule| rule.kind)
}

const fn rule_count() -> usize {
    let mut remaining = ALL;
    let mut count = 0;
    while let [rules, rest @ ..] = remaining {
        count += rules.len();
        remaining = rest;
    }
    count
}

#[cfg(test)]
pub(crate) mod testing {
    use crate::Redactor;

    /// The text is given with each secret in `«»`; exactly those parts, with this kind, must be found.
    #[track_caller]
    pub(crate) fn check(kind: &str, marked: &str) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (index, part) in marked.split(['«', '»']).enumerate() {
            if index % 2 == 1 {
                expected.push((kind.to_owned(), part.to_owned()));
            }
            text.push_str(part);
        }
        let found: Vec<_> = Redactor::standard()
            .find(&text)
            .into_iter()
            .map(|found| (found.kind.to_owned(), text[found.span].to_owned()))
            .collect();
        assert_eq!(found, expected, "in {text:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles_and_has_hints_its_pattern_needs() {
        let redactor = crate::Redactor::standard();
        assert!(redactor.find("").is_empty());
        for rule in ALL.iter().flat_map(|rules| rules.iter()) {
            assert!(!rule.hints.is_empty(), "{} would never be tried", rule.kind);
            assert!(rule.kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.kind);
        }
    }
}

//! What a secret looks like, one file for each issuer or form.
//!
//! Issuers with a token form of their own come first; forms that are known only by their context come last, so
//! that `token=ghp_…` is named by its issuer.

mod anthropic;
mod assignment;
mod authorization;
mod aws;
mod azure;
mod cloud;
mod cookie;
mod crates_io;
mod developer;
#[cfg(test)]
mod fixtures;
mod github;
mod gitlab;
mod google;
mod hugging_face;
mod judge;
mod jwt;
mod keys;
mod messaging;
mod models;
mod named;
mod npm;
mod openai;
mod payments;
mod prefixed;
mod private_key;
mod pypi;
mod query;
mod slack;
mod stripe;
mod url_password;
mod watching;
mod words;
mod work;

use crate::detector::Detector;

pub(crate) use assignment::{is_sensitive_flag, is_sensitive_name};

/// Every detector. The order decides whose name a secret carries when two find it.
pub(crate) const ALL: &[&[Detector]] = &[
    private_key::RULES,
    aws::RULES,
    azure::RULES,
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
    models::RULES,
    cloud::RULES,
    developer::RULES,
    watching::RULES,
    messaging::RULES,
    payments::RULES,
    work::RULES,
    keys::RULES,
    jwt::RULES,
    url_password::RULES,
    authorization::RULES,
    cookie::RULES,
    query::RULES,
    prefixed::RULES,
    named::RULES,
    assignment::RULES,
];

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

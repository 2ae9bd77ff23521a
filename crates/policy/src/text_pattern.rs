//! Regular expressions in policies: linear in the text, bounded in size, compiled once when the policy is read.

use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::place::quoted;

/// Longest expression. What is longer nobody reads.
const PATTERN_BYTES_MAX: usize = 1000;
/// Largest compiled form: `\w{1000}` stays possible, nested counts don't.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A regular expression that matches anywhere in a text. Letters, digits and blanks are those of ASCII, so that
/// its size has a bound; texts are bytes.
#[derive(Debug, Clone)]
pub struct TextPattern {
    text: String,
    regex: Arc<Regex>,
}

impl TextPattern {
    /// Reads an expression; the message says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty expression matches everything; leave it out".into());
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("an expression has at most {PATTERN_BYTES_MAX} bytes"));
        }
        let regex = RegexBuilder::new(text)
            .unicode(false)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(50)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    "it grows too large when it is compiled; use smaller counts".to_owned()
                }
                // The message draws the expression over several lines; the last says what is wrong.
                error => {
                    let message = error.to_string();
                    let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    format!("{} is no regular expression: {last}", quoted(text))
                }
            })?;
        Ok(Self { text: text.to_owned(), regex: Arc::new(regex) })
    }

    /// Whether it matches anywhere in the text.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// Whether it matches the whole text and not only a part.
    pub(crate) fn is_whole(&self, text: &[u8]) -> bool {
        self.regex.find_iter(text).any(|found| found.range() == (0..text.len()))
    }

    /// Every place that matches.
    pub(crate) fn find_all<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        self.regex.find_iter(text).map(|found| found.as_bytes())
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for TextPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl JsonSchema for TextPattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TextPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A regular expression without look-around and back-references, over bytes.",
            "examples": ["(?i)chmod\\s+777"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_bounded_and_linear() {
        assert!(TextPattern::parse(r"(?i)rm\s+-rf\s+/").unwrap().is_match(b"sudo RM  -rf /"));
        let evil = TextPattern::parse("(a+)+$").unwrap();
        assert!(!evil.is_match(&[b'a'; 100_000].iter().chain(b"!").copied().collect::<Vec<u8>>()));
        for bad in ["", "(", "a{1000}{1000}{1000}", r"(?=x)", r"(a)\1", &"a".repeat(2000)] {
            assert!(TextPattern::parse(bad).is_err(), "{bad}");
        }
        assert!(TextPattern::parse("a{1000}{1000}{1000}").unwrap_err().contains("smaller counts"));
    }

    #[test]
    fn whole_means_the_whole_text() {
        let word = TextPattern::parse("[a-z]+").unwrap();
        assert!(word.is_whole(b"abc") && !word.is_whole(b"abc\n") && !word.is_whole(b"abc; rm"));
        assert!(word.is_match(b"1abc"));
    }
}

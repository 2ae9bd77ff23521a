//! Where things stand in policy text, and what is wrong there.

use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

/// A place in policy text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name as given by whoever read it, or a built-in's name such as `builtin:standard`.
    pub source: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// `source:line`, as rules are named in verdicts.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}:{}", self.source, self.line)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// A value that remembers where it was written. Serialises, compares and describes itself as the value alone.
#[derive(Debug, Clone)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Serialize> Serialize for At<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }
}

/// One thing wrong with a policy. The message ends with what to do where that isn't plain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct PolicyError {
    /// Where.
    pub place: Place,
    /// What, offending input in backticks.
    pub message: String,
}

/// Everything wrong with a policy, in the order it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyErrors {
    errors: Vec<PolicyError>,
}

impl PolicyErrors {
    /// The single errors; never empty.
    #[must_use]
    pub fn errors(&self) -> &[PolicyError] {
        &self.errors
    }

    /// One error standing for all.
    pub(crate) fn one(place: Place, message: impl Into<String>) -> Self {
        Self { errors: vec![PolicyError { place, message: message.into() }] }
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            error.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}

/// Most errors kept of one policy: more than anybody reads, and hostile text can't grow the report.
const ERRORS_MAX: usize = 100;
/// Longest piece of offending input repeated in a message.
const QUOTED_CHARS_MAX: usize = 80;

/// Gathers errors while reading goes on.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    errors: Vec<PolicyError>,
}

impl Errors {
    pub(crate) fn add(&mut self, place: &Place, message: impl Into<String>) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(PolicyError { place: place.clone(), message: message.into() });
        }
    }

    pub(crate) fn append(&mut self, more: PolicyErrors) {
        let room = ERRORS_MAX.saturating_sub(self.errors.len());
        self.errors.extend(more.errors.into_iter().take(room));
    }

    pub(crate) fn finish<T>(self, value: T) -> Result<T, PolicyErrors> {
        if self.errors.is_empty() { Ok(value) } else { Err(PolicyErrors { errors: self.errors }) }
    }
}

/// Offending input as it appears in messages: bounded, without control characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String =
        text.chars().take(QUOTED_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The candidate closest to what was written, if one is close enough to be meant.
pub(crate) fn closest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer input is no slip of the finger, and the distance is quadratic.
    const WRITTEN_BYTES_MAX: usize = 64;
    if written.len() > WRITTEN_BYTES_MAX {
        return None;
    }
    let limit = 1 + written.chars().count() / 3;
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?` or nothing.
pub(crate) fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest(written, candidates).map(|candidate| format!("; did you mean `{candidate}`?")).unwrap_or_default()
}

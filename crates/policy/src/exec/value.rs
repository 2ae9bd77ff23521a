//! What a flag's value or an operand may be: a pattern, or one of a few kinds that patterns can't say.

use super::arguments::Argument;
use super::shell::Form;
use super::{scripts, sql};
use crate::pattern::{Wildcard, unfold};
use crate::place::{did_you_mean, quoted};

/// The kinds by name, as they are written.
const KINDS: [&str; 6] = ["<number>", "<name>", "<inside>", "<select>", "<awk>", "<sed>"];

#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// One of these patterns.
    Patterns(Vec<Wildcard>),
    /// Digits.
    Number,
    /// Letters, digits, `_`, `.`, `-`, `/`, `:`, not at the start a dash, and no `..` in it.
    Name,
    /// A path that stays below the working directory: relative, without `..`.
    Inside,
    /// One SQL statement that only reads.
    Select,
    /// An `awk` program that only reads its input and prints.
    Awk,
    /// A `sed` script that only prints, deletes and substitutes.
    Sed,
}

impl Value {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "<number>" => Self::Number,
            "<name>" => Self::Name,
            "<inside>" => Self::Inside,
            "<select>" => Self::Select,
            "<awk>" => Self::Awk,
            "<sed>" => Self::Sed,
            _ if text.starts_with('<') && text.ends_with('>') => {
                let hint = did_you_mean(text, KINDS);
                return Err(format!("{} is no kind of value{hint}; there are {}", quoted(text), KINDS.join(", ")));
            }
            "" => return Err("an empty pattern matches nothing; write `*` for anything".into()),
            text => Self::Patterns(unfold(text)?.iter().map(|text| Wildcard::new(text)).collect()),
        })
    }

    pub(crate) fn is_any(&self) -> bool {
        matches!(self, Self::Patterns(patterns) if patterns.iter().any(Wildcard::is_any))
    }

    /// Whether this text is one.
    pub(crate) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(text.as_bytes(), false)),
            Self::Number => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Name => {
                !text.is_empty()
                    && !text.starts_with(['-', '/'])
                    && !text.contains("..")
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/:@".contains(&byte))
            }
            Self::Inside => {
                !text.is_empty()
                    && !text.starts_with(['/', '~'])
                    && !text.contains(':')
                    && text.split('/').all(|part| part != "..")
            }
            Self::Select => sql::only_reads(text),
            Self::Awk => scripts::awk_only_prints(text),
            Self::Sed => scripts::sed_only_edits(text),
        }
    }

    /// Whether the argument is sure to be one.
    pub(crate) fn takes(&self, argument: Argument<'_>) -> bool {
        match argument.form {
            Form::Known => self.holds(argument.text),
            Form::One | Form::Many => self.is_any(),
        }
    }

    /// Whether it could be one.
    pub(crate) fn could_take(&self, argument: Argument<'_>) -> bool {
        argument.form != Form::Known || self.holds_in_any_case(argument.text)
    }

    fn holds_in_any_case(&self, text: &str) -> bool {
        match self {
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(text.as_bytes(), true)),
            _ => self.holds(text),
        }
    }
}

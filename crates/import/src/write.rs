//! Writes a policy as a person would: sections, lists one entry a line, a comment where something is worth knowing.

use std::fmt::Write as _;

use crate::report::{Fate, Report, quoted as shown};

/// A policy's text in the making.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    fn line(&mut self, text: &str) {
        let indent = self.depth * 2;
        let _ = writeln!(self.text, "{:indent$}{text}", "");
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// What a policy begins with; without a name or a description where it has none.
    pub(crate) fn heading(&mut self, name: &str, description: &str) {
        self.word("bartizan", 1);
        for (key, value) in [("name", name), ("description", description)] {
            if !value.is_empty() {
                self.text(key, value);
            }
        }
        self.blank();
    }

    /// A comment; control characters can't end it early.
    pub(crate) fn comment(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() || is_break(c) { ' ' } else { c }).collect();
        self.line(&format!("# {text}"));
    }

    /// `key: "text"`.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.line(&format!("{key}: {}", quoted(value)));
    }

    /// `key: word`, for numbers, effects and other words that need no quotes.
    pub(crate) fn word(&mut self, key: &str, value: impl std::fmt::Display) {
        self.line(&format!("{key}: {value}"));
    }

    /// `key:` and what `inside` writes below it.
    pub(crate) fn section(&mut self, key: &str, inside: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        self.line(&format!("{key}:"));
        let filled = self.text.len();
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        if self.text.len() == filled {
            self.text.truncate(start);
        }
    }

    /// `key:` and a list of texts; nothing at all when it is empty.
    pub(crate) fn list<T: AsRef<str>>(&mut self, key: &str, entries: &[T]) {
        if entries.is_empty() {
            return;
        }
        self.section(key, |writer| {
            for entry in entries {
                writer.line(&format!("- {}", quoted(entry.as_ref())));
            }
        });
    }

    /// `key: []` where nothing but an empty list says it.
    pub(crate) fn list_even_empty<T: AsRef<str>>(&mut self, key: &str, entries: &[T]) {
        if entries.is_empty() {
            self.line(&format!("{key}: []"));
        } else {
            self.list(key, entries);
        }
    }

    /// `key:` and a list of mappings in one line each; values are written as they come.
    pub(crate) fn mappings(&mut self, key: &str, entries: &[Vec<(&str, String)>]) {
        if entries.is_empty() {
            return;
        }
        self.section(key, |writer| {
            for entry in entries {
                let pairs: Vec<String> = entry.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                writer.line(&format!("- {{ {} }}", pairs.join(", ")));
            }
        });
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// Why the policy language would refuse this one line beside `bartizan: 1`; `None` when it takes it.
pub(crate) fn refusal(line: &str) -> Option<String> {
    let errors = bartizan_policy::parse(format!("bartizan: 1\n{line}\n").as_bytes()).err()?;
    Some(errors.errors().first().map_or_else(|| "it can't be read".to_owned(), |error| error.message.clone()))
}

/// Those of the entries the language takes in this place (`net: { allow: [ENTRY] }`); the others are told.
pub(crate) fn accepted(
    entries: Vec<String>,
    part: &str,
    before: &str,
    after: &str,
    fate: Fate,
    report: &mut Report,
) -> Vec<String> {
    let taken = |entry: &String| match refusal(&format!("{before}{}{after}", quoted(entry))) {
        None => true,
        Some(problem) => {
            report.add(format!("{part} `{}`", shown(entry)), fate, format!("left out: {problem}"));
            false
        }
    };
    entries.into_iter().filter(taken).collect()
}

/// A text between quotes, as YAML and JSON both read it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_break(c) || c == '\u{feff}' => {
                let _ = write!(out, "\\u{:04X}", u32::from(c).min(0xffff));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Characters YAML takes for the end of a line.
fn is_break(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}')
}

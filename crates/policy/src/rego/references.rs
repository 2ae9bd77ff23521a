//! Checks what a module reads of `input` against the documented input: a field that doesn't exist would be
//! undefined, and a rule on it would never hold. Reads the text with as much of Rego's grammar as it takes to
//! know strings and comments from code.

use crate::place::{closest, quoted};

/// A field a module names that no input has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
}

/// What an input holds: fields by name, or anything.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) open: bool,
    pub(super) fields: std::collections::BTreeMap<String, Shape>,
}

impl Shape {
    /// From a JSON Schema whose alternatives (`oneOf`) are joined: a field of one kind of deed is a field.
    pub(super) fn of(schema: &serde_json::Value, definitions: &serde_json::Value, depth: u32) -> Self {
        let mut shape = Self::default();
        if depth == 0 {
            return Self { open: true, ..shape };
        }
        let resolve = |reference: &str| reference.rsplit('/').next().and_then(|name| definitions.get(name));
        if let Some(target) = schema.get("$ref").and_then(|reference| resolve(reference.as_str()?)) {
            shape.join(Self::of(target, definitions, depth - 1));
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            for inner in schema.get(key).and_then(|value| value.as_array()).into_iter().flatten() {
                shape.join(Self::of(inner, definitions, depth - 1));
            }
        }
        for (name, inner) in schema.get("properties").and_then(|value| value.as_object()).into_iter().flatten() {
            shape.fields.entry(name.clone()).or_default().join(Self::of(inner, definitions, depth - 1));
        }
        if shape.fields.is_empty() {
            // A scalar, a list or anything at all: what is read of it can't be known from here.
            shape.open = true;
        }
        shape
    }

    fn join(&mut self, other: Self) {
        for (name, shape) in other.fields {
            self.fields.entry(name).or_default().join(shape);
        }
        self.open |= other.open && self.fields.is_empty();
    }
}

/// Every reference to `input` in the text that no input can answer.
pub(super) fn check(text: &str, shape: &Shape) -> Vec<Unknown> {
    /// More than anybody reads at once.
    const UNKNOWN_MAX: usize = 20;
    let mut found = Vec::new();
    let mut rest = Cursor::new(text);
    let mut before = ' ';
    while let Some(character) = rest.peek() {
        match character {
            '#' => rest.skip_while(|c| c != '\n'),
            '"' | '`' => rest.skip_text(),
            c if is_word(c) => {
                let (line, column) = (rest.line, rest.column);
                let word = rest.word();
                if word == "input" && before != '.' && !found_enough(&found, UNKNOWN_MAX) {
                    follow(&mut rest, shape, (line, column), &mut found);
                }
                before = 'a';
                continue;
            }
            _ => {
                rest.next();
            }
        }
        before = character;
    }
    found
}

/// How much work the engine's parser makes of brackets in each other: it reads what stands in `[…]` and `{…}` as one
/// kind of term after the other, so every level doubles the work.
pub(super) fn nesting_cost(text: &str) -> u64 {
    let mut rest = Cursor::new(text);
    let (mut depth, mut cost) = (0_u32, 0_u64);
    while let Some(character) = rest.peek() {
        match character {
            '#' => rest.skip_while(|c| c != '\n'),
            '"' | '`' => rest.skip_text(),
            '[' | '{' => {
                depth += 1;
                cost = cost.saturating_add(1_u64.checked_shl(depth).unwrap_or(u64::MAX));
                rest.next();
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                rest.next();
            }
            _ => rest.next(),
        }
    }
    cost
}

fn found_enough(found: &[Unknown], most: usize) -> bool {
    found.len() >= most
}

fn follow(rest: &mut Cursor<'_>, shape: &Shape, place: (u32, u32), found: &mut Vec<Unknown>) {
    let mut shape = shape;
    let mut path = String::from("input");
    while rest.peek() == Some('.') && !shape.open {
        rest.next();
        let name = rest.word();
        if name.is_empty() {
            return;
        }
        path.push('.');
        path.push_str(name);
        match shape.fields.get(name) {
            Some(inner) => shape = inner,
            None => {
                let near = closest(name, shape.fields.keys().map(String::as_str));
                let names: Vec<&str> = shape.fields.keys().map(String::as_str).collect();
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", names.join(", ")),
                };
                let message = format!("{} is never there; {hint}", quoted(&path));
                found.push(Unknown { line: place.0, column: place.1, message });
                return;
            }
        }
    }
}

pub(super) fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// A place in a module's text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    offset: usize,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, offset: 0, line: 1, column: 1 }
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    /// Passes over a text, of either kind.
    pub(super) fn skip_text(&mut self) {
        if self.peek() == Some('`') {
            self.next();
            self.skip_while(|c| c != '`');
            self.next();
        } else {
            self.skip_string();
        }
    }

    /// Passes over brackets and what is in them; gives that, without the texts.
    pub(super) fn skip_brackets(&mut self) -> String {
        let (mut depth, mut inside) = (0_u32, String::new());
        while let Some(character) = self.peek() {
            match character {
                '"' | '`' => {
                    self.skip_text();
                    continue;
                }
                '#' => {
                    self.skip_while(|c| c != '\n');
                    continue;
                }
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            inside.push(character);
            self.next();
            if depth == 0 {
                break;
            }
        }
        inside
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.text.get(self.offset..)?.chars().next()
    }

    pub(super) fn next(&mut self) {
        if let Some(character) = self.peek() {
            self.offset += character.len_utf8();
            self.column += 1;
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            }
        }
    }

    pub(super) fn skip_while(&mut self, holds: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&holds) {
            self.next();
        }
    }

    fn skip_string(&mut self) {
        self.next();
        while let Some(character) = self.peek() {
            self.next();
            match character {
                '\\' => self.next(),
                '"' | '\n' => return,
                _ => {}
            }
        }
    }

    pub(super) fn word(&mut self) -> &'a str {
        let start = self.offset;
        self.skip_while(is_word);
        self.text.get(start..self.offset).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        let schema = serde_json::json!({"properties": {
            "deed": {"oneOf": [
                {"properties": {"kind": {"const": "exec.run"}, "program": {"type": "string"}}},
                {"properties": {"kind": {"const": "tool.call"}, "arguments": {}}}
            ]},
            "now_ns": {"type": "integer"}
        }});
        Shape::of(&schema, &serde_json::Value::Null, 8)
    }

    fn check_one(text: &str) -> Option<String> {
        check(text, &shape()).into_iter().next().map(|unknown| unknown.message)
    }

    #[test]
    fn brackets_in_each_other_cost_twice_as_much_each_level() {
        assert_eq!(nesting_cost("a[0] { b }"), 4);
        assert_eq!(nesting_cost("[[[1]]]"), 2 + 4 + 8);
        assert_eq!(nesting_cost("\"[[[\" # [[[\n`[[[`"), 0);
        assert!(nesting_cost(&"[".repeat(200)) > 1 << 60);
    }

    #[test]
    fn a_field_no_input_has_is_named() {
        for fine in [
            "input.deed.program == \"x\"",
            "input.deed.arguments.anything.goes",
            "x.input.nowhere",
            "# input.nowhere",
            "\"input.nowhere \\\" input.nowhere\"",
            "`input.nowhere`",
            "input[\"nowhere\"]",
            "input.deed[x].y",
            "my_input.nowhere",
        ] {
            assert_eq!(check_one(fine), None, "{fine}");
        }
        assert_eq!(
            check_one("input.deed.progam").unwrap(),
            "`input.deed.progam` is never there; did you mean `program`?"
        );
        assert_eq!(check_one("input.x").unwrap(), "`input.x` is never there; there are deed, now_ns");
        let place = check("\n  input.nowhere", &shape());
        assert_eq!((place[0].line, place[0].column), (2, 3));
    }
}

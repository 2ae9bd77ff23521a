//! What people see: colours that can be turned off, tables, errors that end with the next step.

use std::io::{self, IsTerminal, Write};

use bartizan_model::Effect;
use bartizan_scan::{Redactor, printable};

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How text is dressed.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    colours: bool,
}

impl Style {
    /// The style for standard output and standard error.
    pub fn new(colour: Colour) -> Self {
        let wanted = std::env::var_os(bartizan_api::env::NO_COLOR).is_none_or(|value| value.is_empty());
        let colours = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => wanted && io::stdout().is_terminal() && io::stderr().is_terminal(),
        };
        Self { colours }
    }

    /// Whether colours are on.
    pub fn colours(self) -> bool {
        self.colours
    }

    fn dress(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Headings and names.
    pub fn bold(self, text: &str) -> String {
        self.dress("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.dress("2", text)
    }

    /// Good.
    pub fn good(self, text: &str) -> String {
        self.dress("32", text)
    }

    /// Worth a look.
    pub fn warn(self, text: &str) -> String {
        self.dress("33", text)
    }

    /// Bad.
    pub fn bad(self, text: &str) -> String {
        self.dress("31", text)
    }

    /// The word for an effect in its colour.
    pub fn effect(self, effect: Effect) -> String {
        match effect {
            Effect::Allow => self.good("allow"),
            Effect::Ask => self.warn("ask"),
            Effect::Deny => self.bad("deny"),
        }
    }
}

/// Prints an error with its causes; every text passes the redactor and is made safe for terminals.
pub fn print_error(style: Style, error: &anyhow::Error) {
    let redactor = Redactor::standard();
    let mut text = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let cause = cause.to_string();
        if depth > 0 && text.contains(&cause) {
            continue;
        }
        if depth > 0 {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    let text = redactor.redact(&text);
    let lines: Vec<String> = text.lines().map(|line| printable(line).into_owned()).collect();
    let _ = writeln!(io::stderr(), "{} {}", style.bad("bartizan:"), lines.join("\n  "));
}

/// Whether whoever read our output has gone away, which is no failure of ours.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

/// Prints one JSON value and a newline.
pub fn print_json<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, value).map_err(io::Error::from)?;
    writeln!(stdout)?;
    Ok(())
}

/// Prints one JSON value on a line of its own.
pub fn print_json_line<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, value).map_err(io::Error::from)?;
    writeln!(stdout)?;
    Ok(())
}

/// Columns as wide as their widest cell; cells may hold colours.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(style: Style, headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| style.dim(heading)).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether it has only its headings.
    pub fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    /// Prints it to standard output.
    pub fn print(&self) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows.iter().filter_map(|row| row.get(column)).map(|cell| visible_width(cell)).max().unwrap_or(0)
            })
            .collect();
        let mut stdout = io::stdout().lock();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(visible_width(cell)) + 2));
            }
            writeln!(stdout, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Characters that show, not counting colour sequences.
fn visible_width(cell: &str) -> usize {
    let mut width = 0;
    let mut characters = cell.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            characters.by_ref().find(|character| *character == 'm');
        } else {
            width += 1;
        }
    }
    width
}

/// At most this many characters of a text, safe for a terminal.
pub fn short(text: &str, characters_max: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= characters_max {
        return text.into_owned();
    }
    text.chars().take(characters_max.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_room() {
        assert_eq!(visible_width("\x1b[31mdeny\x1b[0m"), 4);
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(short("a\x1b[2Jb", 20).find('\x1b'), None);
    }
}

//! Lines of the panel: wrapped to the window, measured as a terminal does, styled only where colour is wanted.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns for the names of fields.
const LABEL_COLUMNS: usize = 11;

/// Narrower windows have no room for a column of labels.
const LABELLED_COLUMNS_MIN: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Strong,
    /// Over the whole width, reversed.
    Bar,
    Warning,
    Alarm,
}

/// One line: a label and a value, either of which may be empty.
#[derive(Debug, Clone)]
pub(super) struct Line {
    label: String,
    value: String,
    style: Style,
}

impl Line {
    pub(super) fn plain(value: impl Into<String>) -> Self {
        Self::styled(Style::Plain, value)
    }

    pub(super) fn styled(style: Style, value: impl Into<String>) -> Self {
        Self { label: String::new(), value: value.into(), style }
    }

    /// Without styles.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.label, self.value)
    }

    /// Writes at most `columns` columns. Bold and reverse need no colours and stay.
    pub(super) fn write(&self, color: bool, columns: usize, bytes: &mut Vec<u8>) {
        let start: &[u8] = match (self.style, color) {
            (Style::Plain, _) => b"",
            (Style::Strong, _) => b"\x1b[1m",
            (Style::Bar, true) => b"\x1b[1;37;44m",
            (Style::Bar, false) => b"\x1b[7m",
            (Style::Warning, true) => b"\x1b[1;33m",
            (Style::Alarm, true) => b"\x1b[1;31m",
            (Style::Warning | Style::Alarm, false) => b"\x1b[1m",
        };
        let label = cut(&self.label, columns);
        bytes.extend_from_slice(label.as_bytes());
        bytes.extend_from_slice(start);
        let mut value = cut(&self.value, columns - label.width());
        if self.style == Style::Bar {
            let missing = columns.saturating_sub(value.width());
            value.push_str(&" ".repeat(missing));
        }
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\x1b[m");
    }
}

/// Sets a named value, over as many lines as it needs.
pub(super) fn fit(label: &str, value: &str, style: Style, columns: usize, lines: &mut Vec<Line>) {
    if columns < LABELLED_COLUMNS_MIN {
        let parts = wrap(&format!("{label}: {value}"), columns);
        lines.extend(parts.into_iter().map(|part| Line::styled(style, part)));
        return;
    }
    for (index, part) in wrap(value, columns - LABEL_COLUMNS).into_iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        lines.push(Line { label: format!(" {label:<width$}", width = LABEL_COLUMNS - 1), value: part, style });
    }
}

/// Breaks text into parts of at most `columns` columns: at spaces where there are some, else anywhere.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut width = 0;
    for letter in text.chars() {
        let letter_width = letter.width().unwrap_or(0);
        if width + letter_width > columns {
            // A word moves to the next line whole if it fits there and leaves this one mostly full.
            let break_at = part.rfind(' ').filter(|at| *at * 2 > part.len()).map_or(part.len(), |at| at + 1);
            let rest = part.split_off(break_at);
            parts.push(std::mem::replace(&mut part, rest));
            width = part.width();
        }
        part.push(letter);
        width += letter_width;
    }
    if !part.is_empty() || parts.is_empty() {
        parts.push(part);
    }
    parts
}

fn cut(text: &str, columns: usize) -> String {
    let mut width = 0;
    text.chars()
        .take_while(|letter| {
            width += letter.width().unwrap_or(0);
            width <= columns
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_by_width_and_loses_nothing() {
        assert_eq!(wrap("hello wide world", 11), ["hello wide ", "world"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("", 10), [""]);
        for columns in 0..20 {
            assert_eq!(wrap("https://例え.jp/a b?c=d é", columns).concat(), "https://例え.jp/a b?c=d é");
        }
    }

    #[test]
    fn cuts_by_width() {
        assert_eq!(cut("日本語", 5), "日本");
        assert_eq!(cut("abc", 0), "");
    }
}

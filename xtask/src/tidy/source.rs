//! What every source file owes its reader.

use anyhow::Result;

use super::{Findings, House, Source};

/// Lines without tests at which one looks for the seam, and at which one must have found it.
const LINES_WARN: usize = 600;
const LINES_MAX: usize = 800;

/// Words in the paragraph that opens a crate: what it does, what it never does, where to start reading.
const OPENING_WORDS_MIN: usize = 20;

/// Left-overs. Written in two halves, so that this file doesn't find itself.
const UNFINISHED: &[(&str, &str)] = &[
    (concat!("#[", "ignore"), "a test that doesn't run proves nothing"),
    (concat!("todo", "!("), "finish it or leave it out"),
    (concat!("unimplemented", "!("), "finish it or leave it out"),
    (concat!("dbg", "!("), "a debugging aid"),
];

/// How a process begins its reason that other tests start by its test's name: `"run by …"`, `"runs inside …"`.
const RUN_BY_OTHERS: &str = concat!("#[", "ignore = \"run");

pub(super) fn check(house: &House, findings: &mut Findings) -> Result<()> {
    for source in &house.sources {
        check_opening(source, findings);
        check_length(source, findings);
        check_unfinished(source, findings);
    }
    Ok(())
}

fn check_opening(source: &Source, findings: &mut Findings) {
    if !source.path.ends_with("/src/lib.rs") {
        if !source.text.starts_with("//!") && !source.is_test() {
            findings.error(format!("{}: opens without a `//!` line that says what it is for", source.path));
        }
        return;
    }
    let words: usize = source
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.split_whitespace().count())
        .sum();
    if words < OPENING_WORDS_MIN {
        findings.error(format!(
            "{}: opens with {words} words of `//!`; say what the crate does, what it never does, where to start reading",
            source.path
        ));
    }
}

fn check_length(source: &Source, findings: &mut Findings) {
    if source.is_test() {
        return;
    }
    let lines = source.without_tests().lines().count();
    let message = format!("{}: {lines} lines without tests; look for the seam", source.path);
    if lines > LINES_MAX {
        findings.error(message);
    } else if lines > LINES_WARN {
        findings.warning(message);
    }
}

fn check_unfinished(source: &Source, findings: &mut Findings) {
    for (number, line) in source.text.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (pattern, reason) in UNFINISHED {
            if line.contains(pattern) && !line.contains(RUN_BY_OTHERS) {
                findings.error(format!("{}:{}: `{pattern}`: {reason}", source.path, number + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Findings, *};

    fn errors(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.into(), text: text.into() };
        let mut findings = Findings::default();
        check_opening(&source, &mut findings);
        check_length(&source, &mut findings);
        check_unfinished(&source, &mut findings);
        findings.errors
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert!(errors("crates/x/src/a.rs", "//! Does a.\n").is_empty());
        assert_eq!(errors("crates/x/src/a.rs", "use std::fs;\n").len(), 1);
        assert_eq!(errors("crates/x/src/lib.rs", "//! too short\n").len(), 1);
    }

    #[test]
    fn nothing_is_left_unfinished() {
        let line = format!("//! Does a.\nfn a() {{ {}) }}\n", concat!("todo", "!("));
        assert_eq!(errors("crates/x/src/a.rs", &line).len(), 1);
        assert!(errors("crates/x/src/a.rs", &format!("//! Does a.\n// {line}")).len() < 2);
    }

    #[test]
    fn long_files_are_refused_and_their_tests_dont_count() {
        let long = format!("//! Does a.\n{}", "fn a() {}\n".repeat(LINES_MAX));
        assert_eq!(errors("crates/x/src/a.rs", &long).len(), 1);
        let tested = format!("//! Does a.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn a() {}\n".repeat(LINES_MAX));
        assert!(errors("crates/x/src/a.rs", &tested).is_empty());
    }
}

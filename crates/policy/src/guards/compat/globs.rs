//! Globs as the other program reads them: `*` crosses separators, `**/` stands for any number of whole directories.

use std::fmt::Write as _;

use regex::bytes::{RegexSet, RegexSetBuilder};

use crate::place::At;

/// Longest glob.
const GLOB_BYTES_MAX: usize = 1000;
/// Largest compiled form of one list.
const COMPILED_BYTES_MAX: usize = 8 << 20;

/// What a list of globs is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Paths,
    Hosts,
}

/// A list of globs.
#[derive(Debug)]
pub(super) struct Globs {
    set: RegexSet,
}

impl Globs {
    pub(super) fn compile(globs: &[At<String>], over: Over) -> Self {
        let patterns: Vec<String> = globs.iter().filter_map(|glob| translate(&glob.value, over).ok()).collect();
        let set = RegexSetBuilder::new(&patterns)
            .unicode(false)
            .case_insensitive(over == Over::Hosts)
            .dot_matches_new_line(true)
            .size_limit(COMPILED_BYTES_MAX)
            .build();
        Self { set: set.unwrap_or_else(|_| RegexSet::empty()) }
    }

    /// The first glob that matches.
    pub(super) fn first(&self, text: &[u8]) -> Option<usize> {
        self.set.matches(text).iter().next()
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        self.set.is_match(text)
    }
}

/// Why a glob can't be read; `None` when it can.
pub(crate) fn problem(glob: &str) -> Option<&'static str> {
    translate(glob, Over::Hosts).err().or_else(|| translate(glob, Over::Paths).err())
}

fn translate(glob: &str, over: Over) -> Result<String, &'static str> {
    if glob.len() > GLOB_BYTES_MAX {
        return Err("a glob has at most 1000 bytes");
    }
    let mut out = String::from("^");
    let mut rest = glob;
    let mut starts_step = true;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**") {
            let after = after.trim_start_matches('*');
            if over == Over::Paths && starts_step && rest.starts_with("**") && !rest.starts_with("***") {
                if let Some(after) = after.strip_prefix('/') {
                    out.push_str("(?:.*/)?");
                    rest = after;
                    continue;
                }
                if after.is_empty() {
                    out.push_str(".*");
                    rest = after;
                    continue;
                }
            }
            if over == Over::Paths {
                return Err("`**` must stand alone between slashes");
            }
            out.push_str(".*");
            rest = after;
            starts_step = false;
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        starts_step = c == '/';
        match c {
            '*' => out.push_str(".*"),
            // One character, however many bytes it has.
            '?' => out.push_str(r"(?:[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]{1,3})"),
            '[' => {
                // A class may hold `]` as its first member.
                let skip = if rest.starts_with("!]") { 2 } else { usize::from(rest.starts_with(']')) };
                let end = rest.get(skip..).and_then(|tail| tail.find(']')).map(|end| end + skip);
                let class = end.and_then(|end| rest.get(..end)).ok_or("a `[` is open")?;
                rest = rest.get(class.len() + 1..).unwrap_or_default();
                let (negated, class) = class.strip_prefix('!').map_or((false, class), |class| (true, class));
                if !class.is_ascii() || class.is_empty() {
                    return Err("a class holds ASCII characters");
                }
                out.push_str(if negated { "[^" } else { "[" });
                let members: Vec<char> = class.chars().collect();
                for (at, member) in members.iter().enumerate() {
                    let range = *member == '-' && at > 0 && at + 1 < members.len();
                    if range {
                        out.push('-');
                    } else {
                        let _ = write!(out, "\\x{:02x}", u32::from(*member));
                    }
                }
                out.push(']');
            }
            '{' if over == Over::Hosts => {
                let end = rest.find('}').ok_or("a `{` is open")?;
                let inside = rest.get(..end).unwrap_or_default();
                if inside.contains(['{', '*', '?', '[']) {
                    return Err("braces hold plain words");
                }
                let words: Vec<String> = inside.split(',').map(escape).collect();
                let _ = write!(out, "(?:{})", words.join("|"));
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            c => out.push_str(&escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    Ok(out)
}

/// Every byte by its number, so that nothing in it is an expression.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "\\x{byte:02x}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    fn matches(over: Over, glob: &str, text: &str) -> bool {
        let place = Place { source: "test".into(), line: 1, column: 1 };
        assert_eq!(problem(glob), None, "{glob}");
        Globs::compile(&[At { value: glob.to_owned(), place }], over).matches(text.as_bytes())
    }

    #[test]
    fn paths_as_over_there() {
        let is = |glob, text| matches(Over::Paths, glob, text);
        assert!(is("**/.ssh/**", "/home/a/.ssh/id_rsa") && is("**/.env", "/w/.env") && is("**/.env", ".env"));
        assert!(is("**/id_rsa*", "/x/id_rsa/deep/file"), "`*` crosses `/`");
        assert!(is("/etc/shadow", "/etc/shadow") && !is("/etc/shadow", "/ETC/shadow"), "case counts");
        assert!(!is("**/.ssh/**", "/home/a/.ssh") && !is("**/foo", "/barfoo"));
        assert!(is("a?c", "aéc") && is("[a-c]x", "bx") && !is("[!a-c]x", "bx"));
    }

    #[test]
    fn hosts_as_over_there() {
        let is = |glob, text| matches(Over::Hosts, glob, text);
        assert!(is("*.openai.com", "API.openai.com") && is("*.openai.com", "a.b.openai.com"));
        assert!(!is("*.openai.com", "openai.com") && !is("*.openai.com", "openai.com.evil"));
        assert!(is("api-*.x.com", "api-1.2.x.com") && is("{a,b}.x", "b.x") && is("*", "10.0.0.1"));
        assert!(!is("a.x", "aax"));
    }

    #[test]
    fn unreadable_globs_are_told() {
        for bad in ["a**b", "[ab", "***/x", "{a", "{*}"] {
            assert!(problem(bad).is_some(), "{bad}");
        }
    }
}

//! Lists of HTTP requests beside a host: methods and path patterns.

use crate::language::HttpRule;
use crate::path::has_one_reading;
use crate::pattern::PathPattern;
use crate::place::quoted;
use crate::rule::id;
use crate::tree::{Mode, Tree};

/// A pattern over request paths.
pub(crate) struct RequestPattern;

impl RequestPattern {
    /// Reads a pattern; the message says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Vec<PathPattern>, String> {
        if !text.starts_with('/') {
            return Err(format!("{} is no request path; it starts with `/`", quoted(text)));
        }
        if text.contains(['?', '#']) {
            return Err(format!("{}: rules are over the path, without query and fragment", quoted(text)));
        }
        if !has_one_reading(&text.replace(['*', '{', '}', ','], "x")) {
            return Err(format!(
                "{} could be read in several ways; write it without `.` and `..` steps, doubled slashes and encoded letters",
                quoted(text)
            ));
        }
        PathPattern::parse(text)
    }
}

/// A compiled list.
#[derive(Debug)]
pub(crate) struct Requests {
    entries: Vec<Entry>,
    paths: Tree,
    /// Whether it holds back: then a path that could be read in several ways counts as a match.
    restricts: bool,
}

#[derive(Debug)]
struct Entry {
    methods: Vec<String>,
    any_path: bool,
}

impl Requests {
    pub(crate) fn compile(rules: &[HttpRule], restricts: bool) -> Self {
        let mut compiled = Self { entries: Vec::new(), paths: Tree::new(Mode::Grant), restricts };
        for (index, rule) in rules.iter().enumerate() {
            compiled.entries.push(Entry { methods: rule.method.clone(), any_path: rule.path.is_none() });
            for pattern in rule.path.iter().flat_map(|path| RequestPattern::parse(path).unwrap_or_default()) {
                compiled.paths.insert(b"", &pattern.segments, id(index));
            }
        }
        compiled
    }

    pub(crate) fn matches(&self, method: &str, path: &str) -> bool {
        let method_fits = |entry: &Entry| {
            entry.methods.is_empty()
                || entry
                    .methods
                    .iter()
                    .any(|wanted| wanted == method || (self.restricts && wanted.eq_ignore_ascii_case(method)))
        };
        if self.entries.iter().any(|entry| entry.any_path && method_fits(entry)) {
            return true;
        }
        if !has_one_reading(path) {
            return self.restricts && self.entries.iter().any(method_fits);
        }
        let mut found = false;
        self.paths.visit(path.as_bytes(), |index| {
            found |= self.entries.get(index as usize).is_some_and(method_fits);
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(restricts: bool) -> Requests {
        let rule = |method: &[&str], path: Option<&str>| HttpRule {
            method: method.iter().map(|method| (*method).to_owned()).collect(),
            path: path.map(str::to_owned),
        };
        Requests::compile(&[rule(&["GET"], None), rule(&["POST", "PUT"], Some("/repos/me/**"))], restricts)
    }

    #[test]
    fn method_and_path_must_fit_together() {
        let list = list(false);
        assert!(
            list.matches("GET", "/anything") && list.matches("POST", "/repos/me/x") && list.matches("PUT", "/repos/me")
        );
        for (method, path) in [
            ("POST", "/repos/you/x"),
            ("DELETE", "/repos/me/x"),
            ("post", "/repos/me/x"),
            ("POST", "/repos/me/../you/x"),
            ("POST", "/repos/me%2f..%2fyou"),
            ("POST", "/repos/me/..;/you"),
            ("POST", "//repos/me/x"),
            ("POST", "/repos/%6de/x"),
        ] {
            assert!(!list.matches(method, path), "{method} {path}");
        }
    }

    #[test]
    fn what_holds_back_holds_back_the_ambiguous_too() {
        let list = list(true);
        assert!(list.matches("POST", "/x/../repos/me") && list.matches("put", "/%72epos/me/x"));
        assert!(!list.matches("POST", "/repos/you") && !list.matches("DELETE", "/x/../repos/me"));
    }

    #[test]
    fn patterns_are_paths() {
        for bad in ["x", "", "/a?b", "/a#b", "/a/../b", "/a//b", "/%2e/x", "/a b"] {
            assert!(RequestPattern::parse(bad).is_err(), "{bad}");
        }
        assert!(RequestPattern::parse("/{a,b}/*/c**").is_err());
        assert!(RequestPattern::parse("/{a,b}/*/**").is_ok());
    }
}

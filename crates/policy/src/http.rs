//! Lists of HTTP requests beside a host: methods, path patterns and parameters of the query.

use smallvec::SmallVec;

use crate::language::HttpRule;
use crate::path::has_one_reading;
use crate::pattern::{PathPattern, Wildcard};
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
    query: Vec<(String, Wildcard)>,
}

impl Requests {
    pub(crate) fn compile(rules: &[HttpRule], restricts: bool) -> Self {
        let mut compiled = Self { entries: Vec::new(), paths: Tree::new(Mode::Grant), restricts };
        for (index, rule) in rules.iter().enumerate() {
            compiled.entries.push(Entry {
                methods: rule.method.clone(),
                any_path: rule.path.is_none(),
                query: rule.query.iter().map(|(name, value)| (name.clone(), Wildcard::new(value))).collect(),
            });
            for pattern in rule.path.iter().flat_map(|path| RequestPattern::parse(path).unwrap_or_default()) {
                compiled.paths.insert(b"", &pattern.segments, id(index));
            }
        }
        compiled
    }

    pub(crate) fn matches(&self, method: &str, path: &str, query: Option<&str>) -> bool {
        let method_fits = |entry: &Entry| {
            let fits = entry.methods.is_empty()
                || entry
                    .methods
                    .iter()
                    .any(|wanted| wanted == method || (self.restricts && wanted.eq_ignore_ascii_case(method)));
            fits && entry.query.iter().all(|(name, value)| parameter_fits(query, name, value, self.restricts))
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

/// Whether the query has this parameter with such a value. Servers differ in which of several they take, in what
/// separates them, and in what else they take for the same name (`a[]`, ` a`, `A`). What grants wants every one of
/// them to fit, written plainly; what holds back is content with one that might.
fn parameter_fits(query: Option<&str>, name: &str, value: &Wildcard, restricts: bool) -> bool {
    let mut found = false;
    for pair in query.unwrap_or_default().split(['&', ';']) {
        let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(own_name), Some(own_value)) = (decoded(raw_name), decoded(raw_value)) else {
            return restricts;
        };
        if !names_alike(&own_name, name) {
            continue;
        }
        let fits = value.matches(&own_value, restricts);
        if restricts && fits {
            return true;
        }
        if !restricts && (!fits || own_name.as_slice() != name.as_bytes()) {
            return false;
        }
        found = true;
    }
    // A separator to some servers and a letter to others.
    found && !restricts && !query.is_some_and(|query| query.contains(';'))
}

fn names_alike(own: &[u8], wanted: &str) -> bool {
    let own = own.split(|byte| matches!(byte, b'[' | 0)).next().unwrap_or_default();
    own.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
}

/// Percent-decoding as forms do it; `None` where an escape is none.
fn decoded(text: &str) -> Option<SmallVec<[u8; 64]>> {
    let mut out = SmallVec::new();
    let mut bytes = text.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit(bytes.next())? << 4 | digit(bytes.next())?).ok()?,
            byte => byte,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(restricts: bool) -> Requests {
        let rule = |method: &[&str], path: Option<&str>| HttpRule {
            method: method.iter().map(|method| (*method).to_owned()).collect(),
            path: path.map(str::to_owned),
            query: std::collections::BTreeMap::new(),
        };
        Requests::compile(&[rule(&["GET"], None), rule(&["POST", "PUT"], Some("/repos/me/**"))], restricts)
    }

    #[test]
    fn method_and_path_must_fit_together() {
        let list = list(false);
        assert!(
            list.matches("GET", "/anything", None)
                && list.matches("POST", "/repos/me/x", None)
                && list.matches("PUT", "/repos/me", None)
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
            assert!(!list.matches(method, path, None), "{method} {path}");
        }
    }

    #[test]
    fn what_holds_back_holds_back_the_ambiguous_too() {
        let list = list(true);
        assert!(list.matches("POST", "/x/../repos/me", None) && list.matches("put", "/%72epos/me/x", None));
        assert!(!list.matches("POST", "/repos/you", None) && !list.matches("DELETE", "/x/../repos/me", None));
    }

    #[test]
    fn parameters_must_be_there_and_fit() {
        let rule = HttpRule {
            method: vec!["GET".into()],
            path: Some("/me/**".into()),
            query: [("service".to_owned(), "git-*-pack".to_owned()), ("v".to_owned(), "1".to_owned())].into(),
        };
        let grants = Requests::compile(std::slice::from_ref(&rule), false);
        let holds_back = Requests::compile(&[rule], true);
        for query in ["service=git-upload-pack&v=1", "x=y&v=1&service=git%2dreceive-pack", "v=1&service=git-a-pack&v=1"]
        {
            assert!(grants.matches("GET", "/me/x", Some(query)), "{query}");
            assert!(holds_back.matches("GET", "/me/x", Some(query)), "{query}");
            assert!(!grants.matches("GET", "/you/x", Some(query)) && !grants.matches("POST", "/me/x", Some(query)));
        }
        for query in [None, Some(""), Some("v=1"), Some("service=git-upload-pack"), Some("service=x&v=1")] {
            assert!(!grants.matches("GET", "/me/x", query) && !holds_back.matches("GET", "/me/x", query), "{query:?}");
        }
        for query in [
            "service=git-upload-pack&v=1&v=2",
            "service=git-upload-pack&v=1&V=2",
            "service=git-upload-pack&v=1&v[]=2",
            "service=git-upload-pack&v=1&+v=2",
            "service=git-upload-pack&v=1&%76=2",
            "service=git-upload-pack;v=1",
            "service=git-upload-pack&v=1;x=y",
            "service=git-upload-pack&v=1&x=%zz",
            "SERVICE=git-upload-pack&V=1",
        ] {
            assert!(!grants.matches("GET", "/me/x", Some(query)), "{query}");
            assert!(holds_back.matches("GET", "/me/x", Some(query)), "{query}");
        }
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

//! Lists of HTTP requests beside a host: methods, path patterns, parameters of the query, headers, and what stands in
//! bodies of JSON and GraphQL.

use bartizan_model::{BodyNeed, RequestNeeds};
use smallvec::SmallVec;

use crate::language::HttpRule;
use crate::path::has_one_reading;
use crate::pattern::{PathPattern, Wildcard};
use crate::place::quoted;
use crate::request::graphql::{Operation, OperationKind};
use crate::request::json::Json;
use crate::request::{CONTENT_TYPE, Fit, Request, Unread};
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

/// A pattern over calls of gRPC, such as `package.Service/Method`, as one over the paths of their requests.
pub(crate) fn grpc_path(text: &str) -> Result<String, String> {
    let part = |part: &str, more: &[char]| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '*' || more.contains(&c))
    };
    match text.split_once('/') {
        Some((service, method)) if part(service, &['.']) && part(method, &[]) => Ok(format!("/{text}")),
        _ => Err(format!("{} is no call of gRPC; write `package.Service/Method` or `package.Service/*`", quoted(text))),
    }
}

/// Most bytes of a request and of its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByteLimits {
    /// Of the request's body.
    pub request: Option<u64>,
    /// Of the answer's body.
    pub response: Option<u64>,
}

impl ByteLimits {
    /// The smaller of each.
    pub(crate) fn min(self, other: Self) -> Self {
        let smaller = |one: Option<u64>, two: Option<u64>| one.into_iter().chain(two).min();
        Self { request: smaller(self.request, other.request), response: smaller(self.response, other.response) }
    }
}

/// A compiled list.
#[derive(Debug)]
pub(crate) struct Requests {
    entries: Vec<Entry>,
    paths: Tree,
    /// Whether it holds back: then what could be read in several ways counts as a match.
    restricts: bool,
}

#[derive(Debug)]
struct Entry {
    methods: Vec<String>,
    any_path: bool,
    query: Vec<(String, Wildcard)>,
    headers: Vec<(String, Wildcard)>,
    json: Vec<(Vec<String>, Vec<Wildcard>)>,
    graphql: Option<Graphql>,
    bytes: ByteLimits,
}

/// What operations must be like.
#[derive(Debug)]
struct Graphql {
    kinds: Vec<OperationKind>,
    names: Vec<Wildcard>,
    fields: Vec<Wildcard>,
}

impl Requests {
    pub(crate) fn compile(rules: &[HttpRule], restricts: bool) -> Self {
        let mut compiled = Self { entries: Vec::new(), paths: Tree::new(Mode::Grant), restricts };
        let patterns = |texts: &[String]| texts.iter().map(|text| Wildcard::new(text)).collect::<Vec<_>>();
        for (index, rule) in rules.iter().enumerate() {
            compiled.entries.push(Entry {
                methods: if rule.grpc.is_empty() { rule.method.clone() } else { vec!["POST".to_owned()] },
                any_path: rule.path.is_none() && rule.grpc.is_empty(),
                query: rule.query.iter().map(|(name, value)| (name.clone(), Wildcard::new(value))).collect(),
                headers: rule.header.iter().map(|(name, value)| (name.clone(), Wildcard::new(value))).collect(),
                json: rule.json.iter().map(|(path, values)| (steps(path), patterns(values))).collect(),
                graphql: rule.graphql.as_ref().map(|graphql| Graphql {
                    kinds: graphql.operation.clone(),
                    names: patterns(&graphql.name),
                    fields: patterns(&graphql.field),
                }),
                bytes: rule.bytes.as_ref().map_or_else(ByteLimits::default, |bytes| ByteLimits {
                    request: bytes.request.map(|bytes| bytes.0),
                    response: bytes.response.map(|bytes| bytes.0),
                }),
            });
            let calls = rule.grpc.iter().filter_map(|text| grpc_path(text).ok());
            let paths = rule.path.iter().cloned().chain(calls);
            for pattern in paths.flat_map(|path| RequestPattern::parse(&path).unwrap_or_default()) {
                compiled.paths.insert(b"", &pattern.segments, id(index));
            }
        }
        compiled
    }

    /// Whether one of the list fits.
    pub(crate) fn fit(&self, request: &Request<'_>) -> Fit {
        self.judge(request).0
    }

    /// The same, with the limits of all that fit.
    pub(crate) fn judge(&self, request: &Request<'_>) -> (Fit, ByteLimits) {
        let (mut best, mut limits) = (Fit::No, ByteLimits::default());
        self.each(request, |entry| match (entry.fit(request, self.restricts), best) {
            (Fit::Yes, _) => {
                best = Fit::Yes;
                limits = limits.min(entry.bytes);
            }
            (unread @ Fit::Unread(_), Fit::No) => best = unread,
            _ => {}
        });
        (best, limits)
    }

    /// Whether one of the list could fit by what stands before the headers, and if so what deciding it takes.
    pub(crate) fn needs(&self, request: &Request<'_>, needs: &mut RequestNeeds) {
        self.each(request, |entry| {
            if entry.reads_body() {
                needs.body = BodyNeed::Ruled;
            }
            let kind = entry.reads_body().then_some(CONTENT_TYPE);
            for name in entry.headers.iter().map(|(name, _)| name.as_str()).chain(kind) {
                if !needs.headers.iter().any(|known| known == name) {
                    needs.headers.push(name.to_owned());
                }
            }
        });
    }

    /// Whether some entry depends on more than method, path and query.
    pub(crate) fn looks_inside(&self) -> bool {
        self.entries.iter().any(|entry| entry.reads_body() || !entry.headers.is_empty())
    }

    /// Tells the entries that fit by method, path and query.
    fn each(&self, request: &Request<'_>, mut tell: impl FnMut(&Entry)) {
        let fits = |entry: &Entry| entry.fits_before_headers(request, self.restricts);
        let clear = has_one_reading(request.path);
        for entry in self.entries.iter().filter(|entry| entry.any_path || (!clear && self.restricts)) {
            if fits(entry) {
                tell(entry);
            }
        }
        if clear {
            self.paths.visit(request.path.as_bytes(), |index| {
                if let Some(entry) = self.entries.get(index as usize).filter(|entry| fits(entry)) {
                    tell(entry);
                }
            });
        }
    }
}

impl Entry {
    fn reads_body(&self) -> bool {
        !self.json.is_empty() || self.graphql.is_some()
    }

    fn fits_before_headers(&self, request: &Request<'_>, restricts: bool) -> bool {
        let method = self.methods.is_empty()
            || self
                .methods
                .iter()
                .any(|wanted| wanted == request.method || (restricts && wanted.eq_ignore_ascii_case(request.method)));
        method && self.query.iter().all(|(name, value)| parameter_fits(request.query, name, value, restricts))
    }

    fn fit(&self, request: &Request<'_>, restricts: bool) -> Fit {
        if !self.headers.iter().all(|(name, value)| header_fits(request, name, value, restricts)) {
            return Fit::No;
        }
        let body = || -> Result<bool, Unread> {
            for (path, values) in &self.json {
                if !field_fits(request, path, values, restricts)? {
                    return Ok(false);
                }
            }
            self.graphql.as_ref().map_or(Ok(true), |graphql| graphql.fits(request, restricts))
        };
        match body() {
            Ok(true) => Fit::Yes,
            Ok(false) => Fit::No,
            Err(unread) => Fit::Unread(unread),
        }
    }
}

impl Graphql {
    /// What grants wants every operation to fit, and every field of it; what holds back is content with one.
    fn fits(&self, request: &Request<'_>, restricts: bool) -> Result<bool, Unread> {
        let operations = request.operations()?;
        let named = |patterns: &[Wildcard], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name.as_bytes(), restricts))
        };
        let fits = |operation: &Operation| {
            let kind = self.kinds.is_empty() || self.kinds.contains(&operation.kind);
            let mut fields = operation.fields.iter();
            let fields = self.fields.is_empty()
                || if restricts {
                    fields.any(|field| named(&self.fields, field))
                } else {
                    fields.all(|field| named(&self.fields, field))
                };
            kind && named(&self.names, &operation.name) && fields
        };
        Ok(if restricts { operations.iter().any(fits) } else { operations.iter().all(fits) })
    }
}

/// The keys of a path such as `repository.owner`.
fn steps(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// Whether the request has this header with such a value: every one of that name where it grants, written just so.
fn header_fits(request: &Request<'_>, name: &str, value: &Wildcard, restricts: bool) -> bool {
    let mut found = false;
    for header in request.alike(name) {
        let fits = value.matches(header.value.trim().as_bytes(), restricts);
        if restricts && fits {
            return true;
        }
        if !restricts && (!fits || header.name != name) {
            return false;
        }
        found = true;
    }
    found && !restricts
}

/// Whether the body has this field with one of these values: wherever the path could lead where it grants.
fn field_fits(request: &Request<'_>, path: &[String], values: &[Wildcard], restricts: bool) -> Result<bool, Unread> {
    let Some(json) = request.json()? else { return Ok(false) };
    let (mut any, mut all) = (false, true);
    json.follow(path, true, &mut |value, exact| {
        let fits = match value {
            Some(Json::Text(text)) | Some(Json::Plain(Some(text))) => {
                values.iter().any(|pattern| pattern.matches(text.as_bytes(), restricts))
            }
            Some(Json::Plain(None)) => restricts,
            Some(Json::Object(_) | Json::List(_)) => values.iter().any(Wildcard::is_any),
            None => false,
        };
        any |= fits;
        all &= fits && exact;
    });
    Ok(if restricts { any } else { any && all })
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
pub(crate) fn decoded(text: &str) -> Option<SmallVec<[u8; 64]>> {
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

    impl Requests {
        fn matches(&self, method: &str, path: &str, query: Option<&str>) -> bool {
            let mut deed = crate::cases::request("GET https://host.test/").unwrap();
            if let bartizan_model::Deed::HttpRequest { method: m, path: p, query: q, .. } = &mut deed {
                (*m, *p, *q) = (method.to_owned(), path.to_owned(), query.map(str::to_owned));
            }
            self.fit(&Request::of(&deed).unwrap()) == Fit::Yes
        }
    }

    fn list(restricts: bool) -> Requests {
        let rule = |method: &[&str], path: Option<&str>| HttpRule {
            method: method.iter().map(|method| (*method).to_owned()).collect(),
            path: path.map(str::to_owned),
            ..HttpRule::default()
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
            ..HttpRule::default()
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

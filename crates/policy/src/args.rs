//! What rules over tools say of arguments, compiled. Paths and hosts are judged as the real file and host they
//! name: `..`, `file:` URLs, percent-encoding, disguised addresses undone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bartizan_model::Effect;
use serde_json::Value;

use crate::context::Context;
use crate::host::{Host, HostPattern};
use crate::language::{ArgRule, ArgType, ToolRule};
use crate::path;
use crate::pattern::{Base, PathPattern};
use crate::place::At;
use crate::tree::{Mode, Tree};

/// Most arguments one rule speaks of.
pub(crate) const ARGS_MAX: usize = 64;
/// Longest and deepest place of an argument.
const PLACE_BYTES_MAX: usize = 256;
const PLACE_STEPS_MAX: usize = 16;

/// Why this is no place of an argument; `None` when it is one.
pub(crate) fn place_problem(place: &str) -> Option<String> {
    if place.len() > PLACE_BYTES_MAX || place.split('.').count() > PLACE_STEPS_MAX {
        return Some(format!("a place has at most {PLACE_BYTES_MAX} bytes and {PLACE_STEPS_MAX} steps"));
    }
    let bad = place.split('.').any(|step| {
        let name = step.trim_end_matches("[]");
        name.is_empty() || name.contains(['[', ']']) || name.chars().any(char::is_control)
    });
    bad.then(|| "a place is written `name`, `outer.inner` or `list[].name`".to_owned())
}

/// What one rule demands of arguments.
#[derive(Debug)]
pub(crate) struct Args {
    checks: Vec<Check>,
    /// Names of the outermost arguments that may be there, when others may not.
    only: Option<Vec<String>>,
    /// The rule holds back: what can't be judged counts as a match.
    restricts: bool,
    workspace: String,
    home: String,
}

#[derive(Debug)]
struct Check {
    steps: Vec<Step>,
    rule: ArgRule,
    paths: Option<Tree>,
    hosts: Vec<HostPattern>,
}

#[derive(Debug)]
enum Step {
    Name(String),
    Each,
}

impl Args {
    /// `None` when the rule says nothing of arguments.
    pub(crate) fn compile(rule: &ToolRule, effect: Effect, context: &Context) -> Option<Self> {
        if rule.args.is_empty() && !rule.only {
            return None;
        }
        let restricts = effect != Effect::Allow;
        Some(Self {
            checks: checks(&rule.args, restricts, context),
            only: rule.only.then(|| {
                let first = |place: &String| place.split(['.', '[']).next().unwrap_or_default().to_owned();
                rule.args.keys().map(first).collect()
            }),
            restricts,
            workspace: String::from_utf8_lossy(context.workspace()).into_owned(),
            home: String::from_utf8_lossy(context.home()).into_owned(),
        })
    }

    /// Whether the arguments are such as the rule speaks of.
    pub(crate) fn fit(&self, arguments: &Value) -> bool {
        if let (Some(only), Value::Object(entries)) = (&self.only, arguments)
            && entries.keys().any(|key| !only.contains(key))
        {
            return self.restricts;
        }
        self.checks.iter().all(|check| self.holds(check, &check.steps, arguments))
    }

    fn holds(&self, check: &Check, steps: &[Step], value: &Value) -> bool {
        match (steps.split_first(), value) {
            (None, value) => self.is(check, value),
            (Some((Step::Name(name), rest)), Value::Object(entries)) => match entries.get(name) {
                Some(value) => self.holds(check, rest, value),
                None => check.rule.optional,
            },
            (Some((Step::Each, rest)), Value::Array(items)) => {
                // A rule that allows wants every item to fit, one that holds back is met by any.
                if self.restricts {
                    items.iter().any(|item| self.holds(check, rest, item))
                } else {
                    items.iter().all(|item| self.holds(check, rest, item))
                }
            }
            (Some(_), Value::Null) => check.rule.optional,
            // Another shape than the rule expects can't be judged.
            (Some(_), _) => self.restricts,
        }
    }

    fn is(&self, check: &Check, value: &Value) -> bool {
        let rule = &check.rule;
        let text = value.as_str();
        let number = value.as_f64();
        let of_type = |wanted: ArgType| match wanted {
            ArgType::Text => value.is_string(),
            ArgType::Number => value.is_number(),
            ArgType::Integer => value.is_i64() || value.is_u64(),
            ArgType::Truth => value.is_boolean(),
            ArgType::List => value.is_array(),
            ArgType::Object => value.is_object(),
            ArgType::Null => value.is_null(),
        };
        rule.r#type.is_none_or(of_type)
            && rule.pattern.as_ref().is_none_or(|pattern| text.is_some_and(|text| pattern.is_whole(text.as_bytes())))
            && (rule.one_of.is_empty() || rule.one_of.iter().any(|wanted| is_written(value, wanted)))
            && rule.min.is_none_or(|min| number.is_some_and(|number| number >= min))
            && rule.max.is_none_or(|max| number.is_some_and(|number| number <= max))
            && rule.length_max.is_none_or(|most| text.is_some_and(|text| text.chars().count() as u64 <= most))
            && rule.items_max.is_none_or(|most| value.as_array().is_some_and(|items| items.len() as u64 <= most))
            && check.paths.as_ref().is_none_or(|paths| match text.map(|text| file(text, &self.workspace, &self.home)) {
                Some(Some(path)) => {
                    let mut found = false;
                    paths.visit(path.as_bytes(), |_| found = true);
                    found
                }
                _ => self.restricts,
            })
            && (check.hosts.is_empty()
                || match text.and_then(host).and_then(Host::canonical) {
                    Some(host) => check.hosts.iter().any(|pattern| pattern.matches(&host)),
                    None => self.restricts,
                })
    }
}

fn checks(args: &BTreeMap<String, At<ArgRule>>, restricts: bool, context: &Context) -> Vec<Check> {
    let check = |(place, rule): (&String, &At<ArgRule>)| {
        let mut steps = Vec::new();
        for step in place.split('.') {
            let name = step.trim_end_matches("[]");
            steps.push(Step::Name(name.to_owned()));
            steps.extend(std::iter::repeat_with(|| Step::Each).take((step.len() - name.len()) / 2));
        }
        let rule = rule.value.clone();
        let paths = (!rule.path.is_empty()).then(|| {
            let mut tree = Tree::new(if restricts { Mode::Restrict } else { Mode::Grant });
            for pattern in rule.path.iter().flat_map(|text| PathPattern::parse(text).unwrap_or_default()) {
                let base = match pattern.base {
                    Base::Root => &[][..],
                    Base::Home => context.home(),
                    Base::Workspace => context.workspace(),
                };
                tree.insert(base, &pattern.segments, 0);
            }
            tree
        });
        let hosts = rule.host.iter().filter_map(|text| HostPattern::parse(text).ok()).collect();
        Check { steps, rule, paths, hosts }
    };
    args.iter().map(check).collect()
}

fn is_written(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Number(number) => number.to_string() == wanted,
        Value::Bool(truth) => wanted == if *truth { "true" } else { "false" },
        Value::Null => wanted == "null",
        _ => false,
    }
}

/// The absolute path a text names, `..` undone; relative ones are taken from the workspace. `None` for what is no
/// path, or more than one.
pub(crate) fn file(text: &str, workspace: &str, home: &str) -> Option<String> {
    let text = match text.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case("file:") => {
            let rest = text.get(5..)?;
            let rest = rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
            Cow::Owned(percent_decoded(rest)?)
        }
        _ => Cow::Borrowed(text),
    };
    if text.is_empty() || text.chars().any(char::is_control) || text.contains('\\') {
        return None;
    }
    let whole = if text.starts_with('/') {
        text
    } else if let Some(rest) = text.strip_prefix("~/") {
        Cow::Owned(format!("{home}/{rest}"))
    } else if text == "~" {
        Cow::Borrowed(home)
    } else if text.starts_with('~') {
        return None;
    } else {
        Cow::Owned(format!("{workspace}/{text}"))
    };
    let path = path::canonical(whole.as_bytes())?;
    // The kernel's other names for the root directory.
    let mut path = path.as_ref();
    while let Some(rest) = without_root_alias(path) {
        path = rest;
    }
    String::from_utf8(path.to_vec()).ok()
}

/// `/proc/self/root/x` is `/x`, for every process and thread.
fn without_root_alias(path: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(path).ok()?;
    let mut steps = text.strip_prefix("/proc/")?.split('/');
    let process = steps.next()?;
    if !matches!(process, "self" | "thread-self") && !process.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut consumed = "/proc/".len() + process.len();
    let mut step = steps.next()?;
    if step == "task" {
        let thread = steps.next()?;
        consumed += "/task/".len() + thread.len();
        step = steps.next()?;
    }
    (step == "root").then_some(())?;
    let rest = path.get(consumed + "/root".len()..)?;
    Some(if rest.is_empty() { b"/" } else { rest })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(*byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The host a text names: the host of a URL, or the text itself without its port.
pub(crate) fn host(text: &str) -> Option<&str> {
    let text = text.trim();
    if let Some(host) = crate::deeds::url_host(text) {
        return Some(host);
    }
    if text.is_empty() || text.contains(['/', '@', '?', '#', '\\', ' ']) {
        return None;
    }
    if text.starts_with('[') || text.matches(':').count() > 1 {
        return Some(text.split(']').next().unwrap_or(text).trim_start_matches('['));
    }
    text.split(':').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_files() {
        let of = |text: &str| file(text, "/w", "/home/me");
        assert_eq!(of("src/../../etc/passwd").as_deref(), Some("/etc/passwd"));
        assert_eq!(of("~/.ssh/id_rsa").as_deref(), Some("/home/me/.ssh/id_rsa"));
        assert_eq!(of("file:///etc/%70asswd").as_deref(), Some("/etc/passwd"));
        assert_eq!(of("FILE://localhost/etc/passwd").as_deref(), Some("/etc/passwd"));
        assert_eq!(of("/proc/self/root/etc/shadow").as_deref(), Some("/etc/shadow"));
        assert_eq!(of("/proc/1/task/1/root/proc/self/root").as_deref(), Some("/"));
        assert_eq!(of("/proc/self/status").as_deref(), Some("/proc/self/status"));
        for none in ["", "a\0b", "..\\x", "~bob/x", "file:///%zz"] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }

    #[test]
    fn texts_as_hosts() {
        assert_eq!(host("https://user@evil.test:8443/x"), Some("evil.test"));
        assert_eq!(host("evil.test:443"), Some("evil.test"));
        assert_eq!(host("[::1]:80"), Some("::1"));
        assert_eq!(host("::1"), Some("::1"));
        assert_eq!(host("not a host"), None);
        assert_eq!(host("a/b"), None);
    }

    #[test]
    fn places_are_dotted() {
        for good in ["path", "a.b", "files[].path", "m[][]"] {
            assert_eq!(place_problem(good), None, "{good}");
        }
        for bad in ["", "a.", "[]", "a[0]", "a..b"] {
            assert!(place_problem(bad).is_some(), "{bad}");
        }
    }
}

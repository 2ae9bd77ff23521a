//! The redactor: one pass over the text for literal hints, then only the rules whose hint was there.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};

use crate::detectors::{self, Found, Rule};

/// A rule may reject what its pattern found, and the search then resumes inside it. Longer finds are never
/// rejected, so that a crafted text can't make each of its bytes the start of another long look.
const REJECTED_BYTES_MAX: usize = 256;

/// A marker beside text that was left standing can read as a value of its own (`token=[redacted:…]rest`), so
/// the text is searched again until nothing is found. Each pass swallows what the last one left; two nearly
/// always do, and the bound keeps the cost linear whatever the text.
const PASSES_MAX: usize = 8;

/// Where a secret stands in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// What kind of secret it is, such as `github-token`.
    pub kind: &'static str,
    /// The bytes of the secret.
    pub span: Range<usize>,
}

/// Replaces every secret it can recognise by `[redacted:<kind>]`.
///
/// Cheap to clone and shared freely between threads.
#[derive(Clone)]
pub struct Redactor {
    rules: Arc<Rules>,
}

struct Rules {
    hints: AhoCorasick,
    /// For each hint, the bit of the rule that it belongs to.
    rule_of_hint: Vec<u64>,
    rules: Vec<Compiled>,
}

/// A rule whose pattern is compiled when its hint is first seen: most processes never see most of them.
struct Compiled {
    rule: &'static Rule,
    pattern: OnceLock<Regex>,
}

impl Compiled {
    #[allow(clippy::expect_used, reason = "the patterns are constants; a test compiles every one of them")]
    fn pattern(&self) -> &Regex {
        // Bytes, not Unicode: secrets are ASCII, and what is redacted may not be UTF-8.
        let compile = || RegexBuilder::new(self.rule.pattern).unicode(false).build().expect("a constant pattern");
        self.pattern.get_or_init(compile)
    }
}

static STANDARD: LazyLock<Arc<Rules>> = LazyLock::new(|| Arc::new(Rules::compile()));

impl Redactor {
    /// All detectors that Bartizan ships, compiled once for the whole process.
    pub fn standard() -> Self {
        Self { rules: Arc::clone(&STANDARD) }
    }

    /// The text without its secrets; borrowed, without allocating, when there are none.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        for _ in 0..PASSES_MAX {
            let matches = self.find(&clean);
            if matches.is_empty() {
                break;
            }
            let mut next = String::with_capacity(clean.len());
            let mut copied = 0;
            for Match { kind, span } in matches {
                next.push_str(clean.get(copied..span.start).unwrap_or_default());
                push_marker(kind, |part| next.push_str(part));
                copied = span.end;
            }
            next.push_str(clean.get(copied..).unwrap_or_default());
            clean = Cow::Owned(next);
        }
        clean
    }

    /// As [`Self::redact`], for bytes of any encoding.
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut clean = Cow::Borrowed(bytes);
        for _ in 0..PASSES_MAX {
            let matches = self.find_bytes(&clean);
            if matches.is_empty() {
                break;
            }
            let mut next = Vec::with_capacity(clean.len());
            let mut copied = 0;
            for Match { kind, span } in matches {
                next.extend_from_slice(clean.get(copied..span.start).unwrap_or_default());
                push_marker(kind, |part| next.extend_from_slice(part.as_bytes()));
                copied = span.end;
            }
            next.extend_from_slice(clean.get(copied..).unwrap_or_default());
            clean = Cow::Owned(next);
        }
        clean
    }

    /// The secrets in `text`: in order, apart from each other, on character boundaries.
    pub fn find(&self, text: &str) -> Vec<Match> {
        let mut matches = self.find_bytes(text.as_bytes());
        for found in &mut matches {
            found.span = text.floor_char_boundary(found.span.start)..text.ceil_char_boundary(found.span.end);
        }
        merge(matches)
    }

    fn find_bytes(&self, bytes: &[u8]) -> Vec<Match> {
        let mut hinted = 0_u64;
        for hint in self.rules.hints.find_overlapping_iter(bytes) {
            hinted |= self.rules.rule_of_hint.get(hint.pattern().as_usize()).copied().unwrap_or(0);
        }
        if hinted == 0 {
            return Vec::new();
        }
        let mut matches = Vec::new();
        for (index, compiled) in self.rules.rules.iter().enumerate() {
            let needs = compiled.rule.needs;
            let is_possible = || needs.is_empty() || bytes.iter().any(|byte| needs.contains(byte));
            if hinted & (1 << index) != 0 && is_possible() {
                search(compiled.rule, compiled.pattern(), bytes, &mut matches);
            }
        }
        merge(matches)
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Redactor").field("rules", &self.rules.rules.len()).finish()
    }
}

impl Rules {
    #[allow(clippy::expect_used, reason = "the hints are constants")]
    fn compile() -> Self {
        let mut hints = Vec::new();
        let mut rule_of_hint = Vec::new();
        let mut rules = Vec::new();
        for (index, rule) in detectors::ALL.iter().flat_map(|rules| rules.iter()).enumerate() {
            for hint in rule.hints {
                hints.push(*hint);
                rule_of_hint.push(1_u64 << index);
            }
            rules.push(Compiled { rule, pattern: OnceLock::new() });
        }
        let hints = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            // Built in every process, and as quick as the texts are short.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(hints)
            .expect("constant hints");
        Self { hints, rule_of_hint, rules }
    }
}

/// Finds all that one rule accepts. The secret is the first group that took part, or the whole match.
fn search(rule: &Rule, pattern: &Regex, bytes: &[u8], matches: &mut Vec<Match>) {
    let mut from = 0;
    let mut groups = pattern.capture_locations();
    while from <= bytes.len() {
        let Some(whole) = pattern.captures_read_at(&mut groups, bytes, from) else { return };
        let (start, end) =
            (1..groups.len()).find_map(|group| groups.get(group)).unwrap_or((whole.start(), whole.end()));
        let secret = bytes.get(start..end).unwrap_or_default();
        let found = Found { whole: whole.as_bytes(), secret };
        let accepted = !is_marker(secret) && (secret.len() > REJECTED_BYTES_MAX || (rule.accepts)(&found));
        if accepted {
            matches.push(Match { kind: rule.kind, span: start..end });
            from = whole.end().max(from + 1);
        } else {
            from = start.max(whole.start() + 1);
        }
    }
}

/// Joins finds that overlap or touch. A joined find keeps the kind of the rule that stands first in the list,
/// which is the more specific one.
fn merge(mut matches: Vec<Match>) -> Vec<Match> {
    // Rules ran in the order of the list, and the sort is stable.
    matches.sort_by_key(|found| found.span.start);
    let mut merged: Vec<Match> = Vec::with_capacity(matches.len());
    for found in matches {
        match merged.last_mut() {
            Some(last) if found.span.start <= last.span.end => {
                if detectors::rank(found.kind) < detectors::rank(last.kind) {
                    last.kind = found.kind;
                }
                last.span.end = last.span.end.max(found.span.end);
            }
            _ => merged.push(found),
        }
    }
    merged
}

fn push_marker(kind: &str, mut push: impl FnMut(&str)) {
    push("[redacted:");
    push(kind);
    push("]");
}

/// Whether this is a marker and nothing else: such text was redacted before and stays as it is.
pub(crate) fn is_marker(bytes: &[u8]) -> bool {
    bytes.strip_prefix(b"[redacted:").and_then(|rest| rest.strip_suffix(b"]")).is_some_and(detectors::is_kind)
}

//! The redactor: takes out of a text what the engine finds in it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use crate::detectors;
use crate::engine::Engine;
use crate::known::{self, Known, Mask};
use crate::sight::Sight;
use crate::stream::Cursor;

/// A marker beside text that was left standing can read as a value of its own (`token=[redacted:…]rest`), so
/// the text is searched again until nothing is found. Each pass swallows what the last one left; two nearly
/// always do, and the bound keeps the cost linear whatever the text.
const PASSES_MAX: usize = 8;

/// Longest text that is known to be harmless by its letters alone.
const WORD_BYTES_MAX: usize = 20;

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
    sight: Arc<Sight>,
    known: Option<Known>,
}

static STANDARD: LazyLock<Arc<Sight>> = LazyLock::new(|| {
    Arc::new(Sight {
        engine: Engine::new(detectors::ALL.iter().flat_map(|detectors| detectors.iter())),
        features: Vec::new(),
        decode: true,
        hidden: false,
        // What is left of an encoded text after its middle was taken out may still be decoded.
        whole_blocks: true,
    })
});

impl Redactor {
    /// All detectors that Bartizan ships, compiled once for the whole process.
    pub fn standard() -> Self {
        Self { sight: Arc::clone(&STANDARD), known: None }
    }

    /// The same, which also takes out these values in every form they may have. What is added to them later counts.
    #[must_use]
    pub fn with_known(self, known: Known) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Takes the known values, and nothing else, out of bytes that come in pieces; `None` where none is known.
    #[must_use]
    pub fn mask(&self) -> Option<Mask> {
        self.known.as_ref().filter(|known| !known.is_empty()).map(Known::mask)
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
        let known = self.known.as_ref().map(|known| known.find_all(bytes)).unwrap_or_default();
        let mut matches: Vec<Match> = known.into_iter().map(|span| Match { kind: known::KIND, span }).collect();
        if is_word(bytes) {
            return matches;
        }
        let mut finds = Cursor::all(&self.sight, bytes);
        // The first of the list comes first where two begin together.
        finds.sort_by_key(|find| find.rank);
        matches.extend(finds.into_iter().map(|find| Match { kind: find.kind, span: find.span }));
        merge(matches)
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Redactor").finish_non_exhaustive()
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

/// Most of what is redacted are the names of fields and short words of our own. None of the detectors finds anything in
/// so few small letters, as they are or decoded, and looking costs a microsecond each.
fn is_word(bytes: &[u8]) -> bool {
    bytes.len() <= WORD_BYTES_MAX && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'.' | b'_' | b'-'))
}

fn push_marker(kind: &str, mut push: impl FnMut(&str)) {
    push("[redacted:");
    push(kind);
    push("]");
}

/// Whether this is a marker and nothing else: such text was redacted before and stays as it is.
pub(crate) fn is_marker(bytes: &[u8]) -> bool {
    let kind = bytes.strip_prefix(b"[redacted:").and_then(|rest| rest.strip_suffix(b"]"));
    kind.is_some_and(|kind| kind == known::KIND.as_bytes() || detectors::is_kind(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn what_is_passed_over_unseen_holds_nothing(word in "[a-z._-]{0,20}") {
            prop_assert!(is_word(word.as_bytes()));
            prop_assert!(Cursor::all(&STANDARD, word.as_bytes()).is_empty());
        }
    }

    #[test]
    fn only_short_small_letters_are_passed_over() {
        for looked_at in ["a1", "A", "a b", "a=b", "a:b", "a/b", "a@b", "é", "aaaaaaaaaaaaaaaaaaaaa"] {
            assert!(!is_word(looked_at.as_bytes()), "{looked_at}");
        }
    }
}

//! The scanner: says what is seen in content, and where.

use std::sync::{Arc, LazyLock, OnceLock};

use crate::detector::{Detector, Feature};
use crate::detectors;
use crate::engine::{Engine, Find};
use crate::injection;
use crate::personal;
use crate::sight::Sight;
use crate::sighting::{Class, Sighting};
use crate::stream::Cursor;

/// Detectors of every class, in the order of their rank: where two find the same, the first names it.
fn all() -> impl Iterator<Item = &'static Detector> {
    let rest = personal::ALL.iter().chain([&injection::patterns::RULES]);
    detectors::ALL.iter().chain(rest).flat_map(|detectors| detectors.iter())
}

/// What looks at text as a whole.
static FEATURES: &[&dyn Feature] = &[&injection::Injection];

/// What looks at text as a whole where it is expected to be prose.
static PROSE: &[&dyn Feature] = &[&personal::Prose];

/// What a scanner looks for, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The classes that are looked for.
    pub classes: Vec<Class>,
    /// Whether encodings are undone: base64, hex, percent, escapes, compression, look-alike and invisible letters.
    pub decode: bool,
    /// Whether the content is read as prose: ages, street addresses, dates and the like are personal data then.
    pub prose: bool,
}

impl Default for Options {
    /// Everything but what only prose says.
    fn default() -> Self {
        Self { classes: Class::ALL.to_vec(), decode: true, prose: false }
    }
}

/// Looks at content and says what is in it. Cheap to clone and shared freely between threads. Its detectors are compiled
/// when it is first asked, which takes some milliseconds: whoever never meets content doesn't wait for them.
#[derive(Clone)]
pub struct Scanner {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    sight: OnceLock<Sight>,
}

impl Shared {
    fn sight(&self) -> &Sight {
        self.sight.get_or_init(|| sight(&self.options))
    }
}

fn sight(options: &Options) -> Sight {
    let wanted = |class: Class| options.classes.contains(&class);
    let prose: &[&dyn Feature] = if options.prose { PROSE } else { &[] };
    let features = FEATURES.iter().chain(prose).copied();
    Sight {
        engine: Engine::new(all().filter(|detector| wanted(detector.class))),
        features: features.filter(|feature| wanted(feature.class())).collect(),
        decode: options.decode,
        hidden: wanted(Class::Hidden),
        whole_blocks: false,
    }
}

static STANDARD: LazyLock<Scanner> = LazyLock::new(|| Scanner::new(Options::default()));

impl Scanner {
    /// Everything that Bartizan can see, compiled once for the whole process.
    #[must_use]
    pub fn standard() -> Self {
        STANDARD.clone()
    }

    /// A scanner of one's own; make it once and keep it.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { shared: Arc::new(Shared { options, sight: OnceLock::new() }) }
    }

    /// What it looks for.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// What is seen in these bytes, in the order in which it begins; of one class, nothing overlaps.
    #[must_use]
    pub fn scan(&self, bytes: &[u8]) -> Vec<Sighting> {
        settle(Cursor::all(self.shared.sight(), bytes))
    }

    /// For content that comes in pieces.
    #[must_use]
    pub fn stream(&self) -> ScanStream {
        ScanStream { shared: Arc::clone(&self.shared), cursor: Cursor::new(), held: Vec::new() }
    }

    /// As [`Self::scan`]; spans begin and end at characters.
    #[must_use]
    pub fn scan_str(&self, text: &str) -> Vec<Sighting> {
        let mut sightings = self.scan(text.as_bytes());
        for sighting in &mut sightings {
            let span = &mut sighting.span;
            *span = text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end);
        }
        sightings
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Scanner").field("options", self.options()).finish_non_exhaustive()
    }
}

/// A scan of content that comes in pieces. However it is cut, the same is seen as by [`Scanner::scan`].
///
/// It holds less than 8 MiB, whatever comes.
pub struct ScanStream {
    shared: Arc<Shared>,
    cursor: Cursor,
    held: Vec<u8>,
}

impl ScanStream {
    /// Takes the next piece and gives what is now known to be seen; places are those in the whole content.
    #[must_use]
    pub fn push(&mut self, piece: &[u8]) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        for part in piece.chunks(PART_BYTES) {
            self.held.extend_from_slice(part);
            while self.held.len() > self.cursor.size() {
                let segment = self.held.get(..self.cursor.size()).unwrap_or_default();
                let (finds, used) = self.cursor.step(self.shared.sight(), segment, false);
                sightings.append(&mut settle(finds));
                self.held.drain(..used);
            }
        }
        sightings
    }

    /// Gives what is seen in the rest.
    #[must_use]
    pub fn finish(mut self) -> Vec<Sighting> {
        settle(self.cursor.step(self.shared.sight(), &self.held, true).0)
    }
}

/// A large piece is taken in parts, so that no more than a segment and a part is held.
const PART_BYTES: usize = 64 << 10;

impl std::fmt::Debug for ScanStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ScanStream").field("done", &self.cursor.done()).finish_non_exhaustive()
    }
}

/// Of finds of one class that overlap, the surest stays; of equally sure ones the longest, then the one whose
/// detector stands first.
fn settle(mut finds: Vec<Find>) -> Vec<Sighting> {
    finds.sort_by_key(|find| (find.class, find.span.start, find.span.end));
    let mut settled: Vec<Find> = Vec::with_capacity(finds.len());
    for find in finds {
        match settled.last_mut() {
            Some(last) if last.class == find.class && find.span.start < last.span.end => {
                let strength = |find: &Find| (find.score, find.span.len(), u16::MAX - find.rank);
                if strength(&find) > strength(last) {
                    *last = find;
                }
            }
            _ => settled.push(find),
        }
    }
    settled.sort_by_key(|find| (find.span.start, find.span.end, find.class));
    settled.into_iter().map(|Find { class, kind, score, span, .. }| Sighting { class, kind, score, span }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::{Hint, Look};
    use crate::engine::{NUMBER_DIGITS_MIN, WORD_BYTES_MIN, WORD_DIGITS_MIN};

    #[test]
    fn every_detector_can_be_asked() {
        Engine::new(all()).compile_all();
        for detector in all() {
            let kind = detector.kind;
            assert!(!detector.hints.is_empty(), "{kind} would never be asked");
            assert!(
                kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{kind}"
            );
            for hint in detector.hints {
                if let Hint::Exact(texts) | Hint::AnyCase(texts) | Hint::Opens(texts) = hint {
                    assert!(
                        texts.iter().all(|text| text.len() >= 3 && text.is_ascii()),
                        "a hint of {kind} is too short"
                    );
                }
            }
            for hint in detector.hints {
                let is_often = match hint {
                    Hint::Digits(count) => u32::from(*count) < NUMBER_DIGITS_MIN,
                    Hint::Word { digits, bytes } => *digits < WORD_DIGITS_MIN || usize::from(*bytes) < WORD_BYTES_MIN,
                    _ => false,
                };
                assert!(!is_often, "{kind} asks for what is not marked");
            }
            if let Look::From(pattern, _) | Look::Around(_, pattern, _) = detector.look {
                assert!(!pattern.is_empty(), "{kind} has an empty pattern");
            }
        }
    }
}

//! The engine: all detectors compiled together, and one pass over a text that asks each where one of its hints is.

mod digits;
mod literals;
mod openings;

use std::ops::Range;
use std::sync::OnceLock;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use self::digits::Mark;
#[cfg(test)]
pub(crate) use self::digits::{NUMBER_DIGITS_MIN, WORD_BYTES_MIN, WORD_DIGITS_MIN};
use self::literals::{Literal, Literals};
use self::openings::Openings;
use crate::detector::{Detector, Found, Hint, Hit, Look, Score, Spot};
use crate::redactor::is_marker;
use crate::sighting::Class;
use crate::stand_in::is_placeholder;

/// How far a pattern may look at first. Nearly all are done after some dozen bytes; a match that reaches this far is
/// looked at again with twice the room, so a long match costs no more than a few times its length.
const LOOK_BYTES: usize = 1024;

/// A detector may reject what its pattern found, and the search then resumes inside of it. Longer finds are never
/// rejected, so that a crafted text can't make each of its bytes the start of another long look.
const REJECTED_BYTES_MAX: usize = 256;

/// Something a detector found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Find {
    pub class: Class,
    pub kind: &'static str,
    pub score: u8,
    pub span: Range<usize>,
    /// The place of the detector in the list; the first names what several find.
    pub rank: u16,
}

impl Find {
    /// What a feature found, which has no place in the list.
    pub(crate) fn of(class: Class, hit: Hit) -> Self {
        Self { class, kind: hit.kind, score: hit.score, span: hit.span, rank: u16::MAX }
    }
}

/// All detectors, ready to run. Shared freely between threads.
pub(crate) struct Engine {
    detectors: Vec<Compiled>,
    literals: Literals,
    openings: Openings,
    /// Who wants to be asked at a number of so many digits, or more.
    digits: Vec<(u8, u16)>,
    /// Who wants to be asked at a word of so many digits and so many bytes, or more.
    words: Vec<(u8, u8, u16)>,
    /// Who wants to be asked at a group of hexadecimal digits.
    groups: Vec<u16>,
    /// Who wants to be asked at an `@`.
    ats: Vec<u16>,
}

/// A detector whose pattern is compiled when it is first asked: most processes never ask most of them.
struct Compiled {
    detector: &'static Detector,
    pattern: OnceLock<Pattern>,
}

struct Pattern {
    regex: Regex,
    groups: bool,
}

impl Compiled {
    #[allow(clippy::expect_used, reason = "the patterns are constants; a test compiles every one of them")]
    fn pattern(&self, pattern: &str) -> &Pattern {
        self.pattern.get_or_init(|| {
            // Bytes, not Unicode: what is looked for is ASCII, and what is scanned may not be UTF-8.
            let regex = Regex::builder()
                .syntax(syntax::Config::new().unicode(false).utf8(false))
                .configure(Regex::config().utf8_empty(false))
                .build(pattern)
                .expect("a constant pattern");
            Pattern { groups: regex.captures_len() > 1, regex }
        })
    }
}

/// How far each detector is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    detectors: Vec<Reached>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    /// Where it goes on: what lies before was found or turned away already.
    from: usize,
    /// How many looks in vain began before `vain_to`, which is as far as the first of them could see.
    vain: u8,
    vain_to: usize,
}

/// So many looks in vain within what one of them could see, and the pattern goes ahead on its own instead: it reads
/// each byte once, where a crafted text would have each hint looked at as far as a pattern sees.
const VAIN_MAX: u8 = 8;
/// How far it goes ahead.
const AHEAD_BYTES: usize = 16 << 10;

impl Reached {
    /// Counts a look in vain; true where there were too many.
    fn is_in_vain(&mut self, at: usize) -> bool {
        if at >= self.vain_to {
            (self.vain, self.vain_to) = (0, at.saturating_add(LOOK_BYTES));
        }
        self.vain = self.vain.saturating_add(1);
        self.vain > VAIN_MAX
    }
}

impl Engine {
    /// The detectors, in the order of their rank.
    pub(crate) fn new(detectors: impl Iterator<Item = &'static Detector>) -> Self {
        let detectors: Vec<_> = detectors
            .map(|detector| Compiled { detector, pattern: OnceLock::new() })
            .take(usize::from(u16::MAX))
            .collect();
        let (mut literals, mut openings) = (Vec::new(), Vec::new());
        let (mut digits, mut words, mut groups, mut ats) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (compiled, detector) in detectors.iter().zip(0_u16..) {
            for hint in compiled.detector.hints {
                let add = |to: &mut Vec<Literal>, texts: &[&'static str], any_case| {
                    to.extend(texts.iter().map(|text| Literal { text, any_case, detector }));
                };
                match *hint {
                    Hint::Exact(texts) => add(&mut literals, texts, false),
                    Hint::AnyCase(texts) => add(&mut literals, texts, true),
                    Hint::Opens(texts) => add(&mut openings, texts, false),
                    Hint::Digits(count) => digits.push((count, detector)),
                    Hint::Word { digits, bytes } => words.push((digits, bytes, detector)),
                    Hint::Group => groups.push(detector),
                    Hint::At => ats.push(detector),
                }
            }
        }
        let (literals, openings) = (Literals::new(literals.into_iter()), Openings::new(openings.into_iter()));
        Self { detectors, literals, openings, digits, words, groups, ats }
    }

    /// A fresh start for a text.
    pub(crate) fn progress(&self) -> Progress {
        Progress { detectors: vec![Reached::default(); self.detectors.len()] }
    }

    /// Everything the detectors find in the text, in no particular order, overlaps and all.
    pub(crate) fn search(&self, text: &[u8], progress: &mut Progress, finds: &mut Vec<Find>) {
        self.literals.find(text, |place| self.ask(place.detector, place.start..place.end, text, progress, finds));
        let is_asked = !self.digits.is_empty() || !self.words.is_empty() || !self.groups.is_empty();
        if !is_asked && self.openings.is_empty() && self.ats.is_empty() {
            return;
        }
        digits::find(text, |mark| match mark {
            Mark::At(at) => {
                for detector in &self.ats {
                    self.ask(*detector, at..at + 1, text, progress, finds);
                }
            }
            Mark::Digits { run, count } => {
                for (_, detector) in self.digits.iter().filter(|(least, _)| count >= *least) {
                    self.ask(*detector, run.clone(), text, progress, finds);
                }
            }
            Mark::Word { word, digits } => {
                let wanted = |least: &&(u8, u8, u16)| digits >= least.0 && word.len() >= usize::from(least.1);
                for (_, _, detector) in self.words.iter().filter(wanted) {
                    self.ask(*detector, word.clone(), text, progress, finds);
                }
            }
            Mark::Group(word) => {
                for detector in &self.groups {
                    self.ask(*detector, word.clone(), text, progress, finds);
                }
            }
            Mark::Long(at) => self.openings.find(text, at, |place| {
                self.ask(place.detector, place.start..place.end, text, progress, finds);
            }),
        });
    }

    /// Lets a detector look at the place of one of its hints.
    fn ask(&self, index: u16, at: Range<usize>, text: &[u8], progress: &mut Progress, finds: &mut Vec<Find>) {
        let Some(compiled) = self.detectors.get(usize::from(index)) else { return };
        let Some(reached) = progress.detectors.get_mut(usize::from(index)) else { return };
        if at.start < reached.from {
            return;
        }
        let detector = compiled.detector;
        if detector.sieve.is_some_and(|passes| !passes(&Spot { text, at: at.clone() })) {
            return;
        }
        let mut add = |kind, score, span: Range<usize>| {
            if !is_placeholder(text, &span) {
                finds.push(Find { class: detector.class, kind, score, span, rank: index });
            }
        };
        match detector.look {
            Look::From(pattern, score) => {
                let pattern = compiled.pattern(pattern);
                let Some(whole) = pattern.whole(text, at.start, Anchored::Yes) else {
                    if reached.is_in_vain(at.start) {
                        reached.from = pattern.ahead(text, at.start).max(reached.from);
                    }
                    return;
                };
                if let Some(find) = pattern.judge(text, whole, score, &mut reached.from) {
                    add(detector.kind, find.0, find.1);
                }
            }
            Look::Around(back, pattern, score) => {
                let pattern = compiled.pattern(pattern);
                let start = at.start.saturating_sub(back).max(reached.from);
                let Some(whole) = pattern.whole(text, start, Anchored::No) else {
                    if reached.is_in_vain(at.start) {
                        reached.from = pattern.ahead(text, start).max(reached.from);
                    }
                    return;
                };
                if let Some(find) = pattern.judge(text, whole, score, &mut reached.from) {
                    add(detector.kind, find.0, find.1);
                }
            }
            Look::Parse(parse) => parse(&Spot { text, at }, &mut |hit: Hit| {
                let Hit { kind, score, span } = hit;
                if score > 0 && span.start < span.end && span.end <= text.len() {
                    reached.from = span.end.max(reached.from);
                    add(kind, score, span);
                }
            }),
        }
    }

    /// Compiles every pattern now, for tests and for those who measure.
    #[cfg(test)]
    pub(crate) fn compile_all(&self) {
        for compiled in &self.detectors {
            if let Look::From(pattern, _) | Look::Around(_, pattern, _) = compiled.detector.look {
                compiled.pattern(pattern);
            }
        }
    }
}

impl Pattern {
    /// The score and the span of a match; `from` moves past what needs no other look.
    fn judge(&self, text: &[u8], whole: Range<usize>, score: Score, from: &mut usize) -> Option<(u8, Range<usize>)> {
        let span = if self.groups { self.group(text, &whole) } else { whole.clone() };
        let secret = text.get(span.clone())?;
        let found = Found { text, at: whole.clone(), whole: text.get(whole.clone())?, secret };
        let score = if is_marker(secret) { 0 } else { score(&found).min(100) };
        // What is too long to be rejected counts, but weakly.
        let score = if score == 0 && secret.len() > REJECTED_BYTES_MAX && !is_marker(secret) { 1 } else { score };
        if score == 0 || span.is_empty() {
            *from = span.start.max(whole.start + 1).max(*from);
            return None;
        }
        *from = whole.end.max(*from);
        Some((score, span))
    }

    /// Where the next match may begin: nothing before can, as far as a look from there would see.
    fn ahead(&self, text: &[u8], start: usize) -> usize {
        let end = text.len().min(start.saturating_add(AHEAD_BYTES));
        match self.regex.search(&Input::new(text).range(start..end)) {
            Some(next) => next.start(),
            // At the end of the text, no look would see more either.
            None if end == text.len() => end,
            None => end - LOOK_BYTES,
        }
    }

    /// The whole match; with more room where it fills all that it was given.
    fn whole(&self, text: &[u8], start: usize, anchored: Anchored) -> Option<Range<usize>> {
        let mut room = LOOK_BYTES;
        loop {
            let end = text.len().min(start.saturating_add(room));
            let input = Input::new(text).range(start..end).anchored(anchored);
            // Without a match, this is the quickest way to know.
            let found_end = self.regex.search_half(&input)?.offset();
            if found_end == end && end < text.len() {
                room = room.saturating_mul(4);
                continue;
            }
            if anchored == Anchored::Yes {
                return Some(start..found_end);
            }
            return self.regex.search(&input).map(|found| found.range());
        }
    }

    /// The first group that takes part, within a match that is known.
    fn group(&self, text: &[u8], whole: &Range<usize>) -> Range<usize> {
        let mut captures = self.regex.create_captures();
        self.regex.search_captures(&Input::new(text).range(whole.clone()).anchored(Anchored::Yes), &mut captures);
        let group = (1..captures.group_len()).find_map(|group| captures.get_group(group));
        group.map_or_else(|| whole.clone(), |group| group.range())
    }
}

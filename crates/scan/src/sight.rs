//! Sight: the engine and the features, turned on a text and on everything that is encoded in it.
//!
//! A text is looked at as it is; then in plain letters, where it has others; then each block in it that holds another
//! text is undone and looked at in the same way, to a bounded depth and with a bounded amount of work. What is found
//! anywhere is reported at the bytes of the text that it came from.

use std::ops::Range;

use crate::decode::{self, Block, Budget, DEPTH_MAX, Map};
use crate::detector::{Feature, Text};
use crate::engine::{Engine, Find};
use crate::hidden;
use crate::normal;
use crate::sighting::Class;

/// Times a text is put in plain letters: percent signs may themselves be written `%25`.
const NORMALISED_MAX: usize = 3;

/// What looks at a text.
pub(crate) struct Sight {
    pub engine: Engine,
    pub features: Vec<&'static dyn Feature>,
    /// Whether encodings are undone.
    pub decode: bool,
    /// Whether invisible text is reported.
    pub hidden: bool,
    /// Whether what is found in a block stands for the whole block: nothing of it is left then for anybody to find.
    pub whole_blocks: bool,
}

impl Sight {
    /// Everything that is found in the text, in no particular order, overlaps and all; and whether something was left
    /// undecoded, because undoing it would have cost more than anybody should pay.
    pub(crate) fn see(&self, text: &[u8]) -> (Vec<Find>, bool) {
        let mut finds = Vec::new();
        let mut budget = Budget::for_text(text.len());
        self.look(text, 0, &mut budget, &mut finds);
        (finds, budget.exceeded)
    }

    fn look(&self, text: &[u8], depth: u8, budget: &mut Budget, finds: &mut Vec<Find>) {
        self.engine.search(text, &mut self.engine.progress(), finds);
        if self.hidden {
            hidden::look(text, |hit| finds.push(Find::of(Class::Hidden, hit)));
        }
        if !self.decode {
            self.ask_features(text, depth, finds);
            return;
        }
        let levels = self.levels(text, finds);
        let held = levels.iter().map(|level| level.bytes.len()).sum();
        budget.hold(held);
        let plain = levels.last().map_or(text, |level| level.bytes.as_slice());
        let known = finds.len();
        self.ask_features(plain, depth, finds);
        if depth < DEPTH_MAX {
            decode::lettered_blocks(plain, budget, &mut |block, budget| self.enter(&block, depth, budget, finds));
        }
        for find in finds.iter_mut().skip(known) {
            find.span = back_through(&levels, &find.span);
        }
        if depth < DEPTH_MAX {
            decode::binary_blocks(text, budget, &mut |block, budget| self.enter(&block, depth, budget, finds));
        }
        budget.release(held);
    }

    fn enter(&self, block: &Block, depth: u8, budget: &mut Budget, finds: &mut Vec<Find>) {
        budget.hold(block.bytes.len());
        let known = finds.len();
        self.look(&block.bytes, depth + 1, budget, finds);
        budget.release(block.bytes.len());
        for find in finds.iter_mut().skip(known) {
            find.span = self.back(&block.map, &find.span);
        }
    }

    /// The text in plain letters, and that again; what each adds is searched.
    fn levels(&self, text: &[u8], finds: &mut Vec<Find>) -> Vec<normal::Normal> {
        let mut levels: Vec<normal::Normal> = Vec::new();
        while levels.len() < NORMALISED_MAX {
            let current = levels.last().map_or(text, |level| level.bytes.as_slice());
            let Some(next) = normal::normalise(current) else { break };
            let known = finds.len();
            for window in &next.windows {
                let part = next.bytes.get(window.clone()).unwrap_or_default();
                let before = finds.len();
                self.engine.search(part, &mut self.engine.progress(), finds);
                for find in finds.iter_mut().skip(before) {
                    find.span = next.map.back(&(find.span.start + window.start..find.span.end + window.start));
                }
            }
            for find in finds.iter_mut().skip(known) {
                find.span = back_through(&levels, &find.span);
            }
            let is_telling = !next.windows.is_empty();
            levels.push(next);
            // Line breaks and quotes alone hide no further escapes.
            if !is_telling {
                break;
            }
        }
        levels
    }

    fn ask_features(&self, text: &[u8], depth: u8, finds: &mut Vec<Find>) {
        for feature in &self.features {
            let class = feature.class();
            feature.look(&Text { bytes: text, depth }, &mut |hit| {
                if hit.span.start < hit.span.end && hit.span.end <= text.len() {
                    finds.push(Find::of(class, hit));
                }
            });
        }
    }

    fn back(&self, map: &Map, span: &Range<usize>) -> Range<usize> {
        if self.whole_blocks { map.back_whole(span) } else { map.back(span) }
    }
}

fn back_through(levels: &[normal::Normal], span: &Range<usize>) -> Range<usize> {
    levels.iter().rev().fold(span.clone(), |span, level| level.map.back(&span))
}

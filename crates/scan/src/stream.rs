//! Content of any length, in pieces: what is seen doesn't depend on how it was cut, and little of it is held.
//!
//! Content is looked at in segments that begin and end at fixed places of the content. Each reaches a little into the
//! next, so that what lies across a border is seen whole by one of them; it counts where it begins.

use crate::engine::Find;
use crate::sight::Sight;
use crate::sighting::Class;

/// What is looked at together. The working set of a segment stays in the second-level cache.
const SEGMENT_BYTES: usize = 256 << 10;
/// How far a segment reaches into the next one; long keys fit.
const OVERLAP_BYTES: usize = 16 << 10;
/// What stood before a segment, for a look back from its start.
const CONTEXT_BYTES: usize = 1 << 10;
/// A segment that ends in the middle of a find is looked at again with more, up to this.
const GROWN_BYTES_MAX: usize = 1 << 20;

/// A kind for a segment in which encoded text was left as it is.
const UNREAD: &str = "unread-encoding";
/// Large archives are like that, too.
const UNREAD_SCORE: u8 = 40;

/// The place in some content, and what was seen so far.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    /// Where the held bytes begin in the content.
    offset: usize,
    /// How many of the held bytes were looked at before.
    context: usize,
    /// How many bytes the next segment has.
    size: usize,
    /// Where the last find of each class ends in the content.
    seen_to: [usize; Class::ALL.len()],
}

impl Cursor {
    pub(crate) fn new() -> Self {
        Self { offset: 0, context: 0, size: SEGMENT_BYTES + OVERLAP_BYTES, seen_to: [0; Class::ALL.len()] }
    }

    /// How many bytes must be held, and more be known to come, before a segment can be looked at.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// How far the content is looked at.
    pub(crate) fn done(&self) -> usize {
        self.offset + self.context
    }

    /// Looks at one segment, which is the last one or has [`Self::size`] bytes. Gives what begins in it, in places of
    /// the content, and how many of the bytes are no longer needed.
    pub(crate) fn step(&mut self, sight: &Sight, text: &[u8], is_last: bool) -> (Vec<Find>, usize) {
        let (mut finds, left_undecoded) = sight.see(text);
        let is_cut = finds.iter().any(|find| find.span.end == text.len());
        if !is_last && is_cut && self.size < GROWN_BYTES_MAX {
            self.size = self.size.saturating_mul(2);
            return (Vec::new(), 0);
        }
        let end = if is_last { text.len() } else { text.len() - OVERLAP_BYTES };
        if left_undecoded && sight.hidden && self.context < end {
            let (kind, span) = (UNREAD, self.context..end);
            finds.push(Find { class: Class::Hidden, kind, score: UNREAD_SCORE, span, rank: u16::MAX });
        }
        finds.retain_mut(|find| {
            let begins_here = (self.context..end).contains(&find.span.start);
            find.span = find.span.start + self.offset..find.span.end + self.offset;
            begins_here && find.span.start >= self.seen_to(find.class)
        });
        for find in &finds {
            if let Some(seen_to) = self.seen_to.get_mut(find.class as usize) {
                *seen_to = find.span.end.max(*seen_to);
            }
        }
        let context = end.min(CONTEXT_BYTES);
        self.offset += end - context;
        (self.context, self.size) = (context, SEGMENT_BYTES + OVERLAP_BYTES);
        (finds, end - context)
    }

    /// Everything in content that is at hand as a whole.
    pub(crate) fn all(sight: &Sight, content: &[u8]) -> Vec<Find> {
        let mut cursor = Self::new();
        let mut finds = Vec::new();
        loop {
            let rest = content.get(cursor.offset..).unwrap_or_default();
            let is_last = rest.len() <= cursor.size;
            let segment = rest.get(..cursor.size).unwrap_or(rest);
            finds.append(&mut cursor.step(sight, segment, is_last).0);
            if is_last {
                return finds;
            }
        }
    }

    fn seen_to(&self, class: Class) -> usize {
        self.seen_to.get(class as usize).copied().unwrap_or(0)
    }
}

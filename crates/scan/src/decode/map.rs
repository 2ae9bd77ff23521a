//! Where the bytes of a decoded text came from.

use std::ops::Range;

/// The way back from a decoded text to the one it was decoded from.
#[derive(Debug, Clone)]
pub(crate) enum Map {
    /// The text was rewritten here and there; most of it is as it was.
    Pieces(Vec<Piece>),
    /// Each `unit_out` decoded bytes came from `unit_in` encoded ones, which may stand on several lines.
    Groups {
        /// For each line, the number of encoded bytes before it, and where it starts.
        lines: Vec<(usize, usize)>,
        /// How many encoded bytes there are.
        encoded: usize,
        /// Decoded bytes of one group.
        unit_out: usize,
        /// Encoded bytes of one group.
        unit_in: usize,
    },
    /// No byte can be told from another: all of it came from all of this.
    Whole(Range<usize>),
}

/// A stretch of a rewritten text, up to where the next one begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    /// Where it begins in the rewritten text.
    pub out: u32,
    /// Where it begins in the original.
    pub start: u32,
    /// So many rewritten bytes…
    pub unit_out: u16,
    /// …came from so many original ones; one from one where nothing was rewritten.
    pub unit_in: u16,
}

impl Map {
    /// The original bytes that cover these decoded ones.
    pub(crate) fn back(&self, span: &Range<usize>) -> Range<usize> {
        let last = span.end.saturating_sub(1).max(span.start);
        match self {
            Self::Pieces(pieces) => {
                // The unit that holds a byte.
                let unit = |offset: usize| {
                    let index = pieces.partition_point(|piece| piece.out as usize <= offset);
                    let piece = index.checked_sub(1).and_then(|index| pieces.get(index))?;
                    let units = (offset - piece.out as usize) / usize::from(piece.unit_out.max(1));
                    let start = piece.start as usize + units * usize::from(piece.unit_in);
                    Some(start..start + usize::from(piece.unit_in))
                };
                match unit(span.start).zip(unit(last)) {
                    Some((first, last)) => first.start..last.end.max(first.start),
                    None => span.clone(),
                }
            }
            Self::Groups { lines, encoded, unit_out, unit_in } => {
                let place = |index: usize| {
                    let line = lines.partition_point(|(before, _)| *before <= index);
                    let line = line.checked_sub(1).and_then(|line| lines.get(line));
                    line.map_or(index, |(before, start)| start + (index - before))
                };
                let most = encoded.saturating_sub(1);
                let start = span.start / unit_out * unit_in;
                let end = last / unit_out * unit_in + (unit_in - 1);
                place(start.min(most))..place(end.min(most)) + 1
            }
            Self::Whole(range) => range.clone(),
        }
    }

    /// All the original bytes of what was decoded as one block; of a rewritten text, only those of the span.
    pub(crate) fn back_whole(&self, span: &Range<usize>) -> Range<usize> {
        match self {
            Self::Pieces(_) | Self::Whole(_) => self.back(span),
            Self::Groups { lines, encoded, .. } => {
                let start = lines.first().map_or(0, |(_, start)| *start);
                let end = lines.last().map_or(start, |(before, start)| start + (encoded - before));
                start..end
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_covered_whole_even_over_lines() {
        // Ten encoded bytes on two lines, six on the first: `QUJDRE` at 5 and `VGRw` at 13.
        let map = Map::Groups { lines: vec![(0, 5), (6, 13)], encoded: 10, unit_out: 3, unit_in: 4 };
        assert_eq!(map.back(&(0..1)), 5..9);
        assert_eq!(map.back(&(2..4)), 5..15);
        assert_eq!(map.back(&(6..7)), 15..17);
        assert_eq!(map.back_whole(&(0..1)), 5..17);
    }

    #[test]
    fn pieces_give_exact_bytes_where_nothing_was_rewritten() {
        // `a%41b` became `aAb`.
        let pieces = [(0, 0, 1), (1, 1, 3), (2, 4, 1)];
        let map = Map::Pieces(pieces.map(|(out, start, unit_in)| Piece { out, start, unit_out: 1, unit_in }).to_vec());
        assert_eq!(map.back(&(0..1)), 0..1);
        assert_eq!(map.back(&(1..2)), 1..4);
        assert_eq!(map.back(&(0..3)), 0..5);
        assert_eq!(map.back(&(2..3)), 4..5);
    }
}

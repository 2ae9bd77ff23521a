//! Takes known values out of bytes that come in pieces, wherever they are cut. A value gives way to as many stars, so
//! that nothing that counts bytes has to be told.

use super::Known;

/// Masks a stream. Only what may be the beginning of a value is held back, so text that flows goes on flowing.
pub struct Mask {
    known: Known,
    held: Vec<u8>,
    /// So many of the held bytes are part of a value already; another one may begin among them.
    covered: usize,
    masked: u64,
}

impl Mask {
    pub(super) fn new(known: Known) -> Self {
        Self { known, held: Vec::new(), covered: 0, masked: 0 }
    }

    /// Takes the next bytes and appends those that may go on.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        let begun = self.known.needles().begun(&self.held);
        self.pass(self.held.len() - begun, out);
    }

    /// Appends what was held back: nothing more comes.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.pass(self.held.len(), out);
    }

    /// Passes on so many bytes, values covered. No value that is not whole yet begins among them.
    fn pass(&mut self, ready: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let mut covered = self.covered;
        let spans = self.known.find_all(&self.held);
        out.extend(self.held.drain(..ready));
        let passed = out.get_mut(start..).unwrap_or_default();
        let mut cover = |span: std::ops::Range<usize>| {
            if let Some(value) = passed.get_mut(span.start.min(ready)..span.end.min(ready)) {
                value.fill(b'*');
            }
        };
        cover(0..covered);
        for span in spans {
            covered = covered.max(span.end);
            self.masked += u64::from(span.start < ready);
            cover(span);
        }
        self.covered = covered.saturating_sub(ready);
    }

    /// Masks bytes that stand alone.
    #[must_use]
    pub fn whole(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        self.push(bytes, &mut out);
        self.finish(&mut out);
        out
    }

    /// How many values were masked.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.held.zeroize();
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Mask(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pass(known: &Known, text: &[u8], step: usize) -> Vec<u8> {
        let (mut mask, mut out) = (known.mask(), Vec::new());
        for piece in text.chunks(step) {
            mask.push(piece, &mut out);
        }
        mask.finish(&mut out);
        out
    }

    #[test]
    fn values_are_covered_however_they_are_cut() {
        let known = Known::default();
        known.add(b"topsecret").unwrap();
        for step in 1..20 {
            assert_eq!(pass(&known, b"a topsecret, topsecrets", step), b"a *********, *********s", "{step}");
            assert_eq!(pass(&known, b"746F70736563726574!", step), b"******************!", "{step}");
        }
    }

    #[test]
    fn text_without_values_flows_at_once() {
        let known = Known::default();
        known.add(b"topsecret").unwrap();
        let (mut mask, mut out) = (known.mask(), Vec::new());
        mask.push(b"data: hello\n\n", &mut out);
        assert_eq!(out, b"data: hello\n\n");
        mask.push(b"data: top", &mut out);
        assert_eq!(out, b"data: hello\n\ndata: ");
        mask.push(b"most", &mut out);
        assert_eq!(out, b"data: hello\n\ndata: topmos", "a `t` may begin it");
    }

    proptest! {
        #[test]
        fn cutting_changes_nothing(text in "[ab]{0,60}", step in 1_usize..9) {
            let known = Known::default();
            for value in ["abababab", "babbabba", "aaaaaaaab"] {
                known.add(value.as_bytes()).unwrap();
            }
            let whole = pass(&known, text.as_bytes(), usize::MAX);
            let cut = pass(&known, text.as_bytes(), step);
            prop_assert_eq!(whole.len(), text.len());
            prop_assert_eq!(cut, whole);
        }
    }
}

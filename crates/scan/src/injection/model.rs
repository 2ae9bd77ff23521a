//! The linear classifier: a sum of small weights, one for each feature of a sentence.
//!
//! Two questions are asked of every sentence. *Task*: is this a request or question such as one puts to an assistant?
//! *Attack*: does it try to take an assistant away from its rules? Weights are one byte each and come from
//! `cargo xtask train injection`; how, and from what, is in `docs/detection.md`.

use super::sentence::{self, FEATURES, Reader, Sentence};

/// The weights in the repository: [`HEADER`], then a pair of signed bytes for each feature.
static WEIGHTS: &[u8] = include_bytes!("weights.bin");

/// What the file opens with: its format, version and the two biases in [`ONE`]ths.
pub const HEADER: usize = 16;

/// The magic number and version of the weights file.
pub const MAGIC: &[u8; 8] = b"bzninj01";

/// Steps of a weight for one unit of log-odds.
pub const ONE: f32 = 16.0;

/// Log-odds of what is code rather than a sentence.
const CODE: f32 = -20.0;

/// How strongly a sentence looks like each kind, in log-odds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// A request to an assistant.
    pub task: f32,
    /// An attempt to override an assistant's rules.
    pub attack: f32,
}

/// A sentence with its scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Where it stands.
    pub sentence: Sentence,
    /// What the classifier says.
    pub scores: Scores,
}

/// The factor by which each feature of a sentence of `words` words counts: long sentences have more features.
pub fn factor(words: u32) -> f32 {
    1.0 / ((words + 3) as f32).sqrt()
}

/// A set of weights.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    pairs: &'a [[u8; 2]],
    bias: [f32; 2],
}

impl Model<'static> {
    /// The weights that are compiled in.
    pub fn standard() -> Self {
        Self::from_bytes(WEIGHTS).unwrap_or(Self { pairs: &[], bias: [0.0; 2] })
    }
}

impl<'a> Model<'a> {
    /// Weights from the form they have in the repository; none if it isn't that form.
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        let (pairs, []) = rest.as_chunks::<2>() else { return None };
        let bias = |at: usize| {
            let bytes = header.get(at..at + 4)?.first_chunk::<4>()?;
            Some(i32::from_le_bytes(*bytes) as f32 / ONE)
        };
        let known = header.starts_with(MAGIC) && pairs.len() == FEATURES as usize;
        known.then_some(Self { pairs, bias: [bias(8)?, bias(12)?] })
    }

    /// The scores of a sentence with these features.
    pub fn scores(&self, features: &[u32], words: u32) -> Scores {
        let mut scores = Scores::default();
        let mut sink = |scored: Scored| scores = scored.scores;
        let mut scorer = Scorer { model: self, sums: [0; 2], sink: &mut sink };
        features.iter().for_each(|index| scorer.feature(*index));
        scorer.sentence(Sentence { start: 0, end: 0, words, code: false });
        scores
    }

    /// Score every sentence of `text`, in order.
    pub fn score(&self, text: &[u8], sink: &mut impl FnMut(Scored)) {
        sentence::read(text, &mut Scorer { model: self, sums: [0; 2], sink });
    }
}

struct Scorer<'a, F> {
    model: &'a Model<'a>,
    sums: [i32; 2],
    sink: &'a mut F,
}

impl<F: FnMut(Scored)> Reader for Scorer<'_, F> {
    fn feature(&mut self, index: u32) {
        if let Some([task, attack]) = self.model.pairs.get(index as usize) {
            self.sums = [self.sums[0] + i32::from(task.cast_signed()), self.sums[1] + i32::from(attack.cast_signed())];
        }
    }

    fn sentence(&mut self, sentence: Sentence) {
        let factor = factor(sentence.words) / ONE;
        let [task, attack] = self.sums;
        let [task_bias, attack_bias] = self.model.bias;
        self.sums = [0; 2];
        let scores = if sentence.code {
            Scores { task: CODE, attack: CODE }
        } else {
            Scores { task: task as f32 * factor + task_bias, attack: attack as f32 * factor + attack_bias }
        };
        (self.sink)(Scored { sentence, scores });
    }
}

//! Training: logistic regression over hashed features, one pass after the other in a fixed order.
//!
//! Only additions, multiplications, divisions and square roots are used, which every machine rounds alike, so the
//! weights come out the same bit by bit.

use bartizan_scan::injection::{
    model::{HEADER, MAGIC, ONE, factor},
    sentence::{self, FEATURES, Reader, Sentence},
};

use crate::grammar::Dice;

/// One sentence to learn from: its features, and what each head should say; none where it teaches nothing.
pub struct Example {
    pub features: Vec<u32>,
    pub factor: f32,
    pub targets: [Option<bool>; 2],
    pub weight: f32,
}

/// The features of every sentence of a text.
pub fn features(text: &str) -> Vec<(Vec<u32>, Sentence)> {
    #[derive(Default)]
    struct Collect(Vec<u32>, Vec<(Vec<u32>, Sentence)>);
    impl Reader for Collect {
        fn feature(&mut self, index: u32) {
            self.0.push(index);
        }
        fn sentence(&mut self, sentence: Sentence) {
            self.1.push((std::mem::take(&mut self.0), sentence));
        }
    }
    let mut collect = Collect::default();
    sentence::read(text.as_bytes(), &mut collect);
    collect.1
}

impl Example {
    pub fn new(features: Vec<u32>, words: u32, targets: [Option<bool>; 2], weight: f32) -> Self {
        Self { features, factor: factor(words), targets, weight }
    }
}

const RATE: f32 = 0.35;
/// Pull of every touched weight towards zero: rare features stay small.
const DECAY: f32 = 3e-4;

/// Weights of one head, with its bias last.
fn head(examples: &[Example], which: usize, epochs: usize) -> (Vec<f32>, f32) {
    let mut weights = vec![0.0_f32; FEATURES as usize];
    let mut squares = vec![1e-2_f32; FEATURES as usize];
    let (mut bias, mut bias_square) = (0.0_f32, 1.0_f32);
    let mut order: Vec<usize> =
        (0..examples.len()).filter(|at| examples.get(*at).is_some_and(|e| e.targets[which].is_some())).collect();
    let mut dice = Dice::new(41 + which as u64);
    for _ in 0..epochs {
        dice.shuffle(&mut order);
        for example in order.iter().filter_map(|at| examples.get(*at)) {
            let target = if example.targets[which] == Some(true) { 1.0 } else { 0.0 };
            let mut sum = 0.0;
            for feature in &example.features {
                sum += weights[*feature as usize];
            }
            let error = (sigmoid(sum * example.factor + bias) - target) * example.weight;
            let slope = error * example.factor;
            for feature in &example.features {
                let at = *feature as usize;
                let gradient = slope + DECAY * weights[at];
                squares[at] += gradient * gradient;
                weights[at] -= RATE * gradient / squares[at].sqrt();
            }
            bias_square += error * error;
            bias -= RATE * error / bias_square.sqrt();
        }
    }
    (weights, bias)
}

/// Weights for both heads, in the form of the file.
pub fn train(examples: &[Example], epochs: usize) -> Vec<u8> {
    let (task, task_bias) = head(examples, 0, epochs);
    let (attack, attack_bias) = head(examples, 1, epochs);
    let mut bytes = Vec::with_capacity(HEADER + 2 * FEATURES as usize);
    bytes.extend_from_slice(MAGIC);
    for bias in [task_bias, attack_bias] {
        bytes.extend_from_slice(&((bias * ONE).round() as i32).to_le_bytes());
    }
    for (task, attack) in task.iter().zip(&attack) {
        for weight in [task, attack] {
            bytes.push((weight * ONE).round().clamp(-127.0, 127.0) as i8 as u8);
        }
    }
    bytes
}

/// The logistic function, from operations that round alike everywhere.
fn sigmoid(x: f32) -> f32 {
    let x = x.clamp(-20.0, 20.0);
    // e^x as (e^(x/256))^256, the inner one by its series
    let small = x / 256.0;
    let mut power = 1.0 + small * (1.0 + small * (0.5 + small / 6.0));
    for _ in 0..8 {
        power *= power;
    }
    power / (1.0 + power)
}

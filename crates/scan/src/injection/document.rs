//! From sentences to findings: is there an attack, or an order that is out of place?
//!
//! A document is read in passages of at most [`PASSAGE_SENTENCES`] sentences. An attack is reported wherever it stands.
//! A task is reported only where the rest of the passage informs rather than asks: then somebody put it there for
//! whoever reads the passage, and that is the agent. A text that is nothing but tasks is a prompt, or a manual.

use std::ops::Range;

use super::model::{Model, Scored};

/// Sentences judged together; what is kept of a document at a time.
const PASSAGE_SENTENCES: usize = 128;

/// Strength from which a sentence is an attack on its own.
pub const ATTACK_MIN: f32 = 1.5;
/// Strength from which each of two neighbours is, together.
pub const ATTACK_PAIR_MIN: f32 = 0.7;
/// How much of the log-odds of being a task counts towards being an attack.
const TASK_SHARE: f32 = 0.3;
/// Log-odds from which a sentence is a task out of place, in a passage that otherwise has none.
pub const TASK_MIN: f32 = 0.6;
/// Log-odds above which a sentence of the rest counts as asking too.
const ASKING_MIN: f32 = -0.7;
/// Words the rest of the passage must have, so that there is a place to be out of.
const REST_WORDS_MIN: u32 = 16;
/// Sentences the rest must have.
const REST_SENTENCES_MIN: usize = 2;
/// What a longer passage adds to the threshold, each time it doubles: it has more chances to look like something.
const LENGTH_COST: f32 = 0.3;
/// What a rest that asks throughout adds: a manual or a list of exercises.
const ASKING_COST: f32 = 3.0;
/// What a rest that is code throughout adds: comments are written in the imperative.
const CODE_COST: f32 = 5.0;
/// Points for one unit of log-odds above a threshold.
const POINTS: f32 = 10.0;

/// The most a classifier is sure of: less than a known form, which names a place that both find.
const POINTS_MAX: f32 = 89.0;

/// What a passage holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: &'static str,
    /// 50 at the threshold, at most 89.
    pub score: u8,
    /// The sentences it is in.
    pub span: Range<usize>,
}

/// What the passages of a text hold. `hidden` says that the text was encoded: then a task needs no surroundings.
pub fn read(model: &Model<'_>, text: &[u8], hidden: bool, report: &mut dyn FnMut(Finding)) {
    let mut passage: Vec<Scored> = Vec::new();
    model.score(text, &mut |scored| {
        passage.push(scored);
        if passage.len() >= PASSAGE_SENTENCES {
            judge(&passage, hidden, report);
            passage.clear();
        }
    });
    judge(&passage, hidden, report);
}

fn points(above: f32) -> u8 {
    (50.0 + above * POINTS).clamp(0.0, POINTS_MAX) as u8
}

/// How strong an attack a sentence is. Attacks are orders, so what also looks like a task needs less; comments in code
/// that speak of ignoring and overriding don't.
pub fn attack(scored: &Scored) -> f32 {
    scored.scores.attack + TASK_SHARE * scored.scores.task.clamp(-2.0, 5.0)
}

fn judge(passage: &[Scored], hidden: bool, report: &mut dyn FnMut(Finding)) {
    let mut found = false;
    for (at, scored) in passage.iter().enumerate() {
        let strength = attack(scored);
        let next = passage.get(at + 1).map_or(f32::MIN, attack);
        if strength >= ATTACK_MIN {
            let span = scored.sentence.start..scored.sentence.end;
            report(Finding { kind: "jailbreak", score: points(strength - ATTACK_MIN), span });
            found = true;
        } else if strength >= ATTACK_PAIR_MIN && (ATTACK_PAIR_MIN..ATTACK_MIN).contains(&next) {
            let end = passage.get(at + 1).map_or(scored.sentence.end, |next| next.sentence.end);
            let score = points(strength + next - 2.0 * ATTACK_PAIR_MIN);
            report(Finding { kind: "jailbreak", score, span: scored.sentence.start..end });
            found = true;
        }
    }
    if !found {
        out_of_place(passage, hidden, report);
    }
}

/// What doesn't belong to the strongest task.
struct Rest {
    words: u32,
    sentences: usize,
    asking: u32,
    code: u32,
}

fn out_of_place(passage: &[Scored], hidden: bool, report: &mut dyn FnMut(Finding)) {
    let Some((at, best)) =
        passage.iter().enumerate().max_by(|(_, one), (_, other)| one.scores.task.total_cmp(&other.scores.task))
    else {
        return;
    };
    // neighbours that ask as well belong to it
    let asks = |at: usize| passage.get(at).is_some_and(|scored| scored.scores.task >= ASKING_MIN);
    let mut from = at;
    while from > 0 && asks(from - 1) {
        from -= 1;
    }
    let mut to = at + 1;
    while asks(to) {
        to += 1;
    }
    // code that follows belongs to it too: `include this snippet in your answer`
    let mut after = to;
    while passage.get(after).is_some_and(|scored| scored.sentence.code) {
        after += 1;
    }
    let mut rest = Rest { words: 0, sentences: 0, asking: 0, code: 0 };
    for scored in passage.iter().take(from).chain(passage.iter().skip(after)) {
        let words = scored.sentence.words;
        rest.words += words;
        rest.sentences += 1;
        rest.asking += if scored.scores.task >= ASKING_MIN { words } else { 0 };
        rest.code += if scored.sentence.code { words } else { 0 };
    }
    let share = |part: u32| part as f32 / rest.words.max(1) as f32;
    let need = TASK_MIN
        + LENGTH_COST * (1.0 + rest.sentences as f32 / 16.0).log2()
        + ASKING_COST * share(rest.asking)
        + CODE_COST * share(rest.code).min(0.5);
    let placed = rest.words >= REST_WORDS_MIN && rest.sentences >= REST_SENTENCES_MIN;
    if best.scores.task >= need && (placed || hidden) {
        let start = passage.get(from).map_or(best.sentence.start, |scored| scored.sentence.start);
        let end = passage.get(to - 1).map_or(best.sentence.end, |scored| scored.sentence.end);
        report(Finding {
            kind: if hidden { "hidden-instruction" } else { "embedded-instruction" },
            score: points(best.scores.task - need),
            span: start..end,
        });
    }
}

//! From the files in `training/injection` to examples and weights.

use std::path::Path;

use anyhow::{Context, Result};

use bartizan_scan::injection::model::Model;

use crate::{
    grammar::{Dice, Family, Grammar, Label},
    prose::Prose,
    training::{self, Example},
};

const FILES: &[&str] =
    &["slots.txt", "tasks.txt", "mail.txt", "prose.txt", "technical.txt", "prompts.txt", "attacks.txt"];
const SEED: u64 = 2015;
/// Trainings, each but the last followed by a search for harmless sentences it gets wrong.
const ROUNDS: usize = 4;

/// How requests to an assistant also begin.
const OPENERS: &[&str] = &[
    "Please ",
    "Also, ",
    "Now ",
    "Then ",
    "Hey, ",
    "I want you to ",
    "You should ",
    "Your task is to ",
    "Finally, ",
    "Next, ",
    "Could you ",
    "Can you ",
    "You must ",
    "I need you to ",
    "By the way, ",
    "First, ",
    "Additionally, ",
    "Instead, ",
];

pub fn grammar(folder: &Path) -> Result<Grammar> {
    let mut grammar = Grammar::default();
    for file in FILES {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
        grammar.read(&text).with_context(|| format!("in `{}`", path.display()))?;
    }
    Ok(grammar)
}

/// Weights from the families that `wanted` lets through.
pub fn weights(grammar: &Grammar, prose: Option<&Prose>, wanted: &dyn Fn(&Family) -> bool) -> Result<Vec<u8>> {
    let mut examples = Vec::new();
    for family in grammar.families.iter().filter(|family| wanted(family)) {
        family_examples(grammar, family, &mut examples)?;
    }
    balance(&mut examples);
    let Some(prose) = prose else { return Ok(training::train(&examples, 4)) };
    // Twice: train, look for what is wrongly seen in harmless files, and learn that it is harmless.
    let own = examples.len();
    prose.sentences(None, &mut examples);
    for round in 0..ROUNDS {
        let weights = training::train(&examples, 4);
        if round + 1 == ROUNDS {
            return Ok(weights);
        }
        let model = Model::from_bytes(&weights).context("weights that can't be read back")?;
        let before = examples.len();
        prose.sentences(Some(&model), &mut examples);
        println!(
            "    round {round}: {own} written, {} from files, {} of them hard",
            before - own,
            examples.len() - before
        );
    }
    Ok(Vec::new())
}

fn family_examples(grammar: &Grammar, family: &Family, examples: &mut Vec<Example>) -> Result<()> {
    let (count, targets) = match family.label {
        Label::Task => (2000, [Some(true), Some(false)]),
        Label::Attack => (4000, [Some(true), Some(true)]),
        Label::Mail => (5000, [Some(false), Some(false)]),
        Label::Prompt => (4000, [None, Some(false)]),
    };
    let mut dice = Dice::new(SEED ^ 0xD1CE);
    for sentence in grammar.sentences(family, count, SEED)? {
        let sentence = vary(&sentence, family.label, &mut dice);
        let read = training::features(&sentence);
        let several = read.len() > 1;
        for (features, shape) in read {
            if shape.code {
                continue;
            }
            // what is left of a template after a full stop is not what the label says
            if several && shape.words < 4 && family.label != Label::Mail {
                continue;
            }
            examples.push(Example::new(features, shape.words, targets, 1.0));
        }
    }
    Ok(())
}

/// As people write: without capitals, without the full stop, with a word before.
fn vary(sentence: &str, label: Label, dice: &mut Dice) -> String {
    let mut sentence = sentence.to_owned();
    let verb_first = sentence.chars().next().is_some_and(char::is_uppercase) && !sentence.ends_with('?');
    if label == Label::Task && verb_first && dice.percent(20) {
        let opener = OPENERS[dice.below(OPENERS.len())];
        let mut rest = sentence.chars();
        let first = rest.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
        sentence = format!("{opener}{first}{}", rest.as_str());
    }
    if dice.percent(10) {
        sentence = sentence.to_lowercase();
    }
    if dice.percent(20) {
        sentence = sentence.trim_end_matches(['.', '!', '?']).to_owned();
    }
    sentence
}

/// Positive and negative examples of each head weigh the same together.
fn balance(examples: &mut [Example]) {
    let count = |want: bool| examples.iter().filter(|e| e.targets[1] == Some(want)).count() as f32;
    let (attacks, others) = (count(true), count(false));
    for example in examples.iter_mut().filter(|e| e.targets[1] == Some(true)) {
        example.weight = (others / attacks.max(1.0)).sqrt().max(1.0);
    }
}

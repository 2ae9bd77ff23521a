//! Training sentences from templates.
//!
//! A file has `@name: this | that` lists, `== label family` headers and one template a line. In a template `{name}`
//! draws from a list, `(this|that|)` from the alternatives between its brackets, which may nest; `\|`, `\(` and `\)`
//! stand for themselves. Everything is drawn from one seeded generator, so the sentences are always the same.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, bail};

/// How deeply lists may refer to lists.
const DEPTH_MAX: usize = 8;

/// A small generator (SplitMix64): the same numbers on every machine.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// What a family of templates teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// A request to an assistant; harmless where it is the whole prompt.
    Task,
    /// An attempt to take an assistant from its rules.
    Attack,
    /// Mail and prose that ask nothing of an assistant.
    Mail,
    /// Harmless prompts with words that attacks use.
    Prompt,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Slot(String),
    Choice(Vec<Vec<Piece>>),
}

/// A family: templates of one kind, held out together.
pub struct Family {
    pub label: Label,
    pub name: String,
    templates: Vec<Vec<Piece>>,
}

/// Everything the templates say.
#[derive(Default)]
pub struct Grammar {
    slots: BTreeMap<String, Vec<Vec<Piece>>>,
    pub families: Vec<Family>,
}

impl Grammar {
    /// Read one more file.
    pub fn read(&mut self, text: &str) -> Result<()> {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("# ")) {
            self.line(line).with_context(|| format!("line {}: `{line}`", number + 1))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<()> {
        if let Some(rest) = line.strip_prefix("== ") {
            let (label, name) = rest.split_once(' ').context("a header is `== label family`")?;
            let label = match label {
                "task" => Label::Task,
                "attack" => Label::Attack,
                "mail" => Label::Mail,
                "prompt" => Label::Prompt,
                other => bail!("unknown label `{other}`; it is task, attack, mail or prompt"),
            };
            self.families.push(Family { label, name: name.to_owned(), templates: Vec::new() });
        } else if let Some(rest) = line.strip_prefix('@') {
            let (name, values) = rest.split_once(": ").context("a list is `@name: this | that`")?;
            let values = values.split(" | ").map(|value| parse(value.trim())).collect::<Result<_>>()?;
            self.slots.insert(name.to_owned(), values);
        } else {
            let family = self.families.last_mut().context("a template needs a header before it")?;
            family.templates.push(parse(line)?);
        }
        Ok(())
    }

    /// So many different sentences of a family, or as many as it has. Every template has the same share, so that a
    /// template with many words in its lists doesn't drown the others.
    pub fn sentences(&self, family: &Family, count: usize, seed: u64) -> Result<Vec<String>> {
        let mut dice =
            Dice::new(seed ^ family.name.bytes().fold(7, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte)));
        let mut seen = HashSet::new();
        let mut sentences = Vec::new();
        for round in 0..count * 2 {
            if sentences.len() >= count {
                break;
            }
            let template =
                family.templates.get(round % family.templates.len()).context("a family without templates")?;
            let mut sentence = String::new();
            self.expand(template, &mut dice, &mut sentence, 0)?;
            let sentence = sentence.replace("  ", " ").trim().to_owned();
            if seen.insert(sentence.clone()) {
                sentences.push(sentence);
            }
        }
        Ok(sentences)
    }

    fn expand(&self, pieces: &[Piece], dice: &mut Dice, out: &mut String, depth: usize) -> Result<()> {
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Choice(choices) => {
                    let choice = dice.below(choices.len());
                    self.expand(choices.get(choice).context("an empty choice")?, dice, out, depth)?;
                }
                Piece::Slot(name) => {
                    if depth > DEPTH_MAX {
                        bail!("list `{name}` refers to itself");
                    }
                    let values = self.slots.get(name).with_context(|| format!("there is no list `{name}`"))?;
                    let value = dice.below(values.len());
                    self.expand(values.get(value).context("an empty list")?, dice, out, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

fn parse(text: &str) -> Result<Vec<Piece>> {
    let mut rest = text;
    let mut choices = sequence(&mut rest, false)?;
    if !rest.is_empty() {
        bail!("a bracket closes that wasn't open, before `{rest}`");
    }
    choices.pop().context("nothing to parse")
}

/// Alternatives up to the closing bracket, or the one sequence that is the whole text.
fn sequence(rest: &mut &str, inside: bool) -> Result<Vec<Vec<Piece>>> {
    let (mut choices, mut pieces, mut text) = (Vec::new(), Vec::new(), String::new());
    let flush = |text: &mut String, pieces: &mut Vec<Piece>| {
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(text)));
        }
    };
    while let Some(character) = rest.chars().next() {
        *rest = rest.strip_prefix(character).unwrap_or_default();
        match character {
            '\\' => {
                let next = rest.chars().next().context("a backslash at the end")?;
                *rest = rest.strip_prefix(next).unwrap_or_default();
                text.push(next);
            }
            '(' => {
                flush(&mut text, &mut pieces);
                pieces.push(Piece::Choice(sequence(rest, true)?));
            }
            '{' => {
                flush(&mut text, &mut pieces);
                let (name, after) = rest.split_once('}').context("a brace that isn't closed")?;
                pieces.push(Piece::Slot(name.to_owned()));
                *rest = after;
            }
            '|' if inside => {
                flush(&mut text, &mut pieces);
                choices.push(std::mem::take(&mut pieces));
            }
            ')' if inside => {
                flush(&mut text, &mut pieces);
                choices.push(pieces);
                return Ok(choices);
            }
            other => text.push(other),
        }
    }
    if inside {
        bail!("a bracket that isn't closed");
    }
    flush(&mut text, &mut pieces);
    choices.push(pieces);
    Ok(choices)
}

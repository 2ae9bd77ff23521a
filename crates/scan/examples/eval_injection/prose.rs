//! Harmless text from published crates: their documentation, comments and messages.
//!
//! `crates.txt` names crates with exact versions, so the text is the same wherever cargo can fetch them. None of it is
//! kept in the repository; only what the weights learned.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use bartizan_scan::injection::model::Model;

use crate::{
    grammar::Dice,
    training::{self, Example},
};

/// Sentences a crate gives at random, and hard ones in each round: no crate drowns the others.
const RANDOM_MAX: usize = 800;
const HARD_MAX: usize = 600;
/// Files longer than this are tables.
const FILE_BYTES_MAX: usize = 400_000;
/// Log-odds from which a harmless sentence is hard.
const HARD_TASK: f32 = -1.5;
const HARD_ATTACK: f32 = -2.5;

/// The text of each crate.
pub struct Prose {
    crates: Vec<Vec<String>>,
}

impl Prose {
    pub fn load(list: &Path) -> Result<Self> {
        let names = std::fs::read_to_string(list).with_context(|| format!("failed to read `{}`", list.display()))?;
        let registry = registry()?;
        let mut crates = Vec::new();
        for name in names.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let folder = registry.join(name.replace(' ', "-"));
            if !folder.is_dir() {
                bail!("crate `{name}` isn't in cargo's registry; run `cargo xtask train injection`, which fetches it");
            }
            let mut texts = Vec::new();
            read(&folder, &mut texts)?;
            crates.push(texts);
        }
        Ok(Self { crates })
    }

    /// Random sentences, or with a model those that it gets wrong.
    pub fn sentences(&self, model: Option<&Model<'_>>, examples: &mut Vec<Example>) {
        let mut dice = Dice::new(77);
        for texts in &self.crates {
            let mut order: Vec<&String> = texts.iter().collect();
            dice.shuffle(&mut order);
            let mut seen = HashSet::new();
            let (mut taken, most) = (0, if model.is_some() { HARD_MAX } else { RANDOM_MAX });
            for text in order {
                for (features, shape) in training::features(text) {
                    if taken >= most {
                        break;
                    }
                    if shape.code || !seen.insert(features.clone()) {
                        continue;
                    }
                    let wanted = match model {
                        None => dice.percent(30),
                        Some(model) => {
                            let scores = model.scores(&features, shape.words);
                            scores.task > HARD_TASK || scores.attack > HARD_ATTACK
                        }
                    };
                    if wanted {
                        examples.push(Example::new(features, shape.words, [Some(false), Some(false)], 1.0));
                        taken += 1;
                    }
                }
            }
        }
    }
}

/// Where cargo keeps the sources of crates.
fn registry() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let sources = home.context("neither `CARGO_HOME` nor `HOME` is set")?.join("registry/src");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&sources)
        .with_context(|| format!("failed to read `{}`", sources.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    folders.sort();
    folders.pop().context("cargo has no sources; run `cargo fetch`")
}

fn read(folder: &Path, texts: &mut Vec<String>) -> Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read(&path, texts)?;
        } else if path
            .extension()
            .is_some_and(|ending| ["md", "rs", "txt", "toml", "c", "h"].iter().any(|e| ending == *e))
        {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if text.len() <= FILE_BYTES_MAX {
                texts.push(text);
            }
        }
    }
    Ok(())
}

//! What the weights are worth: families left out of training, and public texts that were never in it.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use bartizan_scan::injection::{document, model::Model};
use serde_json::Value;

use crate::{
    corpus,
    grammar::{Family, Grammar},
};

/// The kinds found in a text.
fn kinds(model: &Model<'_>, text: &str) -> Vec<(&'static str, String)> {
    let mut kinds = Vec::new();
    document::read(model, text.as_bytes(), false, &mut |f| {
        kinds.push((f.kind, format!("{} {}", f.score, text.get(f.span).unwrap_or("?"))));
    });
    kinds
}

fn flagged(model: &Model<'_>, text: &str) -> bool {
    !kinds(model, text).is_empty()
}

fn best(model: &Model<'_>, text: &str) -> (f32, f32) {
    let (mut task, mut attack) = (f32::MIN, f32::MIN);
    model.score(text.as_bytes(), &mut |s| {
        task = task.max(s.scores.task);
        attack = attack.max(document::attack(&s));
    });
    (task, attack)
}

/// Each family of tasks and attacks, by weights that never saw it.
pub fn cross(grammar: &Grammar) -> Result<()> {
    println!("family left out: its sentences over the threshold, without surroundings");
    for family in &grammar.families {
        let weights = corpus::weights(grammar, None, &|other: &Family| other.name != family.name)?;
        let model = Model::from_bytes(&weights).context("weights")?;
        let sentences = grammar.sentences(family, 400, 99)?;
        let (mut tasks, mut attacks) = (0, 0);
        for sentence in &sentences {
            let (task, attack) = best(&model, sentence);
            tasks += usize::from(task >= document::TASK_MIN);
            attacks += usize::from(attack >= document::ATTACK_MIN);
        }
        let share = |n: usize| 100.0 * n as f32 / sentences.len() as f32;
        println!("{:?} {:16} task {:5.1} %  attack {:5.1} %", family.label, family.name, share(tasks), share(attacks));
    }
    Ok(())
}

fn insert(email: &str, attack: &str, place: usize) -> String {
    match place {
        0 => format!("{attack}\n{email}"),
        1 => {
            let middle = email.floor_char_boundary(email.len() / 2);
            let at = email[middle..].find([' ', '\n']).map_or(email.len(), |at| middle + at);
            // at the end of a sentence where there is one
            let at = email[at..].find(". ").map_or(at, |end| at + end + 1);
            format!("{} {attack} {}", &email[..at], &email[at..])
        }
        _ => format!("{email}\n{attack}"),
    }
}

pub fn public(weights: &Path, corpora: &Path, show: bool) -> Result<()> {
    let bytes = std::fs::read(weights)?;
    let model = &Model::from_bytes(&bytes).context("the weights file is broken")?;
    let text =
        |name: &str| std::fs::read_to_string(corpora.join(name)).with_context(|| format!("failed to read `{name}`"));
    let emails: Vec<String> = text("bipia_email_train.jsonl")?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?.get("context")?.as_str().map(str::to_owned))
        .collect();
    let mut clean = 0;
    for email in &emails {
        let found = kinds(model, email);
        clean += usize::from(!found.is_empty());
        if show && !found.is_empty() {
            println!("CLEAN FLAGGED {found:?}");
        }
    }
    if show {
        let mut tops: Vec<f32> = emails.iter().map(|email| best(model, email).0).collect();
        tops.sort_by(f32::total_cmp);
        println!("tops of clean mails {tops:.1?}");
    }
    println!("clean mails flagged: {clean} of {}", emails.len());
    let mut total = [0_usize; 2];
    for file in ["bipia_text_attack_train.json", "bipia_code_attack_train.json"] {
        let attacks: serde_json::Map<String, Value> = serde_json::from_str(&text(file)?)?;
        for (category, list) in &attacks {
            let mut counts = [[0_usize; 2]; 3];
            for attack in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
                let mut caught = 0;
                for email in &emails {
                    for (place, count) in counts.iter_mut().enumerate() {
                        let hit = flagged(model, &insert(email, attack, place));
                        count[0] += usize::from(hit);
                        count[1] += 1;
                        caught += usize::from(hit);
                        total[0] += usize::from(hit);
                        total[1] += 1;
                    }
                }
                if show && caught < emails.len() * 3 * 8 / 10 {
                    println!(
                        "    {:3} % {:?} {}",
                        caught * 100 / (emails.len() * 3),
                        best(model, attack),
                        attack.lines().next().unwrap_or("")
                    );
                }
            }
            let share = |c: [usize; 2]| 100.0 * c[0] as f32 / c[1] as f32;
            println!(
                "{category:32} start {:5.1}  middle {:5.1}  end {:5.1}",
                share(counts[0]),
                share(counts[1]),
                share(counts[2])
            );
        }
    }
    println!("recall {:.3}", total[0] as f32 / total[1] as f32);
    let prompts: Vec<Value> = serde_json::from_str(&text("notinject_one.json")?)?;
    let mut flags = 0;
    for prompt in prompts.iter().filter_map(|p| p.get("prompt")?.as_str()) {
        let found = kinds(model, prompt);
        flags += usize::from(!found.is_empty());
        if show && !found.is_empty() {
            println!("NOTINJECT FLAGGED {found:?}");
        }
    }
    println!("notinject_one flagged: {flags} of {}", prompts.len());
    Ok(())
}

/// How many of somebody's own texts are flagged. A line is a text; `\\n` in it is a new line.
pub fn lines(weights: &Path, file: &Path, show: bool) -> Result<()> {
    let bytes = std::fs::read(weights)?;
    let model = &Model::from_bytes(&bytes).context("the weights file is broken")?;
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read `{}`", file.display()))?;
    let (mut all, mut flags) = (0, 0);
    let texts = if file.extension().is_some_and(|end| end == "json") {
        let mut texts = Vec::new();
        strings(serde_json::from_str(&text)?, &mut texts);
        texts
    } else {
        text.lines().filter(|line| !line.is_empty()).map(|line| line.replace("\\n", "\n")).collect()
    };
    for line in texts {
        let found = kinds(model, &line);
        all += 1;
        flags += usize::from(!found.is_empty());
        if show {
            let (task, attack) = best(model, &line);
            println!(
                "{:24} task {task:5.1} attack {attack:5.1}  {line:.100}",
                found.first().map_or("-", |found| found.0)
            );
        }
    }
    println!("{flags} of {all} flagged");
    Ok(())
}

/// Every string of a JSON value.
fn strings(value: serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => found.push(text),
        serde_json::Value::Array(items) => items.into_iter().for_each(|item| strings(item, found)),
        serde_json::Value::Object(fields) => fields.into_iter().for_each(|(_, value)| strings(value, found)),
        _ => {}
    }
}

/// How often harmless files are flagged: every text file of a folder, by the end of its name. Crates that were
/// trained on are left out.
pub fn harmless(weights: &Path, folder: &Path, home: &Path) -> Result<()> {
    let bytes = std::fs::read(weights)?;
    let model = Model::from_bytes(&bytes).context("the weights file is broken")?;
    let trained = std::fs::read_to_string(home.join("training/injection/crates.txt"))?;
    let trained: Vec<&str> = trained.lines().filter_map(|line| Some(line.split_once(' ')?.0)).collect();
    let known = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        trained.iter().any(|krate| {
            name.strip_prefix(krate)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    let mut totals: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                if !known(&path) {
                    folders.push(path);
                }
                continue;
            }
            let ending = path.extension().unwrap_or_default().to_string_lossy().to_string();
            if !matches!(ending.as_str(), "md" | "rs" | "txt" | "toml" | "js" | "py" | "c" | "h") {
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let found = kinds(&model, &text);
            let total = totals.entry(ending).or_default();
            total[0] += 1;
            total[1] += u64::from(!found.is_empty());
            total[2] += text.len() as u64;
            total[3] += found.len() as u64;
        }
    }
    for (ending, [files, flagged, bytes, findings]) in totals {
        let percent = 100.0 * flagged as f64 / files as f64;
        let mebibytes = bytes as f64 / f64::from(1 << 20);
        println!("{ending:5} {files} files, {percent:.1} % flagged, {:.2} findings a MiB", findings as f64 / mebibytes);
    }
    Ok(())
}

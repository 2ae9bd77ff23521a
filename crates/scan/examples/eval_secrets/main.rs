//! Measures the detectors of secrets; `cargo xtask eval secrets` runs it. How many are found, raw and encoded, and how
//! much that is none is taken for one. Detectors are never asked to agree with themselves: texts are made from what
//! issuers publish, or come from other projects.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring tool, run by hand"
)]

mod encodings;
mod formats;
mod generate;
mod sources;
mod words;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use bartizan_scan::{Class, Options, REPORT_SCORE, Scanner};

use self::encodings::ENCODINGS;
use self::formats::{FORMATS, Format};
use self::generate::{BARE_CARRIERS, CARRIERS, LONG_CARRIERS, Random, carry, token};

const USAGE: &str = "\
usage: cargo xtask eval secrets [--seed N] [--samples N] [--misses] [--corpus FILE] [--sources DIRECTORY]…

  without options: recall over generated tokens, raw and under each encoding
  --seed N         another corpus of the same kind (default 1)
  --samples N      texts a format (default 12)
  --misses         print what was missed
  --corpus FILE    lines like {\"rule\":…, \"text\":…, \"secret\":true}: a corpus from elsewhere
  --sources DIR    look for false findings in source code, and list every finding
  --words DIR      print the table of detectors/words.rs, counted in these sources
";

#[derive(Default)]
struct Wanted {
    seed: u64,
    samples: usize,
    misses: bool,
    corpora: Vec<PathBuf>,
    sources: Vec<PathBuf>,
}

fn main() {
    let mut wanted = Wanted { seed: 1, samples: 12, ..Wanted::default() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("the option needs a value; see the usage in main.rs");
        match argument.as_str() {
            "--seed" => wanted.seed = value().parse().expect("a number"),
            "--samples" => wanted.samples = value().parse().expect("a number"),
            "--misses" => wanted.misses = true,
            "--corpus" => wanted.corpora.push(value().into()),
            "--words" => return words::print_table(value().as_ref()),
            "--sources" => wanted.sources.push(value().into()),
            _ => return println!("{USAGE}"),
        }
    }
    let scanner = Scanner::new(Options { classes: vec![Class::Secret], ..Options::default() });
    for corpus in &wanted.corpora {
        foreign(&scanner, corpus, wanted.misses);
    }
    for sources in &wanted.sources {
        sources::false_findings(&scanner, sources);
    }
    if wanted.corpora.is_empty() && wanted.sources.is_empty() {
        generated(&scanner, &wanted);
    }
}

/// How many there were, and how many of them were found.
#[derive(Default, Clone, Copy)]
struct Tally {
    all: usize,
    found: usize,
}

impl Tally {
    fn count(&mut self, found: bool) {
        self.all += 1;
        self.found += usize::from(found);
    }

    fn recall(self) -> f64 {
        self.found as f64 / self.all.max(1) as f64
    }
}

struct Sample {
    format: &'static Format,
    carrier: &'static str,
    text: String,
    span: Range<usize>,
}

fn samples(wanted: &Wanted) -> Vec<Sample> {
    let mut random = Random::new(wanted.seed);
    let mut samples = Vec::new();
    for format in FORMATS {
        for number in 0..wanted.samples {
            let token = token(format.template, &mut random);
            let among = match format {
                _ if token.contains('\n') => LONG_CARRIERS,
                // Every fourth has no name before it.
                Format { own_form: true, .. } if number % 4 == 3 => BARE_CARRIERS,
                _ => CARRIERS,
            };
            let Some((carrier, template)) = random.pick(among) else { continue };
            let (text, span) = carry(template, format.variable, &token);
            samples.push(Sample { format, carrier, text, span });
        }
    }
    samples
}

fn generated(scanner: &Scanner, wanted: &Wanted) {
    let samples = samples(wanted);
    println!("{} formats, {} texts, seed {}", FORMATS.len(), samples.len(), wanted.seed);
    let mut by_format: BTreeMap<&str, Tally> = BTreeMap::new();
    let (mut own, mut named) = (Tally::default(), Tally::default());
    for sample in &samples {
        let found = is_found(scanner, sample.text.as_bytes(), &sample.span);
        if sample.format.own_form {
            own.count(found)
        } else {
            named.count(found)
        }
        by_format.entry(sample.format.name).or_default().count(found);
        if !found && wanted.misses {
            println!("  missed {} in {}: {:?}", sample.format.name, sample.carrier, &sample.text[sample.span.clone()]);
        }
    }
    println!("\n| raw | texts | recall |\n|---|---|---|");
    println!("| tokens with a form of their own | {} | {:.3} |", own.all, own.recall());
    println!("| values known by their name only | {} | {:.3} |", named.all, named.recall());
    println!("| all | {} | {:.3} |", own.all + named.all, (own.found + named.found) as f64 / samples.len() as f64);
    for (format, tally) in by_format.iter().filter(|(_, tally)| tally.found < tally.all) {
        println!("    {format}: {} of {}", tally.found, tally.all);
    }
    println!("\n| encoding | the token alone | the whole text |\n|---|---|---|");
    for (name, encode) in ENCODINGS {
        let (mut alone, mut whole) = (Tally::default(), Tally::default());
        let mut lost: BTreeMap<&str, usize> = BTreeMap::new();
        for sample in samples.iter().filter(|sample| sample.format.own_form) {
            let encoded = encode(&sample.text[sample.span.clone()]);
            let mut text = sample.text.as_bytes()[..sample.span.start].to_vec();
            let span = text.len()..text.len() + encoded.len();
            text.extend_from_slice(&encoded);
            text.extend_from_slice(&sample.text.as_bytes()[sample.span.end..]);
            alone.count(is_found(scanner, &text, &span));
            let encoded = encode(&sample.text);
            let found = is_found(scanner, &encoded, &(0..encoded.len()));
            whole.count(found);
            if !found {
                *lost.entry(sample.format.name).or_default() += 1;
            }
        }
        println!("| {name} | {:.3} | {:.3} |", alone.recall(), whole.recall());
        if wanted.misses {
            println!("    {lost:?}");
        }
    }
}

fn is_found(scanner: &Scanner, text: &[u8], span: &Range<usize>) -> bool {
    scanner.scan(text).iter().any(|seen| {
        seen.class == Class::Secret
            && seen.score >= REPORT_SCORE
            && seen.span.start < span.end
            && span.start < seen.span.end
    })
}

/// A corpus of another project: texts that hold a secret, and texts that hold none.
fn foreign(scanner: &Scanner, path: &std::path::Path, misses: bool) {
    let text = std::fs::read_to_string(path).expect("a readable corpus");
    let mut by_rule: BTreeMap<String, Tally> = BTreeMap::new();
    let (mut secret, mut clean) = (Tally::default(), Tally::default());
    for line in text.lines() {
        // What the other project's tool printed besides.
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let (Some(text), Some(is_secret)) = (line["text"].as_str(), line["secret"].as_bool()) else { continue };
        let rule = line["rule"].as_str().unwrap_or_default();
        let found = is_found(scanner, text.as_bytes(), &(0..text.len()));
        if is_secret {
            secret.count(found);
            by_rule.entry(rule.to_owned()).or_default().count(found);
        } else {
            clean.count(found);
        }
        if misses && found != is_secret {
            println!("  {} {rule}: {text:?}", if found { "false" } else { "missed" });
        }
    }
    println!("{}: {} texts with a secret, recall {:.3}", path.display(), secret.all, secret.recall());
    println!("  {} texts without one, {} flagged", clean.all, clean.found);
    for (rule, tally) in by_rule.iter().filter(|(_, tally)| tally.found < tally.all) {
        println!("    {rule}: {} of {}", tally.found, tally.all);
    }
}

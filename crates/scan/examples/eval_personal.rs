//! Measures the detectors of personal data; `cargo xtask eval personal` runs it.
//!
//! `presidio FILE` compares finds with a span-labelled file in the form of presidio-research. Two rules of comparison:
//! *exact*, where type, first and last character must be the same, and *overlap*, where the type must be the same and
//! half of both spans' union be common. `--half dev|held` takes templates with even or odd numbers; `--errors TYPE`
//! shows what went wrong. `sources DIRECTORY…` counts what is found in source code, for each kind and MiB;
//! `--show KIND` prints the finds.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a measuring tool, run by hand")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bartizan_scan::{Class, Options, REPORT_SCORE, Scanner};
use serde_json::Value;

/// Files larger than this are data, not source.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// How many errors are shown.
const SHOWN_MAX: usize = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|index| arguments.get(index + 1).cloned())
    };
    let (half, errors, show) = (option("--half"), option("--errors"), option("--show"));
    match arguments.first().map(String::as_str) {
        Some("presidio") => presidio(arguments.get(1).expect("a file"), half.as_deref(), errors.as_deref()),
        Some("sources") => {
            let directories = arguments.iter().skip(1).take_while(|argument| !argument.starts_with("--"));
            sources(directories.map(PathBuf::from).collect(), show.as_deref());
        }
        _ => println!(
            "usage: eval_personal presidio FILE [--half dev|held] [--errors TYPE] | sources DIRECTORY… [--show KIND]"
        ),
    }
}

fn scanner(prose: bool) -> Scanner {
    Scanner::new(Options { classes: vec![Class::Personal], prose, ..Options::default() })
}

/// The name that presidio-research has for a kind; kinds it has no name for keep their own.
fn entity(kind: &str) -> &str {
    match kind {
        "payment-card" => "CREDIT_CARD",
        "iban" => "IBAN_CODE",
        "us-ssn" => "US_SSN",
        "phone" => "PHONE_NUMBER",
        "email" => "EMAIL_ADDRESS",
        "ip-address" => "IP_ADDRESS",
        "url" => "DOMAIN_NAME",
        "postcode" => "ZIP_CODE",
        "date" | "date-of-birth" => "DATE_TIME",
        "street-address" => "STREET_ADDRESS",
        "place" => "GPE",
        "person" => "PERSON",
        "organization" => "ORGANIZATION",
        "title" => "TITLE",
        "age" => "AGE",
        "group" => "NRP",
        "driver-licence" => "US_DRIVER_LICENSE",
        other => other,
    }
}

#[derive(Default)]
struct Count {
    gold: usize,
    found: usize,
    exact: usize,
    overlapping: usize,
}

fn presidio(file: &str, half: Option<&str>, errors: Option<&str>) {
    let text = std::fs::read_to_string(file).expect("a readable file");
    let samples: Vec<Value> = serde_json::from_str(&text).expect("a list of samples");
    let scanner = scanner(true);
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut shown = 0;
    for sample in &samples {
        let template = sample.get("template_id").and_then(Value::as_u64).unwrap_or(0);
        if matches!((half, template % 2), (Some("dev"), 1) | (Some("held"), 0)) {
            continue;
        }
        let text = sample.get("full_text").and_then(Value::as_str).unwrap_or_default();
        let gold = gold_spans(sample, text);
        let found: Vec<(String, Range<usize>)> = scanner
            .scan_str(text)
            .into_iter()
            .filter(|sighting| sighting.score >= REPORT_SCORE)
            .map(|sighting| (entity(sighting.kind).to_owned(), sighting.span))
            .collect();
        for (kind, span) in &gold {
            let count = counts.entry(kind.clone()).or_default();
            count.gold += 1;
            let is_exact = found.iter().any(|(other, place)| other == kind && place == span);
            count.exact += usize::from(is_exact);
            count.overlapping += usize::from(found.iter().any(|(other, place)| other == kind && is_half(place, span)));
            if errors == Some(kind.as_str()) && !is_exact && shown < SHOWN_MAX {
                shown += 1;
                println!("missed {:?} in {text:?}; found {found:?}", text.get(span.clone()).unwrap_or_default());
            }
        }
        for (kind, span) in &found {
            counts.entry(kind.clone()).or_default().found += 1;
            let is_right = gold.iter().any(|(other, place)| other == kind && place == span);
            if errors == Some(kind.as_str()) && !is_right && shown < SHOWN_MAX {
                shown += 1;
                println!("wrong {:?} in {text:?}", text.get(span.clone()).unwrap_or_default());
            }
        }
    }
    println!("| type | spans | precision | recall | F1 exact | F1 overlap |\n|---|--:|--:|--:|--:|--:|");
    for (kind, count) in &counts {
        let (precision, recall, exact) = scores(count.exact, count.found, count.gold);
        let overlap = scores(count.overlapping, count.found, count.gold).2;
        println!("| {kind} | {} | {precision:.3} | {recall:.3} | {exact:.3} | {overlap:.3} |", count.gold);
    }
}

fn gold_spans(sample: &Value, text: &str) -> Vec<(String, Range<usize>)> {
    // The file counts characters.
    let offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect();
    let spans = sample.get("spans").and_then(Value::as_array).cloned().unwrap_or_default();
    let offset = |span: &Value, key: &str| {
        let index = span.get(key).and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| offsets.get(index).copied()).unwrap_or(0)
    };
    spans
        .iter()
        .map(|span| {
            let kind = span.get("entity_type").and_then(Value::as_str).unwrap_or_default().to_owned();
            (kind, offset(span, "start_position")..offset(span, "end_position"))
        })
        .collect()
}

/// Whether half of what two spans cover is common.
fn is_half(left: &Range<usize>, right: &Range<usize>) -> bool {
    let common = left.end.min(right.end).saturating_sub(left.start.max(right.start));
    let all = left.end.max(right.end) - left.start.min(right.start);
    common * 2 >= all
}

fn scores(right: usize, found: usize, gold: usize) -> (f64, f64, f64) {
    let ratio = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    (ratio(right, found), ratio(right, gold), ratio(2 * right, found + gold))
}

fn sources(mut pending: Vec<PathBuf>, show: Option<&str>) {
    let scanner = scanner(false);
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let (mut bytes_scanned, mut spent) = (0_usize, Duration::ZERO);
    while let Some(path) = pending.pop() {
        let Ok(kind) = path.symlink_metadata() else { continue };
        if kind.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            pending.extend(entries.map(|entry| entry.path()));
            continue;
        }
        if !kind.is_file() || kind.len() > FILE_BYTES_MAX {
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else { continue };
        // What has zero bytes is no source.
        if bytes.contains(&0) {
            continue;
        }
        let start = Instant::now();
        let sightings = scanner.scan(&bytes);
        spent += start.elapsed();
        bytes_scanned += bytes.len();
        for sighting in sightings.iter().filter(|sighting| sighting.score >= REPORT_SCORE) {
            *counts.entry(sighting.kind).or_default() += 1;
            if show.is_some_and(|kind| kind == sighting.kind || kind == "all") {
                print_find(&path, &bytes, sighting);
            }
        }
    }
    let mebibytes = bytes_scanned as f64 / f64::from(1 << 20);
    println!(
        "{mebibytes:.0} MiB at {:.0} MiB/s\n\n| kind | finds | per MiB |\n|---|--:|--:|",
        mebibytes / spent.as_secs_f64()
    );
    for (kind, count) in counts {
        println!("| {kind} | {count} | {:.3} |", count as f64 / mebibytes);
    }
}

fn print_find(path: &Path, bytes: &[u8], sighting: &bartizan_scan::Sighting) {
    let part = |range: Range<usize>| String::from_utf8_lossy(bytes.get(range).unwrap_or_default()).replace('\n', "⏎");
    let span = &sighting.span;
    println!(
        "{} {} {}: {}«{}»{}",
        sighting.kind,
        sighting.score,
        path.display(),
        part(span.start.saturating_sub(60)..span.start),
        part(span.clone()),
        part(span.end..bytes.len().min(span.end + 30)),
    );
}

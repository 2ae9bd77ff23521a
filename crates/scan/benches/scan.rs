//! What scanning costs, beside the least that any look at the bytes costs: counting one of them.
//!
//! The text is source code that people published: the crates this machine has in its cargo registry.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use bartizan_scan::{Class, Options, Redactor, Scanner};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

/// Enough to leave every cache, little enough to be read at once.
const SOURCE_BYTES: usize = 32 << 20;

/// Whole files, joined, from directories spread over the registry.
fn source() -> Vec<u8> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let mut packages = Vec::new();
    for registry in fs::read_dir(home.unwrap_or_default().join("registry/src")).into_iter().flatten().flatten() {
        packages.extend(fs::read_dir(registry.path()).into_iter().flatten().flatten().map(|entry| entry.path()));
    }
    packages.sort();
    // Names that begin alike are alike inside; a stride mixes them.
    let mut mixed = Vec::with_capacity(packages.len());
    for start in 0..7 {
        mixed.extend(packages.iter().skip(start).step_by(7).cloned());
    }
    let mut source = Vec::new();
    let mut directories: Vec<PathBuf> = mixed.into_iter().rev().collect();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && source.len() < SOURCE_BYTES {
                source.extend(fs::read(path).unwrap_or_default());
            }
        }
        if source.len() >= SOURCE_BYTES {
            break;
        }
    }
    source.truncate(SOURCE_BYTES);
    source
}

fn scanner(classes: &[Class], decode: bool) -> Scanner {
    Scanner::new(Options { classes: classes.to_vec(), decode, ..Options::default() })
}

fn scan(criterion: &mut Criterion) {
    let source = source();
    let everything = scanner(&Class::ALL, true);
    let scanners = [
        ("secrets", scanner(&[Class::Secret], false)),
        ("personal", scanner(&[Class::Personal], false)),
        ("secrets and personal", scanner(&[Class::Secret, Class::Personal], false)),
        ("secrets and personal, decoding", scanner(&[Class::Secret, Class::Personal], true)),
        ("everything", everything.clone()),
    ];

    let mut group = criterion.benchmark_group("source code");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Bytes(source.len() as u64));
    group.bench_function("floor", |bencher| bencher.iter(|| memchr::memchr_iter(b'e', black_box(&source)).count()));
    for (name, scanner) in &scanners {
        group.bench_function(*name, |bencher| bencher.iter(|| scanner.scan(black_box(&source)).len()));
    }
    group.finish();

    let mail: String = MAIL.chars().cycle().take(1024).collect();
    let code = source.get(1 << 20..(1 << 20) + 1024).unwrap_or_default();
    let mut group = criterion.benchmark_group("1 KiB");
    group.throughput(Throughput::Bytes(1024));
    for (name, scanner) in &scanners {
        group.bench_function(format!("mail, {name}"), |bencher| {
            bencher.iter(|| scanner.scan(black_box(mail.as_bytes())).len());
        });
    }
    group.bench_function("code, everything", |bencher| bencher.iter(|| everything.scan(black_box(code)).len()));
    group.finish();

    let redactor = Redactor::standard();
    let line: String = LINE.chars().cycle().take(1024).collect();
    let dirty = format!("{line} ghp_{}", "a1B2".repeat(9));
    let mut group = criterion.benchmark_group("redact 1 KiB");
    group.throughput(Throughput::Bytes(1024));
    group.bench_function("clean", |bencher| bencher.iter(|| redactor.redact(black_box(&line)).len()));
    group.bench_function("one token", |bencher| bencher.iter(|| redactor.redact(black_box(&dirty)).len()));
    group.bench_function("printable", |bencher| {
        bencher.iter(|| bartizan_scan::printable(black_box(&line)).len());
    });
    group.finish();
}

const LINE: &str =
    "GET /repos/octo/hello/contents/src/main.rs?ref=main HTTP/1.1 host: api.github.com accept: application/json; ";

const MAIL: &str = "Hi Anna,\n\nthanks for the invoice of last week. We paid it on Monday, so it should be with you by the \
    end of the week. Could you send the next one to our new address? The office moved in March, and letters to the old \
    one take some days longer. I have attached the list of items that we would like to order for the summer, as we \
    talked about on the phone. Please let me know whether all of them can be delivered before the twentieth.\n\nBest \
    regards,\nMartin\n\n";

criterion_group!(benches, scan);
criterion_main!(benches);

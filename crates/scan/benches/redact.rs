//! What redaction costs on text without secrets, which is nearly all text.

use std::hint::black_box;

use bartizan_scan::{Redactor, printable};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LINE: &str =
    "GET /repos/octo/hello/contents/src/main.rs?ref=main HTTP/1.1 host: api.github.com accept: application/json; ";

fn redact(criterion: &mut Criterion) {
    let redactor = Redactor::standard();
    let clean: String = LINE.chars().cycle().take(1024).collect();
    assert!(redactor.find(&clean).is_empty());
    let dirty = format!("{} ghp_{}", clean, "a1B2".repeat(9));

    let mut group = criterion.benchmark_group("1 KiB");
    group.throughput(Throughput::Bytes(1024));
    group.bench_function("clean", |bencher| bencher.iter(|| redactor.redact(black_box(&clean)).len()));
    group.bench_function("one token", |bencher| bencher.iter(|| redactor.redact(black_box(&dirty)).len()));
    group.bench_function("printable", |bencher| bencher.iter(|| printable(black_box(&clean)).len()));
    group.finish();
}

criterion_group!(benches, redact);
criterion_main!(benches);

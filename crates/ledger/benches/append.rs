//! How fast the ledger is beside the disk it stands on. `cargo bench -p bartizan-ledger`, optionally `-- --quick`.
//!
//! The floor is what the disk gives for the same bytes in the same run: a plain write and `fdatasync`, entry by entry for
//! one writer, 64 entries at a time for 64. Rounds of both alternate, so that a busy machine slows both.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement may fail as a test may")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bartizan_crypto::SigningKey;
use bartizan_ledger::{FileLedger, Index, LedgerOptions, VerifyOptions, verify};
use bartizan_model::{Action, ActionId, Deed, Digest, Effect, Principal, Record, Risk, RuleRef, RunId, Verdict};
use jiff::Timestamp;

const WRITERS: usize = 64;
const ROUNDS: usize = 7;

/// What `bartizan run` keeps for one connection.
fn record() -> Record {
    let action = Action {
        id: ActionId::generate(),
        deed: Deed::HttpRequest {
            method: "GET".into(),
            scheme: "https".into(),
            host: "api.example.com".into(),
            port: 443,
            path: "/repos/me/project/contents/src/lib.rs".into(),
            query: None,
            body: None,
            placeholders: Vec::new(),
            headers: Vec::new(),
            upgrade: None,
        },
        principal: Principal::boxed_agent("quiet-otter", Some("coding_assistant".into()), "alice"),
        run: Some(RunId::generate()),
        session: None,
        process: None,
    };
    let verdict = Verdict {
        effect: Effect::Allow,
        risk: Risk::Low,
        rule: RuleRef {
            rule: "net.allow[2]".into(),
            text: Some("api.example.com".into()),
            source: Some("policy.yaml:12".into()),
        },
        reason: "host `api.example.com` is allowed".into(),
        findings: Vec::new(),
        obligations: Vec::new(),
        policy: Digest::of_bytes(b"policy"),
        bundle: None,
    };
    Record::Opened { action_digest: action.digest().unwrap(), action, verdict, approval: None }
}

fn options(directory: &Path) -> LedgerOptions {
    LedgerOptions::new(directory.join("ledger")).with_witness(directory.join("witness"))
}

/// Entries a second of a plain file: so many lines at a time, each time followed by `fdatasync`.
fn floor(directory: &Path, line: &[u8], batch: usize, entries: usize) -> f64 {
    let path = directory.join("floor");
    let mut file = File::create(&path).unwrap();
    let bytes = line.repeat(batch);
    let begun = Instant::now();
    for _ in 0..entries / batch {
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
    }
    let rate = entries as f64 / begun.elapsed().as_secs_f64();
    fs::remove_file(path).unwrap();
    rate
}

fn one_writer(ledger: &FileLedger, record: &Record, entries: usize) -> f64 {
    let begun = Instant::now();
    for _ in 0..entries {
        ledger.append_blocking(Timestamp::now(), record).unwrap();
    }
    entries as f64 / begun.elapsed().as_secs_f64()
}

fn many_writers(
    runtime: &tokio::runtime::Runtime,
    ledger: &Arc<FileLedger>,
    record: &Arc<Record>,
    entries: usize,
) -> f64 {
    let begun = Instant::now();
    runtime.block_on(async {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let (ledger, record) = (Arc::clone(ledger), Arc::clone(record));
                tokio::spawn(async move {
                    for _ in 0..entries / WRITERS {
                        ledger.append(Timestamp::now(), &record).await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
    entries as f64 / begun.elapsed().as_secs_f64()
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn report(name: &str, ours: Vec<f64>, floor: Vec<f64>, target: f64) {
    let ratios = ours.iter().zip(&floor).map(|(ours, floor)| ours / floor).collect();
    let ((median, low, high), (floor, _, _), (ratio, least, most)) = (spread(ours), spread(floor), spread(ratios));
    let verdict = if median >= target { "reached" } else { "MISSED" };
    println!(
        "{name}: {median:.0} entries/s ({low:.0}–{high:.0}), floor {floor:.0}, ratio {ratio:.2} ({least:.2}–{most:.2}), target {target:.0} {verdict}"
    );
}

/// Processor time of this process so far, in microseconds; what a busy machine can't blur.
fn processor_us() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let ticks: f64 = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks * 10_000.0
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let scale = if quick { 10 } else { 1 };
    let directory = match std::env::var_os("BARTIZAN_BENCH_DIRECTORY") {
        Some(path) => tempfile::tempdir_in(path).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let key = Arc::new(SigningKey::generate().unwrap());
    let ledger = Arc::new(FileLedger::open(options(directory.path()), Arc::clone(&key)).unwrap());
    let record = Arc::new(record());
    ledger.append_blocking(Timestamp::now(), &record).unwrap();
    let line = fs::read(directory.path().join("ledger/00000001.jsonl")).unwrap();
    println!("one entry has {} bytes", line.len());

    let entries = 4000 / scale;
    let rounds = || 0..ROUNDS;
    let (ours, least): (Vec<f64>, Vec<f64>) =
        rounds().map(|_| (one_writer(&ledger, &record, entries), floor(directory.path(), &line, 1, entries))).unzip();
    report("one writer", ours, least, 4000.0);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let entries = 64_000 / scale;
    let before = processor_us();
    let (ours, least): (Vec<f64>, Vec<f64>) = rounds()
        .map(|_| (many_writers(&runtime, &ledger, &record, entries), floor(directory.path(), &line, WRITERS, entries)))
        .unzip();
    let each = (processor_us() - before) / (ROUNDS * entries) as f64;
    report("64 writers", ours, least, 60_000.0);
    println!("64 writers: {each:.1} µs of processor time an entry, the floor's included");

    let million = 1_000_000 / scale;
    let before = resident_kib();
    let rate = many_writers(&runtime, &ledger, &record, million);
    println!(
        "{million} entries more at {rate:.0} entries/s: resident {before} KiB before, {} KiB after",
        resident_kib()
    );
    drop(runtime);
    ledger.close();

    let verify_once = || {
        let begun = Instant::now();
        let options = VerifyOptions { witness: Some(directory.path().join("witness")), checkpoint: None };
        let report = verify(&directory.path().join("ledger"), &key.public(), &options).unwrap();
        assert!(report.is_good(), "{report:?}");
        report.entries as f64 / begun.elapsed().as_secs_f64()
    };
    let before = processor_us();
    let rates: Vec<f64> = rounds().map(|_| verify_once()).collect();
    let each = (processor_us() - before) / (ROUNDS * million) as f64;
    let (median, low, high) = spread(rates);
    let verdict = if median >= 500_000.0 { "reached" } else { "MISSED" };
    println!(
        "verify: {median:.0} entries/s ({low:.0}–{high:.0}), target 500000 {verdict}; {each:.1} µs of processor time an entry, resident {} KiB",
        resident_kib()
    );

    let begun = Instant::now();
    let mut index = Index::open(&directory.path().join("state.db"), &directory.path().join("ledger")).unwrap();
    let indexed = index.catch_up().unwrap();
    println!("index made from nothing: {:.0} entries/s", indexed as f64 / begun.elapsed().as_secs_f64());
    let (median, low, high) = spread(
        rounds()
            .map(|_| {
                let begun = Instant::now();
                Index::open(&directory.path().join("state.db"), &directory.path().join("ledger"))
                    .unwrap()
                    .catch_up()
                    .unwrap();
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect(),
    );
    println!("index opened and found current: {median:.0} µs ({low:.0}–{high:.0})");
    let begun = Instant::now();
    drop(FileLedger::open(options(directory.path()), key).unwrap());
    println!("ledger opened and closed: {:.0} µs", begun.elapsed().as_secs_f64() * 1e6);
}

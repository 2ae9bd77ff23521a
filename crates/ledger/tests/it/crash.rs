//! Processes killed at random moments while others append: what was answered is there, and the ledger is good.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bartizan_crypto::SigningKey;
use bartizan_ledger::{FileLedger, LedgerOptions};
use jiff::Timestamp;

use crate::support::{Home, note};

/// Set in the processes that are killed: the home.
const CHILD_HOME: &str = "BARTIZAN_TEST_LEDGER_CRASH";
/// Times processes are killed; bounded by [`TIME_MAX`], too.
const KILLS: usize = 250;
/// Most time spent on it.
const TIME_MAX: Duration = Duration::from_secs(45);
/// Rounds that must have been possible even on a slow machine for the test to mean anything.
const KILLS_MIN: usize = 40;
/// Threads that append in each process.
const WRITERS: usize = 4;
/// Small, so that kills hit rotation, too.
const SEGMENT_BYTES: u64 = 200_000;

/// Not a test of its own: appends until it is killed, and reports each answered entry.
#[test]
fn crash_child() {
    let Some(home) = std::env::var_os(CHILD_HOME).map(PathBuf::from) else { return };
    let mut options = LedgerOptions::new(home.join("ledger")).with_witness(home.join("state"));
    options.segment_bytes_max = SEGMENT_BYTES;
    let ledger = FileLedger::open(options, Arc::new(SigningKey::from_seed(&[7; 32]))).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let ledger = &ledger;
            scope.spawn(move || {
                for number in 0_u64.. {
                    // Different lengths, so that lines end everywhere in a page.
                    let text = "x".repeat((number * 37 % 900) as usize);
                    let record = note(&format!("{} {writer} {number} {text}", std::process::id()));
                    let position = ledger.append_blocking(Timestamp::now(), &record).unwrap();
                    // One write a line: a reader never sees half an answer as a whole one.
                    let line = format!("KEPT {} {}\n", position.seq, position.hash);
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

fn start(home: &Home) -> (Child, std::thread::JoinHandle<Vec<String>>) {
    #[expect(clippy::disallowed_methods, reason = "crashes need real processes: this test binary again")]
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::crash_child", "--nocapture"])
        .env(CHILD_HOME, home.directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut bytes = output.split(b'\n').map_while(Result::ok).collect::<Vec<_>>();
        // The line that death cut short is no answer anybody got.
        bytes.pop_if(|line| !line.starts_with(b"KEPT ") || line.len() < 80);
        bytes.into_iter().filter_map(|line| String::from_utf8(line).ok()).collect()
    });
    (child, reader)
}

#[test]
fn nothing_answered_is_lost_when_processes_are_killed() {
    let home = Home::with_segments(SEGMENT_BYTES);
    drop(home.open());
    let begun = Instant::now();
    let mut kept: HashMap<u64, String> = HashMap::new();
    let (mut kills, mut unfinished, mut random) = (0, 0, 0x9e37_79b9_7f4a_7c15_u64);
    while kills < KILLS && begun.elapsed() < TIME_MAX {
        // Two processes at once; the second is killed a little after the first, and meanwhile goes on alone.
        let mut children = [start(&home), start(&home)];
        for (child, _) in &mut children {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Random moments are the point here, not waiting for anything.
            std::thread::sleep(Duration::from_micros(3_000 + (random >> 33) % 40_000));
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        for (_, reader) in children {
            for line in reader.join().unwrap() {
                let Some(rest) = line.split_once("KEPT ").map(|(_, rest)| rest) else { continue };
                let (seq, hash) = rest.split_once(' ').unwrap();
                assert_eq!(kept.insert(seq.parse().unwrap(), hash.to_owned()), None, "one place answered twice");
            }
        }
        // Before anybody opens it again: good, or exactly what a crash leaves.
        if let Some(bad) = home.verify().first_bad {
            let crash =
                ["is torn after", "no signed checkpoint covers it"].iter().any(|what| bad.reason.contains(what));
            assert!(crash && bad.seq >= kept.keys().max().map_or(0, |seq| seq + 1), "after {kills} kills: {bad}");
            unfinished += 1;
        }
        drop(home.open());
        let report = home.verify();
        assert!(report.is_good(), "after {kills} kills: {report:?}");
        assert!(kept.keys().all(|seq| *seq < report.entries), "after {kills} kills");
    }
    let lines = home.lines();
    for (seq, hash) in &kept {
        let found = bartizan_model::Digest::of_bytes(lines[*seq as usize].as_bytes()).to_string();
        assert_eq!(&found, hash, "entry {seq}");
    }
    let recovered = lines.iter().filter(|line| line.contains("ledger.recovered")).count();
    println!(
        "{kills} kills in {:.1} s: {} entries, {} answered, {unfinished} left unfinished, {recovered} recoveries",
        begun.elapsed().as_secs_f64(),
        lines.len(),
        kept.len()
    );
    assert!(
        kills >= KILLS_MIN && kept.len() > kills,
        "too slow to mean anything: {kills} kills, {} answers",
        kept.len()
    );
}

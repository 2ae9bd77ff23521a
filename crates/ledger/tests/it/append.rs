//! Appending: what is answered is on disk, in order, signed, whoever else appends.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Arc;

use bartizan_ledger::{FileLedger, OpenError, RECORD_BYTES_MAX};
use bartizan_model::{Digest, canonical};
use jiff::Timestamp;

use crate::support::{Home, note};

#[test]
fn keeps_canonical_chained_lines_and_verifies() {
    let home = Home::new();
    let ledger = home.open();
    let first = ledger.append_blocking(Timestamp::now(), &note("first")).unwrap();
    let second = ledger.append_blocking(Timestamp::now(), &note("second")).unwrap();
    drop(ledger);
    let lines = home.lines();
    assert_eq!((first.seq, second.seq, lines.len()), (0, 1, 2));
    assert_eq!(first.hash, Digest::of_bytes(lines[0].as_bytes()));
    let value: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!(value["prev"], first.hash.to_string());
    assert_eq!(canonical::bytes(&value).unwrap(), lines[1].as_bytes());
    let report = home.verify();
    assert!(report.is_good(), "{report:?}");
    assert_eq!((report.entries, report.signed), (2, 2));
    assert_eq!(fs::metadata(home.segment(1)).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn an_empty_ledger_is_good() {
    let home = Home::new();
    drop(home.open());
    drop(home.open());
    let report = home.verify();
    assert!(report.is_good() && report.entries == 0, "{report:?}");
}

#[test]
fn is_signed_as_soon_as_it_is_answered() {
    let home = Home::new();
    let ledger = home.open();
    ledger.append_blocking(Timestamp::now(), &note("only")).unwrap();
    let report = home.verify();
    assert!(report.is_good() && report.signed == 1, "{report:?}");
}

#[test]
fn goes_on_where_it_ended_and_over_segments() {
    let home = Home::with_segments(2000);
    for round in 0..5 {
        let ledger = home.open();
        for number in 0..20 {
            let position = ledger.append_blocking(Timestamp::now(), &note(&format!("entry {number}"))).unwrap();
            assert_eq!(position.seq, round * 20 + number);
        }
    }
    assert!(home.segment(5).exists());
    let report = home.verify();
    assert!(report.is_good() && report.entries == 100, "{report:?}");
}

#[test]
fn two_ledgers_over_one_directory_share_the_chain() {
    let home = Home::with_segments(20_000);
    let ledgers = [home.open(), home.open(), home.open()];
    std::thread::scope(|scope| {
        for ledger in &ledgers {
            for writer in 0..3 {
                scope.spawn(move || {
                    for number in 0..100 {
                        ledger.append_blocking(Timestamp::now(), &note(&format!("{writer}:{number}"))).unwrap();
                    }
                });
            }
        }
    });
    drop(ledgers);
    let report = home.verify();
    assert!(report.is_good() && report.entries == 900, "{report:?}");
}

#[test]
fn time_never_runs_backwards_in_it() {
    let home = Home::new();
    let ledger = home.open();
    let late: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    ledger.append_blocking(late, &note("late")).unwrap();
    ledger.append_blocking("2029-12-31T23:59:59Z".parse().unwrap(), &note("early")).unwrap();
    drop(ledger);
    assert!(home.lines()[1].starts_with(r#"{"at":"2030-01-01T00:00:00Z""#));
    assert!(home.verify().is_good());
    assert_eq!(home.open().last_at(), Some(late));
}

#[test]
fn refuses_an_oversized_record_and_keeps_the_largest() {
    let home = Home::new();
    let ledger = home.open();
    let frame = canonical::bytes(&note("")).unwrap().len();
    ledger.append_blocking(Timestamp::now(), &note(&"x".repeat(RECORD_BYTES_MAX - frame))).unwrap();
    let error = ledger.append_blocking(Timestamp::now(), &note(&"x".repeat(RECORD_BYTES_MAX - frame + 1))).unwrap_err();
    assert!(error.to_string().contains("the most is"), "{error}");
    ledger.append_blocking(Timestamp::now(), &note("after")).unwrap();
    drop(ledger);
    let report = home.verify();
    assert!(report.is_good() && report.entries == 2, "{report:?}");
}

#[test]
fn refuses_appends_after_close() {
    let home = Home::new();
    let ledger = home.open();
    ledger.close();
    assert!(ledger.append_blocking(Timestamp::now(), &note("late")).is_err());
}

#[test]
fn refuses_what_others_can_touch() {
    let open = |home: &Home| FileLedger::open(home.options(), Arc::clone(&home.key));
    let mode = |path: std::path::PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let home = Home::new().filled(3);
    for (path, good, bad) in
        [(home.ledger(), 0o700, 0o750), (home.segment(1), 0o600, 0o644), (home.ledger().join("head"), 0o600, 0o602)]
    {
        mode(path.clone(), bad);
        let error = open(&home).err().unwrap();
        assert!(matches!(error, OpenError::Mode { .. }) && error.to_string().contains("chmod"), "{error}");
        mode(path, good);
        assert!(open(&home).is_ok());
    }
    let moved = home.directory.path().join("moved");
    fs::rename(home.segment(1), &moved).unwrap();
    symlink(&moved, home.segment(1)).unwrap();
    assert!(open(&home).is_err());
}

#[test]
fn refuses_another_owners_ledger() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a directory away");
        return;
    }
    let home = Home::new().filled(3);
    std::os::unix::fs::chown(home.ledger(), Some(65534), None).unwrap();
    let error = FileLedger::open(home.options(), Arc::clone(&home.key)).err().unwrap();
    assert!(matches!(error, OpenError::Owner { owner: 65534, .. }), "{error}");
}

#[test]
fn refuses_another_keys_ledger() {
    let home = Home::new().filled(3);
    let other = Arc::new(bartizan_crypto::SigningKey::from_seed(&[8; 32]));
    let error = FileLedger::open(home.options(), other).err().unwrap();
    assert!(error.to_string().contains("begun with another key"), "{error}");
}

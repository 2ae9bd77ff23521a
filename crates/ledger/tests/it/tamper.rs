//! Every way to change a ledger behind its back, at random places, and the entry that verification names.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bartizan_crypto::{Checkpoint, SigningKey};
use bartizan_ledger::{FileLedger, Report, WitnessState, origin};
use bartizan_model::Digest;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::support::{Home, note};

/// Several segments and several durable checkpoints.
const ENTRIES: usize = 600;
const SEGMENT_BYTES: u64 = 30_000;

/// A good ledger, made once; each case works on a copy.
fn original() -> &'static Home {
    static HOME: OnceLock<Home> = OnceLock::new();
    HOME.get_or_init(|| Home::with_segments(SEGMENT_BYTES).filled(ENTRIES as u64))
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        fs::copy(item.path(), to.join(item.file_name())).unwrap();
    }
}

fn copy() -> Home {
    let home = Home::with_segments(SEGMENT_BYTES);
    copy_directory(&original().ledger(), &home.ledger());
    copy_directory(&original().witness(), &home.witness());
    for directory in [home.ledger(), home.witness()] {
        fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    home
}

/// Changes the ledger's lines, keeping how many each segment has as far as possible.
fn change(home: &Home, change: impl FnOnce(&mut Vec<String>)) {
    let counts: Vec<usize> = (1..)
        .map_while(|number| fs::read_to_string(home.segment(number)).ok())
        .map(|text| text.lines().count())
        .collect();
    let mut lines = home.lines();
    change(&mut lines);
    let mut lines = lines.into_iter().peekable();
    for (index, count) in counts.iter().enumerate() {
        let last = index + 1 == counts.len();
        let taken = lines.by_ref().take(if last { usize::MAX } else { *count });
        fs::write(home.segment(index as u32 + 1), taken.map(|line| line + "\n").collect::<String>()).unwrap();
    }
}

fn first_bad(report: &Report) -> u64 {
    report.first_bad.as_ref().unwrap_or_else(|| panic!("{report:?}")).seq
}

/// Chains the lines anew from `from` on, as somebody without the key can.
fn rechain(lines: &mut [String], from: usize, origin: &str) {
    for index in from..lines.len() {
        let prev = match index {
            0 => Digest::of_bytes(origin.as_bytes()),
            _ => Digest::of_bytes(lines[index - 1].as_bytes()),
        };
        let (before, rest) = lines[index].split_once("sha256:").unwrap();
        let (rest, _) = rest[64..].rsplit_once(",\"seq\":").unwrap();
        lines[index] = format!("{before}{prev}{rest},\"seq\":{index}}}");
    }
}

/// Whatever is wrong, a writer must not go on upon it as if nothing were.
fn refuses_to_open(home: &Home) -> bool {
    FileLedger::open(home.options(), Arc::clone(&home.key)).is_err()
}

#[test]
fn the_original_is_good_and_has_what_the_cases_need() {
    let home = copy();
    let report = home.verify();
    assert!(report.is_good() && report.segments > 3 && report.checkpoints > 4, "{report:?}");
    assert_eq!(report.entries, ENTRIES as u64);
    assert_eq!(report.witness, WitnessState::Agrees { size: ENTRIES as u64 });
    assert!(!refuses_to_open(&home));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_edited_entry_is_named(at in 0..ENTRIES) {
        let home = copy();
        change(&home, |lines| lines[at] = lines[at].replacen("entry ", "entri ", 1));
        prop_assert_eq!(first_bad(&home.verify()), at as u64);
        prop_assert_eq!(first_bad(&home.verify_alone()), at as u64);
    }

    #[test]
    fn of_several_edited_entries_the_first_is_named(at in 0..ENTRIES - 1, more in 1_usize..20) {
        let home = copy();
        change(&home, |lines| lines.iter_mut().skip(at).take(more).for_each(|line| *line = line.replacen("entry ", "entri ", 1)));
        let named = first_bad(&home.verify_alone());
        // At the very end nothing tells a run of edits from a history written anew, so naming an earlier one is right, too.
        prop_assert!(named == at as u64 || (at + more >= ENTRIES && named < at as u64), "{named}");
    }

    #[test]
    fn a_changed_link_is_named(at in 1..ENTRIES, digit in 0_usize..64) {
        let home = copy();
        change(&home, |lines| {
            let place = lines[at].find("sha256:").unwrap() + 7 + digit;
            let other = if &lines[at][place..=place] == "0" { "1" } else { "0" };
            lines[at].replace_range(place..=place, other);
        });
        prop_assert_eq!(first_bad(&home.verify_alone()), at as u64);
    }

    #[test]
    fn any_changed_byte_is_found_near(at in any::<prop::sample::Index>(), segment in 1_u32..4, to in any::<u8>()) {
        let home = copy();
        let mut bytes = fs::read(home.segment(segment)).unwrap();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        let before: usize = (1..segment).map(|number| fs::read_to_string(home.segment(number)).unwrap().lines().count()).sum();
        let entry = before + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        bytes[at] = to;
        fs::write(home.segment(segment), bytes).unwrap();
        prop_assert_eq!(first_bad(&home.verify_alone()), entry as u64);
    }

    #[test]
    fn an_inserted_entry_is_named(at in 0..=ENTRIES) {
        let home = copy();
        change(&home, |lines| {
            let line = lines[at.min(ENTRIES - 1)].replacen("entry ", "extra ", 1);
            lines.insert(at, line);
            // The cleverest insertion: right number, right link.
            rechain(&mut lines[..=at], at, &origin(&home.public()));
        });
        let expected = if at == ENTRIES { ENTRIES } else { at + 1 };
        let named = first_bad(&home.verify_alone());
        prop_assert!(named == expected as u64 || named == at as u64, "{named}");
    }

    #[test]
    fn a_deleted_entry_is_named(at in 0..ENTRIES) {
        let home = copy();
        change(&home, |lines| drop(lines.remove(at)));
        prop_assert_eq!(first_bad(&home.verify_alone()), at as u64);
        prop_assert!(at < ENTRIES - 1 || refuses_to_open(&home));
    }

    #[test]
    fn swapped_entries_are_named(at in 0..ENTRIES - 1, other in 0..ENTRIES) {
        prop_assume!(at < other);
        let home = copy();
        change(&home, |lines| lines.swap(at, other));
        prop_assert_eq!(first_bad(&home.verify_alone()), at as u64);
    }

    #[test]
    fn a_cut_tail_is_named(left in 0..ENTRIES) {
        let home = copy();
        change(&home, |lines| lines.truncate(left));
        prop_assert_eq!(first_bad(&home.verify_alone()), left as u64);
        prop_assert!(refuses_to_open(&home));
    }

    #[test]
    fn a_cut_within_a_line_is_named_and_not_taken_for_a_crash(back in 2_usize..150) {
        let home = copy();
        let last = (1..).take_while(|number| home.segment(*number).exists()).last().unwrap();
        let bytes = fs::read(home.segment(last)).unwrap();
        fs::write(home.segment(last), &bytes[..bytes.len() - back]).unwrap();
        prop_assert_eq!(first_bad(&home.verify_alone()), ENTRIES as u64 - 1);
        prop_assert!(refuses_to_open(&home));
    }

    /// Without the key the signed roots can't be made anew: what is named lies at most one checkpoint before.
    #[test]
    fn a_history_written_anew_is_caught(at in 0..ENTRIES) {
        let home = copy();
        change(&home, |lines| {
            lines[at] = lines[at].replacen("entry ", "entri ", 1);
            rechain(lines, at + 1, &origin(&home.public()));
        });
        for report in [home.verify(), home.verify_alone()] {
            let named = first_bad(&report);
            prop_assert!(named <= at as u64 && at as u64 - named < 256, "{at}: {report:?}");
        }
    }

    #[test]
    fn a_history_written_anew_without_head_and_checkpoints_is_caught(at in 0..ENTRIES) {
        let home = copy();
        change(&home, |lines| {
            lines[at] = lines[at].replacen("entry ", "entri ", 1);
            rechain(lines, at + 1, &origin(&home.public()));
        });
        fs::remove_file(home.ledger().join("head")).unwrap();
        fs::remove_file(home.ledger().join("checkpoints")).unwrap();
        prop_assert!(first_bad(&home.verify_alone()) <= at as u64);
        prop_assert!(first_bad(&home.verify()) <= at as u64);
        prop_assert!(refuses_to_open(&home));
    }

    #[test]
    fn entries_added_without_the_key_are_named(more in 1_usize..5) {
        let home = copy();
        change(&home, |lines| {
            for _ in 0..more {
                lines.push(lines[ENTRIES - 1].clone());
            }
            rechain(lines, ENTRIES, &origin(&home.public()));
        });
        prop_assert_eq!(first_bad(&home.verify_alone()), ENTRIES as u64);
        // Who opens it can't tell them from a crash's, so it signs them and says so.
        drop(home.open());
        prop_assert!(home.lines().last().unwrap().contains("ledger.recovered"));
        prop_assert!(home.verify().is_good());
    }
}

/// Checkpoints stand after every 256th entry here: there the tree breaks before the chain does.
#[test]
fn changes_beside_a_checkpoint_are_named() {
    for at in [254, 255, 256, 257, 511, 512] {
        let home = copy();
        change(&home, |lines| {
            let line = lines[at].replacen("entry ", "extra ", 1);
            lines.insert(at, line);
            rechain(&mut lines[..=at], at, &origin(&home.public()));
        });
        let named = first_bad(&home.verify_alone());
        assert!(named == at as u64 || named == at as u64 + 1, "inserted {at}: {named}");
        let home = copy();
        change(&home, |lines| lines[at] = lines[at].replacen("entry ", "entri ", 1));
        assert_eq!(first_bad(&home.verify_alone()), at as u64, "edited");
        let home = copy();
        change(&home, |lines| drop(lines.remove(at)));
        assert_eq!(first_bad(&home.verify_alone()), at as u64, "deleted");
        let home = copy();
        change(&home, |lines| lines.swap(at, at + 1));
        assert_eq!(first_bad(&home.verify_alone()), at as u64, "swapped");
    }
}

#[test]
fn a_forged_checkpoint_is_a_problem() {
    let home = copy();
    let path = home.ledger().join("checkpoints");
    let good = fs::read_to_string(&path).unwrap();
    let attacker = SigningKey::from_seed(&[66; 32]);
    let forged = Checkpoint { origin: origin(&home.public()), size: ENTRIES as u64, root: [1; 32] }.sign(&attacker);
    fs::write(&path, format!("{good}{forged}\n")).unwrap();
    let report = home.verify();
    assert!(!report.is_good() && report.first_bad.is_none() && report.problems.len() == 1, "{report:?}");
    // A signature taken from another checkpoint over a changed text.
    let size = good.lines().nth(1).unwrap();
    fs::write(&path, good.replacen(size, "3", 1)).unwrap();
    assert!(home.verify().problems[0].contains("does not hold"));
    // Good checkpoints, told in another order.
    let mut notes: Vec<&str> = good.split_inclusive("=\n\n").collect();
    notes.reverse();
    fs::write(&path, notes.concat()).unwrap();
    assert!(!home.verify().is_good());
    // Half a note at the end is a crash's, and no harm.
    fs::write(&path, &good[..good.len() - 30]).unwrap();
    assert!(home.verify().is_good());
    let ledger = home.open();
    ledger.append_blocking(Timestamp::now(), &note("more")).unwrap();
    drop(ledger);
    assert!(home.verify().is_good(), "{:?}", home.verify());
}

#[test]
fn a_missing_or_damaged_head_is_a_problem_that_opening_mends() {
    for damage in [None, Some(0), Some(1), Some(2)] {
        let home = copy();
        let head = home.ledger().join("head");
        match damage {
            None => fs::remove_file(&head).unwrap(),
            Some(0) => fs::write(&head, "").unwrap(),
            Some(1) => fs::write(&head, [0; 4096]).unwrap(),
            Some(_) => {
                let text = fs::read_to_string(&head).unwrap().replacen("\"offset\":", "\"offset\":1", 1);
                fs::write(&head, &text[..4096]).unwrap();
            }
        }
        assert!(damage == Some(2) || !home.verify().is_good(), "{damage:?}");
        drop(home.open());
        let report = home.verify();
        assert!(report.is_good() && report.entries == ENTRIES as u64, "{damage:?} {report:?}");
    }
}

#[test]
fn a_missing_segment_is_named() {
    for number in 1..=3 {
        let home = copy();
        fs::remove_file(home.segment(number)).unwrap();
        let report = home.verify_alone();
        assert!(report.first_bad.as_ref().unwrap().reason.contains("is missing"), "{report:?}");
        assert!(refuses_to_open(&home));
    }
}

#[test]
fn an_old_copy_put_back_is_seen_by_the_witness() {
    let home = copy();
    let old = home.directory.path().join("old");
    copy_directory(&home.ledger(), &old);
    let ledger = home.open();
    ledger.append_blocking(Timestamp::now(), &note("what somebody wants forgotten")).unwrap();
    drop(ledger);
    assert!(home.verify().is_good());
    fs::remove_dir_all(home.ledger()).unwrap();
    fs::rename(&old, home.ledger()).unwrap();
    fs::set_permissions(home.ledger(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    assert!(home.verify_alone().is_good(), "by itself it is a good ledger");
    let report = home.verify();
    assert_eq!(first_bad(&report), ENTRIES as u64);
    assert!(matches!(report.witness, WitnessState::Contradicts { .. }), "{report:?}");
    let error = FileLedger::open(home.options(), Arc::clone(&home.key)).err().unwrap().to_string();
    assert!(error.contains("an old copy may have been put back"), "{error}");
    fs::remove_dir_all(home.ledger()).unwrap();
    assert!(refuses_to_open(&home), "nor may it be done away with");
}

#[test]
fn a_forged_witness_is_a_problem() {
    let home = copy();
    let path = bartizan_ledger::witness_path(&home.witness(), &home.public());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\n600\n", "\n599\n", 1)).unwrap();
    assert!(!home.verify().is_good());
    assert!(refuses_to_open(&home));
}

#[test]
fn a_tail_cut_while_it_is_open_is_seen_by_the_next_append() {
    let home = copy();
    let ledger = home.open();
    ledger.append_blocking(Timestamp::now(), &note("one")).unwrap();
    let last = (1..).take_while(|number| home.segment(*number).exists()).last().unwrap();
    let file = fs::File::options().write(true).open(home.segment(last)).unwrap();
    file.set_len(file.metadata().unwrap().len() - 10).unwrap();
    assert!(ledger.append_blocking(Timestamp::now(), &note("two")).is_err());
    assert!(ledger.append_blocking(Timestamp::now(), &note("three")).is_err());
}

#[test]
fn a_torn_last_line_is_removed_and_told() {
    for torn in ["{\"at\":\"2026", "\0\0\0\0\0\0\0\0", "not an entry\n"] {
        let home = copy();
        let last = (1..).take_while(|number| home.segment(*number).exists()).last().unwrap();
        let file = fs::File::options().write(true).open(home.segment(last)).unwrap();
        let length = file.metadata().unwrap().len();
        file.write_all_at(torn.as_bytes(), length).unwrap();
        assert!(!home.verify().is_good());
        let ledger = home.open();
        ledger.append_blocking(Timestamp::now(), &note("after")).unwrap();
        drop(ledger);
        let lines = home.lines();
        assert!(
            lines[ENTRIES].contains("ledger.recovered")
                && lines[ENTRIES].contains(&format!("\"removed_bytes\":{}", torn.len()))
        );
        let report = home.verify();
        assert!(report.is_good() && report.entries == ENTRIES as u64 + 2, "{report:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Files of whatever an attacker likes never do more than fail verification and opening.
    #[test]
    fn hostile_files_are_refused_without_harm(
        segment in prop::collection::vec(any::<u8>(), 1..2000),
        head in prop::collection::vec(any::<u8>(), 0..5000),
        checkpoints in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), any::<u8>()], 0..2000),
        witness in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        let home = Home::new();
        drop(home.open());
        fs::write(home.segment(1), segment).unwrap();
        fs::set_permissions(home.segment(1), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(home.ledger().join("head"), head).unwrap();
        fs::write(home.ledger().join("checkpoints"), checkpoints).unwrap();
        fs::write(bartizan_ledger::witness_path(&home.witness(), &home.public()), witness).unwrap();
        prop_assert!(!home.verify().is_good());
        let _ = FileLedger::open(home.options(), Arc::clone(&home.key));
        let _ = home.index().catch_up();
    }
}

#[test]
fn a_line_without_end_costs_no_memory() {
    let home = copy();
    let last = (1..).take_while(|number| home.segment(*number).exists()).last().unwrap();
    let file = fs::File::options().write(true).open(home.segment(last)).unwrap();
    file.set_len(1 << 30).unwrap();
    let resident = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = resident();
    assert_eq!(first_bad(&home.verify()), ENTRIES as u64);
    assert!(refuses_to_open(&home));
    assert!(home.index().catch_up().is_err());
    assert!(resident() - before < 128 * 1024, "{} KiB more", resident() - before);
}

//! Exports verify on another machine, and a changed one doesn't.

use std::fs;

use bartizan_crypto::key_file;
use bartizan_ledger::{VerifyOptions, export, verify};

use crate::support::Home;

#[test]
fn an_export_verifies_with_what_stands_beside_it() {
    let home = Home::with_segments(2000).filled(50);
    let path = home.directory.path().join("export.jsonl");
    export(&home.ledger(), &home.public(), &path).unwrap();
    assert!(export(&home.ledger(), &home.public(), &path).is_err(), "never overwrites");
    let key = key_file::load_public(&home.directory.path().join("export.jsonl.pub")).unwrap();
    let check = || verify(&path, &key, &VerifyOptions::default()).unwrap();
    let report = check();
    assert!(report.is_good() && report.entries == 50 && report.signed == 50, "{report:?}");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("entry 31", "entry 13")).unwrap();
    assert_eq!(check().first_bad.unwrap().seq, 31);
    let cut: String = text.lines().take(49).map(|line| format!("{line}\n")).collect();
    fs::write(&path, cut).unwrap();
    assert_eq!(check().first_bad.unwrap().seq, 49);
    fs::write(&path, &text).unwrap();
    fs::remove_file(home.directory.path().join("export.jsonl.checkpoint")).unwrap();
    assert_eq!(check().first_bad.unwrap().seq, 0, "nothing signed, nothing proven");
}

#[test]
fn a_copy_of_the_directory_and_a_checkpoint_kept_elsewhere_do_too() {
    let home = Home::new().filled(10);
    let path = home.directory.path().join("export.jsonl");
    export(&home.ledger(), &home.public(), &path).unwrap();
    let note = fs::read_to_string(home.directory.path().join("export.jsonl.checkpoint")).unwrap();
    let options = VerifyOptions { checkpoint: Some(note), witness: None };
    assert!(verify(&home.ledger(), &home.public(), &options).unwrap().is_good());
    let other = Home::new().filled(20);
    let report = verify(&other.ledger(), &home.public(), &options).unwrap();
    assert_eq!(report.first_bad.unwrap().seq, 0, "another history under the same key");
}

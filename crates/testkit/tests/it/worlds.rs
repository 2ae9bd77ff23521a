//! Programs run as the right user, in the right place, and end.

use std::{fs, os::unix::fs::MetadataExt, time::Duration};

use bartizan_testkit::{Run, User};

#[test]
fn output_is_captured_with_status_and_input() {
    let output = Run::new("/bin/sh", User::Current)
        .args(["-c", "cat; echo oops >&2; exit 3"])
        .stdin("hello")
        .output()
        .expect_code(3);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("hello", "oops\n"));
}

#[test]
fn a_program_that_hangs_is_killed() {
    let hang = || Run::new("/bin/sleep", User::Current).arg("600").deadline(Duration::from_millis(50)).output();
    assert!(std::panic::catch_unwind(hang).is_err());
}

#[test]
fn ordinary_users_are_ordinary() {
    if !bartizan_testkit::user::is_root() {
        return bartizan_testkit::skipped("ordinary_users_are_ordinary", "needs root");
    }
    let directory = tempfile::tempdir().unwrap();
    User::Ordinary.own(directory.path());
    let output = Run::new("/bin/sh", User::Ordinary)
        .current_dir(directory.path())
        .args(["-c", "id -u; id -G; touch made; cat /etc/shadow"])
        .output();
    assert!(output.stdout.starts_with("65534\n65534\n"), "{output}");
    assert!(!output.status.success(), "read /etc/shadow");
    assert_eq!(fs::metadata(directory.path().join("made")).unwrap().uid(), 65534);
}

#[test]
fn a_terminal_has_keys_a_screen_and_a_size() {
    let mut terminal = Run::new("/bin/sh", User::Current)
        .args(["-c", "stty size; read word; trap 'stty size' WINCH; echo got:$word; while :; do sleep 0.02; done"])
        .terminal(24, 80);
    terminal.wait_for_text("24 80");
    terminal.write("blue\r");
    terminal.wait_for_text("got:blue");
    terminal.resize(30, 100);
    terminal.wait_for_text("30 100");
    terminal.write("\x03");
    assert!(!terminal.wait().success(), "Ctrl-C reaches the program");
}

#[test]
fn a_terminal_works_for_an_ordinary_user() {
    for user in User::all() {
        let mut terminal = Run::new("/bin/sh", user).args(["-c", "test -t 0 && echo yes >/dev/tty"]).terminal(24, 80);
        assert!(terminal.wait().success());
        terminal.wait_for_text("yes");
    }
}

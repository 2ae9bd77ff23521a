//! Key files: who may make them, and who may not have touched them.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use bartizan_crypto::key_file::{self, KeyFileError, Origin};

/// Set in the child processes of the race: the key's path.
const RACE_PATH: &str = "BARTIZAN_TEST_KEY_RACE";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn makes_a_private_file_and_loads_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ledger.key");
    assert!(matches!(key_file::load(&path), Err(KeyFileError::Missing { .. })));
    let (made, origin) = key_file::load_or_create(&path).unwrap();
    assert_eq!(origin, Origin::Made);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let (found, origin) = key_file::load_or_create(&path).unwrap();
    assert_eq!((found.public(), origin), (made.public(), Origin::Found));
    assert!(matches!(key_file::create(&path), Err(KeyFileError::Exists { .. })));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn refuses_what_others_could_have_read_or_put_there() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ledger.key");
    key_file::create(&path).unwrap();
    for (bits, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o601, false)] {
        mode(&path, bits);
        match key_file::load(&path) {
            Ok(_) => assert!(good, "{bits:o}"),
            Err(error @ KeyFileError::Mode { .. }) => {
                assert!(!good, "{bits:o}");
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    mode(&path, 0o600);
    let link = home.path().join("link.key");
    symlink(&path, &link).unwrap();
    assert!(matches!(key_file::load(&link), Err(KeyFileError::NotAFile { .. })));
    assert!(matches!(key_file::load(home.path()), Err(KeyFileError::NotAFile { .. })));
    fs::write(&path, "nonsense").unwrap();
    assert!(matches!(key_file::load(&path), Err(KeyFileError::Content { .. })));
}

#[test]
fn refuses_another_owner() {
    if !rustix::process::geteuid().is_root() {
        // An ordinary user can't give a file away, but can point at root's: the password file is no key of ours.
        assert!(matches!(key_file::load(Path::new("/etc/passwd")), Err(KeyFileError::Owner { .. })));
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ledger.key");
    key_file::create(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    let error = key_file::load(&path).unwrap_err();
    assert!(matches!(error, KeyFileError::Owner { owner: 65534, .. }), "{error}");
    assert!(error.to_string().contains("chown"), "{error}");
}

#[test]
fn public_key_may_be_written_again_but_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ledger.pub");
    let key = key_file::create(&home.path().join("a")).unwrap().public();
    let other = key_file::create(&home.path().join("b")).unwrap().public();
    key_file::write_public(&path, &key).unwrap();
    key_file::write_public(&path, &key).unwrap();
    assert!(key_file::write_public(&path, &other).is_err());
    assert_eq!(key_file::load_public(&path).unwrap(), key);
}

/// Not a test of its own: what each process of the race runs.
#[test]
fn race_child() {
    let Some(path) = std::env::var_os(RACE_PATH) else { return };
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let (key, origin) = key_file::load_or_create(Path::new(&path)).unwrap();
    println!("RACE {origin:?} {}", key.public().key_id());
}

#[test]
fn of_processes_that_make_a_key_at_once_exactly_one_wins() {
    let home = tempfile::tempdir().unwrap();
    for round in 0..8 {
        let path = home.path().join(format!("{round}.key"));
        #[expect(clippy::disallowed_methods, reason = "the race needs real processes: this test binary again")]
        let mut children: Vec<_> = (0..4)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "key_file::race_child", "--nocapture"])
                    .env(RACE_PATH, &path)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in &mut children {
            std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"!").unwrap();
        }
        let said: Vec<String> = children
            .into_iter()
            .map(|child| {
                let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
                output.split_once("RACE ").expect(&output).1.lines().next().unwrap().to_owned()
            })
            .collect();
        assert_eq!(said.iter().filter(|line| line.starts_with("Made ")).count(), 1, "{said:?}");
        let key = |line: &String| line.split(' ').nth(1).unwrap().to_owned();
        assert!(said.iter().all(|line| key(line) == key(&said[0])), "{said:?}");
    }
}

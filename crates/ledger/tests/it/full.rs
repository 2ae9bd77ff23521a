//! Disks that are full or limited: the append is refused with the cause, and the ledger stays good.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bartizan_crypto::SigningKey;
use bartizan_ledger::{FileLedger, LedgerOptions, VerifyOptions, verify};
use jiff::Timestamp;

use crate::support::{Home, note};

/// Set in the process whose files may not grow: the home.
const LIMITED_HOME: &str = "BARTIZAN_TEST_LEDGER_LIMITED";
/// Largest file that process may write.
const LIMIT_BYTES: u64 = 100_000;

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::from_seed(&[7; 32]))
}

/// Appends until it is refused; gives how many were kept and what was said.
fn fill(ledger: &FileLedger) -> (u64, String) {
    for number in 0.. {
        let message = format!("entry {number} {}", "x".repeat(3000));
        if let Err(error) = ledger.append_blocking(Timestamp::now(), &note(&message)) {
            return (number, error.to_string());
        }
    }
    unreachable!()
}

/// Not a test of its own: runs where no file may grow beyond a limit.
#[test]
fn limited_child() {
    let Some(home) = std::env::var_os(LIMITED_HOME).map(PathBuf::from) else { return };
    // The shell that starts this process ignores the signal that would end it at the limit.
    let ledger = FileLedger::open(LedgerOptions::new(home.join("ledger")), key()).unwrap();
    let (kept, error) = fill(&ledger);
    assert!(kept > 10 && error.contains("nothing was recorded"), "{kept} {error}");
    // What still fits is still taken: nothing is wedged.
    ledger.append_blocking(Timestamp::now(), &note("small")).unwrap();
    drop(ledger);
    let report = verify(&home.join("ledger"), &key().public(), &VerifyOptions::default()).unwrap();
    assert!(report.is_good() && report.entries == kept + 1, "{report:?}");
    println!("LIMITED {kept}");
}

/// As any user: the kernel refuses to let the file grow (`EFBIG`) in the middle of a line.
#[test]
fn a_file_that_may_not_grow_refuses_and_stays_good() {
    let home = Home::new();
    #[expect(clippy::disallowed_methods, reason = "limits and ignored signals are a process's own")]
    let mut child = Command::new("sh")
        .arg("-s")
        .env(LIMITED_HOME, home.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let binary = std::env::current_exe().unwrap();
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec '{}' --exact full::limited_child --nocapture",
        LIMIT_BYTES / 512,
        binary.display()
    );
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("LIMITED "), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// A file system of its own, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
        rustix::mount::mount("tmpfs", at, "tmpfs", flags, Some(c"size=256k,mode=0700")).ok().map(|()| Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn a_full_disk_refuses_and_stays_good() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(directory.path()) else {
        println!("skipped: mounting a small disk needs root; the limited file covers the same path");
        return;
    };
    let path = directory.path().join("ledger");
    let mut options = LedgerOptions::new(&path);
    // Rotation meets the full disk, too.
    options.segment_bytes_max = 40_000;
    let ledger = FileLedger::open(options.clone(), key()).unwrap();
    let (kept, error) = fill(&ledger);
    assert!(kept > 10 && error.contains("No space left") && error.contains("free space"), "{kept} {error}");
    assert!(fill(&ledger).0 == 0);
    let good = |entries: u64| {
        let report = verify(&path, &key().public(), &VerifyOptions::default()).unwrap();
        assert!(report.is_good() && report.entries == entries, "{entries} {report:?}");
    };
    good(kept);
    drop(ledger);
    good(kept);
    // Room again: it goes on where it stopped.
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount_remount(directory.path(), flags, c"size=1m").unwrap();
    let ledger = FileLedger::open(options, key()).unwrap();
    ledger.append_blocking(Timestamp::now(), &note("after")).unwrap();
    drop(ledger);
    good(kept + 1);
}

#[test]
fn a_disk_that_is_read_only_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(directory.path()) else {
        println!("skipped: mounting a small disk needs root");
        return;
    };
    let path = directory.path().join("ledger");
    drop(FileLedger::open(LedgerOptions::new(&path), key()).unwrap());
    // A program that another test starts at this moment holds all descriptors until it has begun.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let read_only = || rustix::mount::mount_remount(directory.path(), rustix::mount::MountFlags::RDONLY, c"");
    while let Err(error) = read_only() {
        assert!(error == rustix::io::Errno::BUSY && std::time::Instant::now() < deadline, "{error}");
        std::thread::yield_now();
    }
    let error = FileLedger::open(LedgerOptions::new(&path), key()).err().unwrap();
    assert!(error.to_string().contains("read-only"), "{error}");
    assert!(verify(&path, &key().public(), &VerifyOptions::default()).unwrap().is_good(), "reading is still possible");
}

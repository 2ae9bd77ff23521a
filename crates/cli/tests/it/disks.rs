//! Full disks and a clock that goes back: the action is refused with what to do, and nothing recorded is lost.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bartizan_crypto::key_file;
use bartizan_ledger::{FileLedger, LedgerOptions};
use bartizan_model::Record;
use bartizan_testkit::user::is_root;
use bartizan_testkit::{Home, Output, User};
use jiff::Timestamp;

use crate::world::World;

/// A small file system of its own, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, owner: User) -> Self {
        let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
        rustix::mount::mount("tmpfs", at, "tmpfs", flags, Some(c"size=2m,mode=0700")).unwrap();
        chown(at, Some(owner.id()), Some(owner.id())).unwrap();
        Self(at.to_owned())
    }

    /// Takes all the room there is, until the answer is given back.
    fn fill(&self) -> Filler {
        let path = self.0.join("filler");
        let mut bytes = 1 << 20;
        let mut content = Vec::new();
        while bytes >= 1024 {
            content.resize(content.len() + bytes, 7);
            if fs::write(&path, &content).is_err() {
                content.truncate(content.len() - bytes);
                bytes /= 2;
            }
        }
        // What failed last took the rest.
        let _ = fs::write(&path, vec![7; 4 << 20]);
        Filler(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether disks can be mounted; says so when they can't.
fn can_mount() -> bool {
    if !is_root() {
        println!("skipped: mounting a small disk needs root");
    }
    is_root()
}

fn entries(verified: &Output) -> u64 {
    verified.json()["entries"].as_u64().unwrap()
}

#[test]
fn a_full_home_refuses_and_loses_nothing() {
    if !can_mount() {
        return;
    }
    for user in User::all() {
        let home = Home::of(user);
        let place = home.bartizan_home();
        fs::create_dir_all(&place).unwrap();
        let disk = SmallDisk::mount(&place, user);
        home.bartizan(["init", "--yes"]).success();
        home.bartizan(["run", "--", "/bin/true"]).success();
        let before = entries(&home.bartizan(["log", "verify", "--json"]).success());
        let marker = home.workspace().join("made");
        let full = disk.fill();
        let refused = home.bartizan(["run", "--", "touch", marker.to_str().unwrap()]).output();
        assert_eq!(refused.code(), 125, "{refused}");
        assert!(refused.stderr.contains("No space left") && refused.stderr.contains("free"), "{refused}");
        assert!(!refused.stderr.contains("panicked") && !marker.exists(), "{refused}");
        drop(full);
        let after = entries(&home.bartizan(["log", "verify", "--json"]).success());
        assert!(after >= before, "{before} {after}");
        home.bartizan(["run", "--", "touch", marker.to_str().unwrap()]).success();
        assert!(marker.exists());
        home.bartizan(["log", "verify"]).success();
    }
}

#[test]
fn a_workspace_that_fills_up_is_the_programs_own_trouble() {
    if !can_mount() {
        return;
    }
    World::each(|world| {
        let _disk = SmallDisk::mount(&world.home.workspace(), world.user());
        let filled = world.shell("dd if=/dev/zero of=big bs=64k 2>&1; echo ended").success();
        assert!(filled.stdout.contains("No space left") && filled.stdout.contains("ended"), "{filled}");
        world.verify();
    });
}

#[test]
fn a_clock_before_the_last_entry_refuses() {
    let world = World::new(User::Current);
    world.shell("true").success();
    let place = world.home.bartizan_home();
    let key = key_file::load(&place.join("keys/ledger.pem")).unwrap();
    let ledger = FileLedger::open(LedgerOptions::new(place.join("ledger")), key.into()).unwrap();
    let note = Record::Noted {
        run: None,
        topic: "test".into(),
        message: "written when the clock was ahead".into(),
        figures: Default::default(),
    };
    let ahead = Timestamp::now() + Duration::from_secs(7200);
    ledger.append_blocking(ahead, &note).unwrap();
    drop(ledger);
    let refused = world.run(["touch", "made"]).output();
    assert_eq!(refused.code(), 125, "{refused}");
    assert!(refused.stderr.contains("clock"), "{refused}");
    assert!(!world.home.workspace().join("made").exists(), "{refused}");
    let doctor = world.bartizan(["doctor"]).output();
    assert!(!doctor.status.success() && doctor.stdout.contains("clock"), "{doctor}");
    world.verify();
}

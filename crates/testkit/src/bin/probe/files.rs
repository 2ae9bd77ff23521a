//! Reading, changing and planting files that aren't the box's.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    },
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::{
    Attack,
    attempt::{Outcome, attempt, gained},
    system,
};

pub(crate) const ATTACKS: &[Attack] = &[
    ("read", "PATH…", |a| each("read", a, read)),
    ("list", "PATH…", |a| each("list", a, list)),
    ("open_write", "PATH…", |a| each("open_write", a, open_write)),
    ("append", "PATH…", |a| each("append", a, append)),
    ("tamper", "PATH", |a| tamper(Path::new(a[0]))),
    ("plant", "PATH…", |a| each("plant", a, plant)),
    ("plant_by_rename", "DIRECTORY", |a| attempt("plant_by_rename", || plant_by_rename(Path::new(a[0])))),
    ("plant_by_symlink", "DIRECTORY", |a| attempt("plant_by_symlink", || plant_by_symlink(Path::new(a[0])))),
    ("plant_worktree", "DIRECTORY", |a| attempt("plant_worktree", || plant_worktree(Path::new(a[0])))),
    ("symlink_read", "DIRECTORY TARGET", |a| {
        attempt("symlink_read", || symlink_read(Path::new(a[0]), Path::new(a[1])));
    }),
    ("symlink_write", "DIRECTORY TARGET", |a| {
        attempt("symlink_write", || symlink_write(Path::new(a[0]), Path::new(a[1])));
    }),
    ("symlink_race", "DIRECTORY TARGET TRIES", |a| {
        attempt("symlink_race", || symlink_race(Path::new(a[0]), Path::new(a[1]), a[2].parse().unwrap_or(1000)));
    }),
    ("device", "DIRECTORY", |a| attempt("device", || device(Path::new(a[0])))),
];

/// Longest excerpt in a report.
const EXCERPT_MAX: usize = 120;

fn each(name: &str, paths: &[&str], work: fn(&Path) -> Outcome) {
    for path in paths {
        attempt(&format!("{name} {path}"), || work(Path::new(path)));
    }
}

fn read(path: &Path) -> Outcome {
    let mut bytes = vec![0; 4096];
    let count = File::open(path)?.read(&mut bytes)?;
    if count == 0 {
        return Err(io::Error::other("empty"));
    }
    bytes.truncate(count.min(EXCERPT_MAX));
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn list(path: &Path) -> Outcome {
    let names: Vec<String> =
        fs::read_dir(path)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    if names.is_empty() {
        return Err(io::Error::other("empty"));
    }
    Ok(names.join(" ").chars().take(EXCERPT_MAX).collect())
}

/// Open for writing without writing: enough for files of the kernel, and harmless.
fn open_write(path: &Path) -> Outcome {
    OpenOptions::new().write(true).open(path).map(|_| "opened for writing".into())
}

fn append(path: &Path) -> Outcome {
    OpenOptions::new().append(true).open(path)?.write_all(b"bartizan-probe\n").map(|()| "appended".into())
}

/// Everything that changes a file one may only read.
fn tamper(path: &Path) {
    let parent = path.parent().unwrap_or(Path::new("."));
    let beside = |name: &str| parent.join(format!(".probe-{name}"));
    attempt("tamper write", || append(path));
    attempt("tamper truncate", || {
        let c_path = CString::new(path.as_os_str().as_encoded_bytes())?;
        unsafe extern "C" {
            fn truncate(path: *const std::ffi::c_char, length: i64) -> std::ffi::c_int;
        }
        // SAFETY: `c_path` is a live C string.
        gained(i64::from(unsafe { truncate(c_path.as_ptr(), 0) }))
    });
    attempt("tamper open truncating", || {
        OpenOptions::new().write(true).truncate(true).open(path).map(|_| "opened".into())
    });
    attempt("tamper chmod", || fs::set_permissions(path, Permissions::from_mode(0o777)).map(|()| "changed".into()));
    attempt("tamper rename over", || {
        let new = beside("new");
        fs::write(&new, "bartizan-probe\n")?;
        fs::rename(&new, path).map(|()| "replaced".into())
    });
    attempt("tamper rename over from here", || {
        fs::write(".probe-new", "bartizan-probe\n")?;
        let outcome = fs::rename(".probe-new", path).map(|()| "replaced".into());
        let _ = fs::remove_file(".probe-new");
        outcome
    });
    attempt("tamper hard link", || {
        let link = Path::new(".probe-link");
        fs::hard_link(path, link)?;
        let outcome = append(link);
        let _ = fs::remove_file(link);
        outcome
    });
    attempt("tamper reopen by descriptor", || {
        let file = File::open(path)?;
        append(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))
    });
    attempt("tamper times", || {
        File::options().read(true).open(path)?.set_modified(std::time::UNIX_EPOCH).map(|()| "changed".into())
    });
    attempt("tamper unlink", || fs::remove_file(path).map(|()| "removed".into()));
}

/// Create a file that isn't there, with its folders.
fn plant(path: &Path) -> Outcome {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o755).open(path)?;
    file.write_all(b"#!/bin/sh\necho planted\n").map(|()| "planted".into())
}

/// A nested repository that becomes one only by a rename.
fn plant_by_rename(directory: &Path) -> Outcome {
    let nested = directory.join("nested");
    fs::create_dir_all(nested.join("harmless/hooks"))?;
    fs::write(nested.join("harmless/config"), "[core]\n\tfsmonitor = ./run-me\n")?;
    fs::write(nested.join("harmless/HEAD"), "ref: refs/heads/main\n")?;
    plant(&nested.join("harmless/hooks/post-checkout"))?;
    fs::rename(nested.join("harmless"), nested.join(".git")).map(|()| "renamed to .git".into())
}

fn plant_by_symlink(directory: &Path) -> Outcome {
    let link = directory.join("looks-harmless");
    symlink(".git/hooks", &link)?;
    plant(&link.join("post-commit"))
}

/// A `.git` file that sends git to a configuration of the attacker's.
fn plant_worktree(directory: &Path) -> Outcome {
    let worktree = directory.join("worktree");
    fs::create_dir_all(worktree.join("store/hooks"))?;
    fs::write(worktree.join("store/config"), "[core]\n\tfsmonitor = ./run-me\n")?;
    fs::write(worktree.join(".git"), "gitdir: store\n").map(|()| "planted".into())
}

fn symlink_read(directory: &Path, target: &Path) -> Outcome {
    let link = directory.join(".probe-outwards");
    let _ = fs::remove_file(&link);
    symlink(target, &link)?;
    read(&link)
}

fn symlink_write(directory: &Path, target: &Path) -> Outcome {
    let link = directory.join(".probe-outwards");
    let _ = fs::remove_file(&link);
    symlink(target, &link)?;
    append(&link)
}

/// Swap a name between an own file and a link outwards, and read it all the while.
fn symlink_race(directory: &Path, target: &Path, tries: usize) -> Outcome {
    let name = directory.join(".probe-race");
    let (own, link) = (directory.join(".probe-own"), directory.join(".probe-link"));
    fs::write(&own, "own")?;
    let (done, secret) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let (done, secret) = (&done, &secret);
        let swapping = scope.spawn({
            let (name, own, link) = (name.clone(), own.clone(), link.clone());
            move || {
                while !done.load(Ordering::Relaxed) {
                    let _ = fs::hard_link(&own, &link).and_then(|()| fs::rename(&link, &name));
                    let _ = fs::remove_file(&link);
                    let _ = symlink(target, &link).and_then(|()| fs::rename(&link, &name));
                    let _ = fs::remove_file(&link);
                }
            }
        });
        for _ in 0..tries {
            if fs::read(&name).is_ok_and(|bytes| !bytes.is_empty() && bytes != b"own") {
                secret.store(true, Ordering::Relaxed);
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
        let _ = swapping.join();
    });
    let _ = fs::remove_file(&name);
    let _ = fs::remove_file(&own);
    if secret.load(Ordering::Relaxed) {
        return Ok("read through the link".into());
    }
    Err(io::Error::other(format!("never in {tries} tries")))
}

/// Make a device appear as a file; a harmless one, where any could be made.
fn device(directory: &Path) -> Outcome {
    const CHARACTER: u32 = 0o020_600;
    const ZERO: u64 = 1 << 8 | 5;
    let path = directory.join(".probe-device");
    let c_path = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: `c_path` is a live C string.
    gained(i64::from(unsafe { system::mknod(c_path.as_ptr(), CHARACTER, ZERO) }))?;
    let opened = File::open(&path).map(|_| "made and opened a device".into());
    let _ = fs::remove_file(&path);
    opened
}

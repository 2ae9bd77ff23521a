//! Taking more of the machine than one's share. Every attack has a bound of its own and cleans up.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    Attack,
    attempt::{Outcome, attempt, here},
    system,
};

pub(crate) const ATTACKS: &[Attack] = &[
    ("fork_bomb", "COUNT", |a| here("fork_bomb", fork_bomb(count(a[0])))),
    ("memory_bomb", "MEBIBYTES", |a| attempt("memory_bomb", || memory_bomb(count(a[0])))),
    ("descriptors", "COUNT", |a| attempt("descriptors", || descriptors(count(a[0])))),
    ("spin", "SECONDS", |a| attempt("spin", || spin(count(a[0])))),
    ("fill", "DIRECTORY MEBIBYTES", |a| attempt("fill", || fill(Path::new(a[0]), count(a[1])))),
    ("inodes", "DIRECTORY COUNT", |a| attempt("inodes", || inodes(Path::new(a[0]), count(a[1])))),
    ("sparse", "DIRECTORY GIBIBYTES", |a| attempt("sparse", || sparse(Path::new(a[0]), count(a[1])))),
];

const MEBIBYTE: usize = 1024 * 1024;

fn count(word: &str) -> usize {
    word.parse().unwrap_or(1)
}

/// Hold this many processes at once.
fn fork_bomb(wanted: usize) -> Outcome {
    const SIGKILL: i32 = 9;
    let mut children = Vec::new();
    let mut outcome = Ok(format!("{wanted} processes at once"));
    for _ in 0..wanted {
        // SAFETY: one thread; the child only waits to be killed.
        match unsafe { system::fork() } {
            0 => loop {
                // SAFETY: waits for a signal.
                unsafe { system::pause() };
            },
            child if child > 0 => children.push(child),
            _ => {
                let error = io::Error::last_os_error();
                outcome = Err(io::Error::new(error.kind(), format!("{error} after {}", children.len())));
                break;
            }
        }
    }
    for child in children {
        let mut status = 0;
        // SAFETY: children of this process that nobody else waits for.
        unsafe {
            system::kill(child, SIGKILL);
            system::waitpid(child, &mut status, 0);
        }
    }
    outcome
}

/// Touch this much memory.
fn memory_bomb(mebibytes: usize) -> Outcome {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for _ in 0..mebibytes {
        let mut block = Vec::new();
        block.try_reserve_exact(MEBIBYTE).map_err(io::Error::other)?;
        block.resize(MEBIBYTE, 1);
        blocks.push(block);
    }
    Ok(format!("touched {} MiB", std::hint::black_box(&blocks).len()))
}

fn descriptors(wanted: usize) -> Outcome {
    for held in 0..wanted {
        // SAFETY: no pointers; the descriptors end with this process.
        if unsafe { system::dup(0) } < 0 {
            let error = io::Error::last_os_error();
            return Err(io::Error::new(error.kind(), format!("{error} after {held}")));
        }
    }
    // SAFETY: closes one of those just made.
    unsafe { system::close(3) };
    Ok(format!("{wanted} descriptors"))
}

/// Keep a processor busy; reports the share it got.
fn spin(seconds: usize) -> Outcome {
    let started = Instant::now();
    let limit = Duration::from_secs(seconds as u64);
    let mut rounds = 0_u64;
    while started.elapsed() < limit {
        rounds = std::hint::black_box(rounds + 1);
    }
    Ok(format!("{rounds} rounds"))
}

fn fill(directory: &Path, mebibytes: usize) -> Outcome {
    let path = directory.join(".probe-fill");
    let block = vec![0x5a; MEBIBYTE];
    let outcome = File::create(&path).and_then(|mut file| {
        for _ in 0..mebibytes {
            file.write_all(&block)?;
        }
        Ok(format!("wrote {mebibytes} MiB"))
    });
    let _ = fs::remove_file(&path);
    outcome
}

fn inodes(directory: &Path, wanted: usize) -> Outcome {
    let folder = directory.join(".probe-inodes");
    fs::create_dir(&folder)?;
    let outcome = (0..wanted)
        .try_for_each(|number| File::create(folder.join(number.to_string())).map(drop))
        .map(|()| format!("{wanted} files"));
    let _ = fs::remove_dir_all(&folder);
    outcome
}

fn sparse(directory: &Path, gibibytes: usize) -> Outcome {
    let path = directory.join(".probe-sparse");
    let outcome = File::create(&path)
        .and_then(|file| file.set_len((gibibytes as u64) << 30))
        .map(|()| format!("{gibibytes} GiB"));
    let _ = fs::remove_file(&path);
    outcome
}

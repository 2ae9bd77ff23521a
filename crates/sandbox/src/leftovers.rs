//! What a box leaves when Bartizan's process and the janitor die at the same moment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cgroup::{self, Groups};

/// Stands in each run directory and says whose it is.
const RECORD: &str = "owner.json";
/// A record is a few hundred bytes; more is not one of ours.
const RECORD_BYTES_MAX: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Record {
    run: String,
    pid: u32,
    /// Start time of that process in clock ticks since boot: numbers are used again, this pair is not.
    start: u64,
    boot: String,
    cgroups: Vec<PathBuf>,
}

/// What was found and cleared.
#[derive(Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftovers {
    /// Runs whose process is gone.
    pub runs: Vec<String>,
}

/// Removes the run directories below `runs` whose process is gone, and their control groups.
///
/// # Errors
/// When `runs` cannot be read; an absent one has no leftovers.
pub fn collect_leftovers(runs: &Path) -> io::Result<Leftovers> {
    let entries = match fs::read_dir(runs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Leftovers::default()),
        other => other?,
    };
    let mut found = Leftovers::default();
    for entry in entries.flatten() {
        let directory = entry.path();
        let Some(record) = read(&directory) else { continue };
        if is_alive(&record) {
            continue;
        }
        for group in &record.cgroups {
            if is_ours(group) {
                cgroup::remove(group);
            }
        }
        match fs::remove_dir_all(&directory) {
            // Another start clears up at the same time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        found.runs.push(record.run);
    }
    Ok(found)
}

/// Marks a run's directory as this process's, before there is a box.
///
/// # Errors
/// The directory can't be written.
pub fn claim(directory: &Path, run: &str) -> io::Result<()> {
    write(directory, run, &Groups::default())
}

pub(crate) fn write(directory: &Path, run: &str, groups: &Groups) -> io::Result<()> {
    let pid = std::process::id();
    let record = Record {
        run: run.to_owned(),
        pid,
        start: start_time(pid).unwrap_or(0),
        boot: boot(),
        cgroups: groups.directories.clone(),
    };
    // Replaced in one step: a reader never sees half a record.
    let draft = directory.join(".owner.json");
    fs::write(&draft, serde_json::to_vec(&record)?)?;
    fs::rename(draft, directory.join(RECORD))
}

fn read(directory: &Path) -> Option<Record> {
    let path = directory.join(RECORD);
    (fs::metadata(&path).ok()?.len() <= RECORD_BYTES_MAX).then_some(())?;
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn is_alive(record: &Record) -> bool {
    record.boot == boot() && start_time(record.pid) == Some(record.start)
}

/// Only a group with our name may be removed, whatever the record says.
fn is_ours(group: &Path) -> bool {
    group.starts_with("/sys/fs/cgroup")
        && group.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"bartizan-"))
        && !group.components().any(|component| component.as_os_str() == "..")
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Field 22 of `/proc/PID/stat`; the second field may hold spaces and parentheses.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collects_runs_of_dead_processes_only() {
        let runs = tempfile::tempdir().unwrap();
        for name in ["living", "dead", "foreign"] {
            fs::create_dir(runs.path().join(name)).unwrap();
        }
        write(&runs.path().join("living"), "living", &Groups::default()).unwrap();
        write(&runs.path().join("dead"), "dead", &Groups::default()).unwrap();
        let mut record = read(&runs.path().join("dead")).unwrap();
        record.start += 1;
        fs::write(runs.path().join("dead").join(RECORD), serde_json::to_vec(&record).unwrap()).unwrap();
        let found = collect_leftovers(runs.path()).unwrap();
        assert_eq!(found.runs, ["dead"]);
        assert!(runs.path().join("living").exists() && runs.path().join("foreign").exists());
        assert!(!runs.path().join("dead").exists());
    }
}

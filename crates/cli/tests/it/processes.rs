//! Looking at this machine's processes and control groups from outside every box.

use std::fs;
use std::path::{Path, PathBuf};

/// A process, safe against its number being given away again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    parent: u32,
    started: u64,
    pub name: String,
}

impl Process {
    pub fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything.
        let (head, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // A dead one that waits to be collected is no longer a process.
        if fields.first() == Some(&"Z") {
            return None;
        }
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            name: head.split_once('(')?.1.to_owned(),
        })
    }

    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now.started == self.started)
    }
}

/// Every process below this one.
pub fn descendants(of: u32) -> Vec<Process> {
    let all: Vec<Process> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| Process::of(entry.file_name().to_str()?.parse().ok()?))
        .collect();
    let mut found: Vec<Process> = Vec::new();
    let mut wanted = vec![of];
    while let Some(parent) = wanted.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            wanted.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// Control groups whose name holds one of these.
pub fn control_groups(names: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if names.iter().any(|wanted| name.contains(wanted.as_str())) {
                found.push(entry.path());
            }
            waiting.push(entry.path());
        }
    }
    found
}

/// The names in a directory; none when it isn't there.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

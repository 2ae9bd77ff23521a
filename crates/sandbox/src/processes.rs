//! Which processes of this machine are in a box.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// Process identifiers, as this process numbers them, of all in the pid namespace of `first`.
#[must_use]
pub fn of_box(first: i32) -> Vec<i32> {
    let Some(namespace) = namespace(first) else { return Vec::new() };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| crate::processes::namespace(*pid) == Some(namespace))
        .collect()
}

/// Bytes of memory that the processes hold together; shared pages count once a process.
pub(crate) fn resident_bytes(processes: &[i32]) -> u64 {
    let page = rustix::param::page_size() as u64;
    processes
        .iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/statm")).ok())
        .filter_map(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .sum::<u64>()
        .saturating_mul(page)
}

fn namespace(pid: i32) -> Option<u64> {
    Some(fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?.ino())
}

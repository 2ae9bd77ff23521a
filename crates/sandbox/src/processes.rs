//! Which processes of this machine are in a box.
//!
//! All descend from the box's first process: the kernel gives it the orphans. Parents can be read by
//! everyone, while namespaces of a non-dumpable process cannot.

use std::collections::HashMap;
use std::fs;

/// Process identifiers, as this process numbers them, of `first` and all that descend from it.
#[must_use]
pub fn of_box(first: i32) -> Vec<i32> {
    descendants(first).unwrap_or_else(|| search(first))
}

/// As the kernel lists them, which takes no longer than the box is large; `None` where it doesn't
/// (`CONFIG_PROC_CHILDREN`).
fn descendants(first: i32) -> Option<Vec<i32>> {
    fs::read_to_string(format!("/proc/{first}/task/{first}/children")).ok()?;
    let mut found = Vec::new();
    let mut todo = vec![first];
    while let Some(pid) = todo.pop() {
        found.push(pid);
        // A process that is gone has no children any more: they are the first one's.
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            todo.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
    }
    Some(found)
}

/// Among all processes of this machine.
fn search(first: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in entries.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some((pid, parent)) = pid.and_then(|pid| Some((pid, parent(pid)?))) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut todo = vec![first];
    while let Some(pid) = todo.pop() {
        todo.extend(children.remove(&pid).unwrap_or_default());
        found.push(pid);
    }
    found
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

/// The second field of `/proc/PID/stat` may hold spaces and parentheses.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_list_and_the_search_agree() {
        let own = i32::try_from(std::process::id()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a child to be found")]
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        assert!(of_box(own).contains(&id));
        assert!(search(own).contains(&id));
        if let Some(listed) = descendants(own) {
            assert!(listed.contains(&id));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

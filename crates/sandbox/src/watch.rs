//! Limits that no kernel mechanism keeps for us: wall time, disk space, and memory without a group.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::cgroup::Groups;
use crate::processes;
use crate::running::{StopReason, Stopper};
use crate::spec::Limits;

/// Between two samples a fast disk takes some hundred megabytes; the floor must be above that.
const SAMPLE: Duration = Duration::from_millis(100);

pub(crate) fn start(
    limits: &Limits,
    writable: Vec<PathBuf>,
    groups: &Groups,
    first: i32,
    stopper: &Stopper,
) -> Vec<JoinHandle<()>> {
    let mut watchers = Vec::new();
    if let Some(wall) = limits.wall {
        let stopper = stopper.clone();
        watchers.push(tokio::spawn(async move {
            tokio::time::sleep(wall).await;
            stopper.stop(StopReason::WallTime);
        }));
    }
    if limits.disk_bytes.is_some() || limits.disk_floor.is_some() {
        watchers.push(tokio::spawn(watch_disk(limits.clone(), writable, stopper.clone())));
    }
    if let (Some(limit), true) = (limits.memory, groups.directories.is_empty()) {
        watchers.push(tokio::spawn(watch_memory(limit, first, stopper.clone())));
    }
    if limits.memory.is_some() && !groups.directories.is_empty() {
        watchers.push(tokio::spawn(watch_kills(groups.clone(), stopper.clone())));
    }
    watchers
}

async fn watch_disk(limits: Limits, writable: Vec<PathBuf>, stopper: Stopper) {
    let available =
        |path: &PathBuf| rustix::fs::statvfs(path).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    let trees: Vec<_> = writable.into_iter().filter_map(|path| available(&path).map(|bytes| (path, bytes))).collect();
    let mut ticks = tokio::time::interval(SAMPLE);
    loop {
        ticks.tick().await;
        for (path, at_start) in &trees {
            let Some(now) = available(path) else { continue };
            let used_up = limits.disk_bytes.is_some_and(|most| at_start.saturating_sub(now) > most);
            // A disk that was below the floor already is not the box's doing.
            let low = limits.disk_floor.is_some_and(|floor| now < floor && *at_start >= floor);
            if used_up || low {
                stopper.stop(StopReason::Disk);
                return;
            }
        }
    }
}

async fn watch_memory(limit: u64, first: i32, stopper: Stopper) {
    let mut ticks = tokio::time::interval(SAMPLE);
    loop {
        ticks.tick().await;
        let sample = tokio::task::spawn_blocking(move || processes::resident_bytes(&processes::of_box(first)));
        if sample.await.is_ok_and(|bytes| bytes > limit) {
            stopper.stop(StopReason::Memory);
            return;
        }
    }
}

/// Where the kernel ends single processes at the limit, the box is ended as a whole.
async fn watch_kills(groups: Groups, stopper: Stopper) {
    let mut ticks = tokio::time::interval(SAMPLE);
    loop {
        ticks.tick().await;
        if groups.memory_kills() > 0 {
            stopper.stop(StopReason::Memory);
            return;
        }
    }
}

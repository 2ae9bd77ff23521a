//! Control groups, version 2 where it has the controllers, else version 1.
//!
//! The box's group is made below the group this process is in (or the nearest one above it that may
//! be used), so that limits set on us from outside hold for the box as well.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::spec::Limits;

const PREFIX: &str = "bartizan-";
/// Period over which processor time is shared out, the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;
/// The kernel refuses to remove a group while its last process is being taken down.
const REMOVE_TRIES: u32 = 2000;
const REMOVE_PAUSE: Duration = Duration::from_micros(500);

/// The groups of one box; empty when it has none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    pub(crate) version: u8,
    pub(crate) directories: Vec<PathBuf>,
}

/// What the groups counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) memory_peak_bytes: Option<u64>,
    pub(crate) cpu_time: Option<Duration>,
}

/// Where groups are mounted and which ones this process is in.
struct Surroundings {
    /// Mount point of version 2 and this process's path in it.
    unified: Option<(PathBuf, PathBuf)>,
    /// Version 1: controller, mount point, path.
    legacy: Vec<(String, PathBuf, PathBuf)>,
}

/// Makes and limits the groups of run `run`.
pub(crate) fn create(run: &str, limits: &Limits) -> io::Result<Groups> {
    let surroundings = Surroundings::read()?;
    let name = format!("{PREFIX}{run}");
    let unified = match &surroundings.unified {
        Some((mount, path)) => create_unified(mount, path, &name, limits),
        None => Err(io::Error::new(io::ErrorKind::NotFound, "no cgroup filesystem is mounted")),
    };
    match unified {
        Ok(directory) => Ok(Groups { version: 2, directories: vec![directory] }),
        Err(error) if surroundings.legacy.is_empty() => Err(error),
        Err(_) => {
            let mut groups = Groups { version: 1, directories: Vec::new() };
            // Processor time only if it is limited: a real-time task may not enter such a group.
            let wanted = |controller: &str| controller != "cpu" || limits.cpu.is_some();
            for (controller, mount, path) in surroundings.legacy.iter().filter(|(name, ..)| wanted(name)) {
                match create_legacy(controller, mount, path, &name, limits) {
                    Ok(directory) => groups.directories.push(directory),
                    Err(error) => {
                        groups.remove();
                        return Err(error);
                    }
                }
            }
            Ok(groups)
        }
    }
}

/// Every place at which [`create`] may make a group for this run: written down before it does, so that a
/// process killed amid it leaves nothing that can't be found.
pub(crate) fn intended(run: &str) -> Groups {
    let name = format!("{PREFIX}{run}");
    let Ok(surroundings) = Surroundings::read() else { return Groups::default() };
    let unified = surroundings
        .unified
        .iter()
        .flat_map(|(mount, path)| path.ancestors().map(|ancestor| mount.join(ancestor).join(&name)));
    let legacy = surroundings.legacy.iter().map(|(_, mount, path)| mount.join(path).join(&name));
    Groups { version: 0, directories: unified.chain(legacy).collect() }
}

/// Says which groups could be made here, without making any.
pub(crate) fn describe() -> String {
    match Surroundings::read() {
        Ok(Surroundings { unified: Some((mount, path)), legacy }) if legacy.is_empty() => {
            format!("version 2 at `{}`, in `{}`", mount.display(), path.display())
        }
        Ok(Surroundings { legacy, .. }) => {
            let names: Vec<_> = legacy.iter().map(|(name, ..)| name.as_str()).collect();
            format!("version 1 with {}", names.join(", "))
        }
        Err(error) => error.to_string(),
    }
}

impl Groups {
    pub(crate) fn remove(&self) {
        for directory in &self.directories {
            remove(directory);
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let read =
            |name: &str| self.directories.iter().find_map(|directory| fs::read_to_string(directory.join(name)).ok());
        let number = |name: &str| read(name).and_then(|text| text.trim().parse().ok());
        let cpu_us = read("cpu.stat").and_then(|text| field(&text, "usage_usec"));
        Counters {
            memory_peak_bytes: number("memory.peak").or_else(|| number("memory.max_usage_in_bytes")),
            cpu_time: cpu_us.map(Duration::from_micros).or_else(|| number("cpuacct.usage").map(Duration::from_nanos)),
        }
    }

    /// How often the memory limit ended a process.
    pub(crate) fn memory_kills(&self) -> u64 {
        ["memory.events", "memory.oom_control"]
            .iter()
            .flat_map(|name| self.directories.iter().map(move |directory| directory.join(name)))
            .filter_map(|path| fs::read_to_string(path).ok())
            .filter_map(|text| field(&text, "oom_kill"))
            .sum()
    }
}

/// Removes one group, waiting for its last process to be taken down.
pub(crate) fn remove(directory: &Path) {
    for _ in 0..REMOVE_TRIES {
        match fs::remove_dir(directory) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => std::thread::sleep(REMOVE_PAUSE),
            _ => return,
        }
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

impl Surroundings {
    fn read() -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        Ok(Self::parse(&mounts, &groups))
    }

    /// Both files as `proc_pid_mountinfo(5)` and `cgroups(7)` describe them.
    fn parse(mounts: &str, groups: &str) -> Self {
        let mut mounted = Vec::new();
        for line in mounts.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let mut before = before.split(' ').skip(3);
            let (Some(root), Some(point)) = (before.next(), before.next()) else { continue };
            let mut after = after.split(' ');
            let (Some(kind), _, Some(options)) = (after.next(), after.next(), after.next()) else { continue };
            mounted.push((kind, root, PathBuf::from(point), options));
        }
        let path_of = |controller: &str| {
            groups.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                controllers.split(',').any(|one| one == controller).then_some(path)
            })
        };
        // Inside a container the mount may show only a part of the hierarchy.
        let below = |path: &str, root: &str| {
            let path = path.strip_prefix(root.trim_end_matches('/')).unwrap_or("");
            PathBuf::from(path.trim_start_matches('/'))
        };
        let unified = mounted
            .iter()
            .find(|(kind, ..)| *kind == "cgroup2")
            .and_then(|(_, root, point, _)| Some((point.clone(), below(path_of("")?, root))));
        let mut legacy = Vec::new();
        for controller in ["memory", "pids", "cpu"] {
            let mount = mounted
                .iter()
                .find(|(kind, _, _, options)| *kind == "cgroup" && options.split(',').any(|one| one == controller));
            if let (Some((_, root, point, _)), Some(path)) = (mount, path_of(controller)) {
                legacy.push((controller.to_owned(), point.clone(), below(path, root)));
            }
        }
        // Without these two, version 1 gives nothing the resource limits don't.
        if !["memory", "pids"].iter().all(|needed| legacy.iter().any(|(name, ..)| name == needed)) {
            legacy.clear();
        }
        Self { unified, legacy }
    }
}

fn create_unified(mount: &Path, own: &Path, name: &str, limits: &Limits) -> io::Result<PathBuf> {
    let mut reason =
        io::Error::new(io::ErrorKind::NotFound, "no cgroup here or above has the memory and pids controllers");
    for ancestor in own.ancestors() {
        let parent = mount.join(ancestor);
        let has = |file: &str| {
            let text = fs::read_to_string(parent.join(file)).unwrap_or_default();
            ["memory", "pids"].iter().all(|needed| text.split_whitespace().any(|one| one == *needed))
        };
        if !has("cgroup.controllers") {
            continue;
        }
        if !has("cgroup.subtree_control") {
            // Refused where processes live directly in the group, as in our own.
            let control = parent.join("cgroup.subtree_control");
            if let Err(error) = fs::write(control, "+memory +pids") {
                reason = error;
                continue;
            }
        }
        let _ = fs::write(parent.join("cgroup.subtree_control"), "+cpu");
        let directory = parent.join(name);
        match fs::create_dir(&directory).and_then(|()| limit_unified(&directory, limits)) {
            Ok(()) => return Ok(directory),
            Err(error) => {
                let _ = fs::remove_dir(&directory);
                reason = error;
            }
        }
    }
    Err(reason)
}

fn limit_unified(directory: &Path, limits: &Limits) -> io::Result<()> {
    let set = |name: &str, value: String| fs::write(directory.join(name), value);
    if let Some(bytes) = limits.memory {
        set("memory.max", bytes.to_string())?;
        // Absent without swap; one failing process must not leave half a program running.
        let _ = set("memory.swap.max", "0".to_owned());
        let _ = set("memory.oom.group", "1".to_owned());
    }
    if let Some(pids) = limits.pids {
        set("pids.max", pids.to_string())?;
    }
    if let Some(quota) = cpu_quota_us(limits) {
        set("cpu.max", format!("{quota} {CPU_PERIOD_US}"))?;
    }
    Ok(())
}

fn create_legacy(controller: &str, mount: &Path, own: &Path, name: &str, limits: &Limits) -> io::Result<PathBuf> {
    let directory = mount.join(own).join(name);
    fs::create_dir(&directory)?;
    let set = |file: &str, value: String| fs::write(directory.join(file), value);
    let limited = match controller {
        "memory" => limits.memory.map_or(Ok(()), |bytes| {
            set("memory.limit_in_bytes", bytes.to_string())?;
            // Absent where swap is not accounted.
            let _ = set("memory.memsw.limit_in_bytes", bytes.to_string());
            Ok(())
        }),
        "pids" => limits.pids.map_or(Ok(()), |pids| set("pids.max", pids.to_string())),
        _ => cpu_quota_us(limits).map_or(Ok(()), |quota| {
            set("cpu.cfs_period_us", CPU_PERIOD_US.to_string())?;
            set("cpu.cfs_quota_us", quota.to_string())
        }),
    };
    if let Err(error) = limited {
        let _ = fs::remove_dir(&directory);
        return Err(error);
    }
    Ok(directory)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to what the kernel takes"
)]
fn cpu_quota_us(limits: &Limits) -> Option<u64> {
    const CORES_MAX: f64 = 4096.0;
    let cores = limits.cpu?;
    // The kernel's smallest quota is one millisecond.
    Some(((cores.clamp(0.01, CORES_MAX) * CPU_PERIOD_US as f64) as u64).max(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_version_one_beside_an_empty_version_two() {
        let mounts = "\
30 20 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
31 20 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 20 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
33 20 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        let groups = "8:pids:/\n4:memory:/api/7\n1:cpu:/\n0::/here";
        let found = Surroundings::parse(mounts, groups);
        assert_eq!(found.unified, Some(("/sys/fs/cgroup/unified".into(), "here".into())));
        let legacy: Vec<_> = found.legacy.iter().map(|(name, mount, path)| (name.as_str(), mount.join(path))).collect();
        assert_eq!(
            legacy,
            [
                ("memory", PathBuf::from("/sys/fs/cgroup/memory/api/7")),
                ("pids", PathBuf::from("/sys/fs/cgroup/pids/")),
                ("cpu", PathBuf::from("/sys/fs/cgroup/cpu/")),
            ]
        );
    }

    #[test]
    fn uses_the_nearest_group_above_that_may_be_used() {
        let tree = tempfile::tempdir().unwrap();
        let own = Path::new("user/session");
        fs::create_dir_all(tree.path().join(own)).unwrap();
        for (group, controllers) in [("", "cpu memory pids"), ("user", "memory pids"), ("user/session", "cpu")] {
            fs::write(tree.path().join(group).join("cgroup.controllers"), controllers).unwrap();
            fs::write(tree.path().join(group).join("cgroup.subtree_control"), controllers).unwrap();
        }
        let limits = Limits { memory: None, pids: Some(7), ..Limits::default() };
        let directory = create_unified(tree.path(), own, "bartizan-x", &limits).unwrap();
        assert_eq!(directory, tree.path().join("user/bartizan-x"));
        assert_eq!(fs::read_to_string(directory.join("pids.max")).unwrap(), "7");
    }
}

//! Turns a specification into the helper's plan: what is shown where, and over what.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use bartizan_jail::{Cgroup, Identity, JailPlan, Link, ResourceLimit, Text, Tree, TreeOwner};
use rustix::process::{getgid, getuid};

use crate::cgroup::Groups;
use crate::error::StartError;
use crate::spec::{BoxSpec, Demand, Limits, RootMapping, Stdio};

/// Private directories besides the home.
const SCRATCH: [&str; 4] = ["/tmp", "/var/tmp", "/run", "/dev/shm"];
/// Never taken from the host: the box has its own, or none.
const OWN: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/tmp"];
/// Trees that belong to the system. To a dropped root they are a stranger's, as to any user.
const SYSTEM: [&str; 11] =
    ["/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix", "/var"];
/// What even a root without capabilities could read as its owner.
const SHADOWED: [&str; 4] = ["/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-"];
/// First of the user ids that boxes of root act as; far above those that systems hand out. Each
/// living box has its own, because each has its own janitor and process number.
const DROPPED_BASE: u32 = 0x7000_0000;
/// As many links as the kernel follows in one path.
const LINKS_MAX: usize = 40;

pub(crate) fn plan(spec: &BoxSpec, groups: &Groups) -> Result<JailPlan, StartError> {
    check(spec)?;
    let mut arrangement = Arrangement::default();
    for path in &spec.read {
        if path == Path::new("/") {
            for entry in fs::read_dir("/").into_iter().flatten().flatten() {
                arrangement.add_read(&entry.path());
            }
        } else {
            arrangement.add_read(path);
        }
    }
    for path in &spec.write {
        arrangement.add(path, true).map_err(|source| StartError::Tree { path: path.clone(), source })?;
    }
    let identity = identity(spec);
    let scratch = arrangement.scratch(&spec.home);
    let mut mask: Vec<OsString> = spec.mask.iter().map(OsString::from).collect();
    if getuid().is_root() && !identity.dropped {
        mask.extend(SHADOWED.map(OsString::from));
    }
    let has_etc = arrangement.trees.contains_key(Path::new("/etc"));
    Ok(JailPlan {
        run: spec.run.clone(),
        argv: spec.argv.clone(),
        env: spec
            .env
            .iter()
            .map(|(name, value)| {
                let mut variable = name.clone();
                variable.push("=");
                variable.push(value);
                variable
            })
            .collect(),
        cwd: spec.cwd.clone().into(),
        identity,
        trees: arrangement.trees(),
        links: arrangement
            .links
            .into_iter()
            .map(|(at, target)| Link { at: at.into(), target: target.into() })
            .collect(),
        scratch,
        scratch_bytes: spec.limits.scratch_bytes,
        scratch_inodes: spec.limits.scratch_inodes,
        readonly: spec.readonly.iter().map(OsString::from).collect(),
        mask,
        texts: texts(identity, &spec.home, has_etc).into_iter().chain(laid(spec)).collect(),
        limits: resource_limits(&spec.limits),
        landlock_required: spec.landlock == Demand::Required,
        cgroup: Cgroup {
            version: groups.version,
            directories: groups.directories.iter().map(OsString::from).collect(),
        },
        terminal: match spec.stdio {
            Stdio::Terminal { rows, columns } => Some((rows, columns)),
            Stdio::Descriptors(_) => None,
        },
        gate_exec: spec.gate_exec,
        guard_names: spec.guard_names.clone(),
        cleanup: vec![spec.run_dir.clone().into()],
    })
}

fn check(spec: &BoxSpec) -> Result<(), StartError> {
    let refuse = |reason, value: String| Err(StartError::Specification { reason, value });
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if spec.run.is_empty() || spec.run.len() > 64 || !spec.run.bytes().all(named) {
        return refuse("run identifier has other than letters, digits and `-`:", spec.run.clone());
    }
    if spec.argv.is_empty() {
        return refuse("the command is empty", String::new());
    }
    let paths = [&spec.read, &spec.write, &spec.readonly, &spec.mask];
    let singles = [&spec.cwd, &spec.home, &spec.run_dir];
    let texts = spec.texts.iter().map(|(path, _)| path).chain(spec.secrets.iter().map(|(path, _)| path));
    for path in paths.into_iter().flatten().chain(singles).chain(texts) {
        let plain = path.is_absolute()
            && !path.components().any(|component| component == Component::ParentDir)
            && !path.as_os_str().as_bytes().contains(&0);
        if !plain {
            return refuse("path is not absolute, or has `..` in it:", path.display().to_string());
        }
    }
    for path in &spec.write {
        if path == Path::new("/") || OWN.iter().any(|own| path == Path::new(own)) {
            return refuse("this cannot be shown writable:", path.display().to_string());
        }
    }
    Ok(())
}

fn identity(spec: &BoxSpec) -> Identity {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    if uid == 0 && spec.root_mapping == RootMapping::Drop {
        // Process numbers stay below 2^22, so the sum fits.
        let outside = DROPPED_BASE + (std::process::id() & 0x3f_ffff) * 64 + next_slot();
        return Identity { uid_inside: 0, uid_outside: outside, gid_inside: 0, gid_outside: outside, dropped: true };
    }
    Identity { uid_inside: uid, uid_outside: uid, gid_inside: gid, gid_outside: gid, dropped: false }
}

/// Tells boxes of one process apart; more than 64 at once share ids.
fn next_slot() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed) % 64
}

#[derive(Default)]
struct Arrangement {
    /// Canonical path to whether it is writable.
    trees: BTreeMap<PathBuf, bool>,
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Arrangement {
    /// Absent and unreadable trees are passed over: the box simply doesn't have them.
    fn add_read(&mut self, path: &Path) {
        if !OWN.iter().any(|own| path == Path::new(own)) {
            let _ = self.add(path, false);
        }
    }

    fn add(&mut self, path: &Path, writable: bool) -> io::Result<()> {
        let mut links = Vec::new();
        let real = follow(path, &mut links)?;
        fs::symlink_metadata(&real)?;
        self.links.extend(links);
        let entry = self.trees.entry(real).or_insert(false);
        *entry |= writable;
        Ok(())
    }

    fn scratch(&self, home: &Path) -> Vec<OsString> {
        let mut all: Vec<&Path> = SCRATCH.iter().map(Path::new).collect();
        if home != Path::new("/") && !all.contains(&home) {
            all.push(home);
        }
        all.retain(|path| !self.trees.contains_key(*path));
        all.into_iter().map(OsString::from).collect()
    }

    /// Parents before children; a tree that its parent shows just the same is left out.
    fn trees(&self) -> Vec<Tree> {
        let shown = |path: &Path, writable: bool| {
            path.ancestors()
                .skip(1)
                .find_map(|above| self.trees.get(above).map(|state| (above, *state)))
                .is_some_and(|(above, state)| state == writable && owner(above) == owner(path))
        };
        self.trees
            .iter()
            .filter(|(path, writable)| !shown(path, **writable))
            .map(|(path, writable)| Tree {
                source: path.into(),
                target: path.into(),
                writable: *writable,
                owner: if *writable { TreeOwner::Invoker } else { owner(path) },
            })
            .collect()
    }
}

fn owner(path: &Path) -> TreeOwner {
    if SYSTEM.iter().any(|system| path.starts_with(system)) { TreeOwner::Stranger } else { TreeOwner::Invoker }
}

/// Resolves `path` by hand, noting each link on the way, so that the box can have the same links.
fn follow(path: &Path, links: &mut Vec<(PathBuf, PathBuf)>) -> io::Result<PathBuf> {
    let mut todo: Vec<OsString> = names(path);
    let mut done = PathBuf::from("/");
    while let Some(name) = todo.pop() {
        if name == ".." {
            done.pop();
            continue;
        }
        let here = done.join(&name);
        match fs::read_link(&here) {
            Ok(target) => {
                if links.len() == LINKS_MAX {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                todo.extend(names(&target));
                links.push((here, target));
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => done = here,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Names of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect();
    names.reverse();
    names
}

fn resource_limits(limits: &Limits) -> Vec<ResourceLimit> {
    let mut all = Vec::new();
    let mut set = |resource: libc::__rlimit_resource_t, value: Option<u64>| {
        all.extend(value.map(|value| ResourceLimit { resource, value }));
    };
    set(libc::RLIMIT_CORE, Some(0));
    // Counted per user of the box's user namespace, since Linux 5.14; the first process counts too.
    set(libc::RLIMIT_NPROC, limits.pids.map(|pids| u64::from(pids).saturating_add(1)));
    set(libc::RLIMIT_NOFILE, limits.open_files);
    set(libc::RLIMIT_FSIZE, limits.file_bytes);
    set(libc::RLIMIT_AS, limits.address_space);
    all
}

/// Files laid over the host's. Every DNS question is answered by Bartizan, whatever its address.
fn texts(identity: Identity, home: &Path, has_etc: bool) -> Vec<Text> {
    let text =
        |path: &str, content: &str| Text { path: path.into(), content: content.as_bytes().to_vec(), is_private: false };
    let mut all = vec![
        text("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n"),
        text("/etc/hosts", "127.0.0.1 localhost box\n::1 localhost ip6-localhost ip6-loopback\n"),
        text("/etc/hostname", "box\n"),
    ];
    let accounts = [
        (
            "/etc/passwd",
            identity.uid_inside,
            format!("agent:x:{}:{}:agent:{}:/bin/sh\n", identity.uid_inside, identity.gid_inside, home.display()),
        ),
        ("/etc/group", identity.gid_inside, format!("agent:x:{}:\n", identity.gid_inside)),
    ];
    for (path, id, line) in accounts {
        let host = if has_etc { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
        let known = host.lines().any(|line| line.split(':').nth(2) == Some(&id.to_string()));
        if !known {
            all.push(text(path, &format!("{host}{line}")));
        }
    }
    all
}

/// The files that the specification brings.
fn laid(spec: &BoxSpec) -> impl Iterator<Item = Text> {
    let public = spec.texts.iter().map(|(path, content)| (path, content.as_slice(), false));
    let private = spec.secrets.iter().map(|(path, value)| (path, value.expose(), true));
    public.chain(private).map(|(path, content, is_private)| Text {
        path: path.into(),
        content: content.to_vec(),
        is_private,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_links_and_shows_what_they_mean() {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().canonicalize().unwrap();
        fs::create_dir(base.join("usr")).unwrap();
        std::os::unix::fs::symlink("usr", base.join("bin")).unwrap();
        let mut arrangement = Arrangement::default();
        arrangement.add(&base.join("bin"), false).unwrap();
        assert_eq!(arrangement.trees.keys().collect::<Vec<_>>(), [&base.join("usr")]);
        assert_eq!(arrangement.links.get(&base.join("bin")), Some(&PathBuf::from("usr")));
    }

    #[test]
    fn shows_a_tree_once_but_a_writable_one_inside_again() {
        let arrangement = Arrangement {
            trees: BTreeMap::from([
                ("/home/a".into(), false),
                ("/home/a/src".into(), false),
                ("/home/a/src/work".into(), true),
                ("/home/a/src/work/vendor".into(), false),
            ]),
            links: BTreeMap::new(),
        };
        let shown: Vec<_> = arrangement.trees().into_iter().map(|tree| (tree.target, tree.writable)).collect();
        assert_eq!(
            shown,
            [("/home/a".into(), false), ("/home/a/src/work".into(), true), ("/home/a/src/work/vendor".into(), false)]
        );
    }
}

//! The box's file tree.
//!
//! Everything taken from the host is cut out as a detached mount first. Then the process moves into
//! an empty tmpfs and lets go of the host's tree, and only then is anything put in its place: no
//! symbolic link met on the way can lead out, because there is no way out any more.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use bartizan_jail::{JailPlan, Layer, Text};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2, readlinkat, statat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree,
    unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::fault::{At, Fault};
use crate::sys::{self, MOUNT_NODEV, MOUNT_NOEXEC, MOUNT_NOSUID, MOUNT_RDONLY, MountChange};

/// Directories that exist everywhere, to put the new root on for a moment.
const FOOTHOLDS: [&str; 3] = ["/tmp", "/usr", "/mnt"];
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Holds what generated mounts are cut from; unreachable names are removed again.
const STORE: &str = "/.bartizan";
/// Parts of `/proc` that speak for the whole machine: shut for writing.
const PROC_READONLY: [&str; 1] = ["sys"];
/// Parts of `/proc` that anyone may read and nobody inside needs: covered.
const PROC_MASKED: [&str; 2] = ["keys", "key-users"];
/// The same where the box's user is root outside. To all others the host's root owns these, and the
/// kernel refuses: there, covering them would only make each start slower.
const PROC_READONLY_ROOT: [&str; 4] = ["irq", "bus", "fs", "acpi"];
const PROC_MASKED_ROOT: [&str; 7] =
    ["sysrq-trigger", "kcore", "kmsg", "timer_list", "sched_debug", "latency_stats", "scsi"];
const LINKS_MAX: usize = 40;

/// Cuts `source` and everything mounted below it out of the caller's mount namespace.
pub(crate) fn cut_tree(source: &OsStr, writable: bool, idmap: Option<&OwnedFd>) -> Result<OwnedFd, Fault> {
    let name = Path::new(source).display();
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, source, flags).at(Layer::Mounts, format_args!("bind `{name}`"))?;
    let set = MOUNT_NOSUID | MOUNT_NODEV | if writable { 0 } else { MOUNT_RDONLY };
    if idmap.is_some() {
        // Alone, so that a filesystem that refuses is told from other reasons.
        let change = MountChange { idmap, recursive: true, ..MountChange::default() };
        sys::mount_setattr(&tree, &change)
            .at(Layer::Identity, format_args!("present `{name}` under the box's own user (idmapped mount)"))?;
    }
    let change = MountChange { set, recursive: true, ..MountChange::default() };
    sys::mount_setattr(&tree, &change).at(Layer::Mounts, format_args!("set mount flags of `{name}`"))?;
    Ok(tree)
}

/// Builds the tree and leaves the host's for good. `trees` are those of the plan, already cut out,
/// or none, to cut them here.
pub(crate) fn enter(plan: &JailPlan, mut trees: Vec<OwnedFd>) -> Result<(), Fault> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .at(Layer::MountNamespace, "make the mounts private")?;
    if trees.is_empty() {
        for tree in &plan.trees {
            trees.push(cut_tree(&tree.source, tree.writable, None)?);
        }
    }
    let mut devices = Vec::new();
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let device = open_tree(CWD, &path, flags).at(Layer::Mounts, format_args!("bind `/dev/{name}`"))?;
        sys::mount_setattr(&device, &MountChange { set: MOUNT_NOSUID | MOUNT_NOEXEC, ..MountChange::default() })
            .at(Layer::Mounts, format_args!("set mount flags of `/dev/{name}`"))?;
        devices.push(device);
    }
    // The kernel gives a new /proc only while a whole one is in sight.
    let proc = filesystem("proc", &[], MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC).at(Layer::Mounts, "make /proc")?;
    let root = scratch_filesystem(plan, 0o755).at(Layer::Mounts, "make the box's root")?;
    move_in(&root)?;

    directory(STORE, 0o700)?;
    place_all(plan, trees)?;
    place(&proc, "/proc", true)?;
    build_devices(devices)?;
    shut_proc(plan)?;
    for path in &plan.mask {
        mask(path)?;
    }
    for path in &plan.readonly {
        shut(path)?;
    }
    for (index, text) in plan.texts.iter().enumerate() {
        lay_text(text, index)?;
    }
    for name in ["nothing", "empty"] {
        // Both are only the sources of mounts by now.
        let path = Path::new(STORE).join(name);
        let _ = unlinkat(CWD, &path, AtFlags::empty()).or_else(|_| unlinkat(CWD, &path, AtFlags::REMOVEDIR));
    }
    let _ = unlinkat(CWD, STORE, AtFlags::REMOVEDIR);
    let top = open_path("/").at(Layer::Mounts, "open the box's root")?;
    sys::mount_setattr(&top, &MountChange { set: MOUNT_RDONLY, ..MountChange::default() })
        .at(Layer::Mounts, "shut the box's root for writing")
}

fn filesystem(kind: &str, options: &[(&str, &str)], attributes: u64) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        if value.is_empty() {
            fsconfig_set_flag(&context, *key)?;
        } else {
            fsconfig_set_string(&context, *key, *value)?;
        }
    }
    fsconfig_create(&context)?;
    let flags = MountAttrFlags::from_bits_retain(u32::try_from(attributes).unwrap_or(0));
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

/// Makes the empty tmpfs the root directory and lets go of the host's tree.
fn move_in(root: &OwnedFd) -> Result<(), Fault> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    let put = |foothold: &&str| move_mount(root, "", CWD, *foothold, flags).is_ok();
    if !FOOTHOLDS.iter().any(put) {
        return Err(Errno::NOENT).at(Layer::Mounts, "attach the box's root to /tmp, /usr or /mnt");
    }
    fchdir(root).at(Layer::Mounts, "enter the box's root")?;
    pivot_root(".", ".").at(Layer::Mounts, "pivot_root")?;
    unmount(".", UnmountFlags::DETACH).at(Layer::Mounts, "let go of the host's file tree")?;
    chdir("/").at(Layer::Mounts, "enter the box's root")
}

/// Places trees, private directories and links, parents before children.
fn place_all(plan: &JailPlan, trees: Vec<OwnedFd>) -> Result<(), Fault> {
    enum Piece<'a> {
        Tree(OwnedFd),
        Scratch,
        Link(&'a OsStr),
    }
    let trees = plan.trees.iter().zip(trees).map(|(tree, cut)| (tree.target.as_os_str(), Piece::Tree(cut)));
    let scratch = plan.scratch.iter().map(|path| (path.as_os_str(), Piece::Scratch));
    let links = plan.links.iter().map(|link| (link.at.as_os_str(), Piece::Link(&link.target)));
    let mut pieces: Vec<_> = trees.chain(scratch).chain(links).collect();
    pieces.sort_by_key(|(path, _)| Path::new(path).components().count());
    for (path, piece) in pieces {
        match piece {
            Piece::Tree(tree) => {
                let kind = fstat(&tree).at(Layer::Mounts, "look at a tree")?.st_mode;
                place(&tree, path, FileType::from_raw_mode(kind).is_dir())?;
            }
            Piece::Scratch => scratch_directory(plan, path)?,
            Piece::Link(target) => {
                let at = Path::new(path);
                parents(at)?;
                match symlinkat(target, CWD, at) {
                    Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {}
                    Err(errno) => return Err(errno).at(Layer::Mounts, format_args!("link `{}`", at.display())),
                }
            }
        }
    }
    Ok(())
}

/// A part of the root's tmpfs, so that all private directories share one bound; where a tree of the
/// host has that path, a tmpfs of its own.
fn scratch_directory(plan: &JailPlan, path: &OsStr) -> Result<(), Fault> {
    let name = Path::new(path).display();
    let shared = matches!(path.as_bytes(), b"/tmp" | b"/var/tmp" | b"/dev/shm");
    let mode = if shared { 0o1777 } else { 0o755 };
    let part = if statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        scratch_filesystem(plan, mode)
    } else {
        directory(path, mode)?;
        clone_of(path, 0)
    };
    let part = part.at(Layer::Mounts, format_args!("make `{name}` private"))?;
    attach(&part, path).at(Layer::Mounts, format_args!("place `{name}`"))
}

fn scratch_filesystem(plan: &JailPlan, mode: u32) -> Result<OwnedFd, Errno> {
    let options = [
        ("size", plan.scratch_bytes.to_string()),
        ("nr_inodes", plan.scratch_inodes.to_string()),
        ("mode", format!("{mode:04o}")),
    ];
    let options: Vec<_> = options.iter().map(|(key, value)| (*key, value.as_str())).collect();
    filesystem("tmpfs", &options, MOUNT_NOSUID | MOUNT_NODEV)
}

/// Makes a directory with exactly `mode`; one that is there already is left as it is.
fn directory(path: impl AsRef<Path>, mode: u32) -> Result<(), Fault> {
    let path = path.as_ref();
    parents(path)?;
    match mkdirat(CWD, path, Mode::from_raw_mode(mode)) {
        Ok(()) => rustix::fs::chmod(path, Mode::from_raw_mode(mode)),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
    .at(Layer::Mounts, format_args!("make directory `{}`", path.display()))
}

fn parents(path: &Path) -> Result<(), Fault> {
    let mut prefix = PathBuf::new();
    let Some(parent) = path.parent() else { return Ok(()) };
    for component in parent.components() {
        prefix.push(component);
        if component == Component::RootDir {
            continue;
        }
        match mkdirat(CWD, &prefix, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::ROFS | Errno::ACCESS) if statat(CWD, &prefix, AtFlags::empty()).is_ok() => {}
            Err(errno) => {
                return Err(errno).at(Layer::Mounts, format_args!("make directory `{}`", prefix.display()));
            }
        }
    }
    Ok(())
}

/// Attaches `tree` at `path`, making the place for it where the box's own root is.
fn place(tree: &OwnedFd, path: impl AsRef<Path>, is_directory: bool) -> Result<(), Fault> {
    let path = path.as_ref();
    if statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_err() {
        if is_directory {
            directory(path, 0o755)?;
        } else {
            parents(path)?;
            openat(
                CWD,
                path,
                OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC,
                Mode::from_raw_mode(0o444),
            )
            .at(Layer::Mounts, format_args!("make a place for `{}`", path.display()))?;
        }
    }
    attach(tree, path.as_os_str()).at(Layer::Mounts, format_args!("place `{}`", path.display()))
}

/// Opens a path of the box without following any link.
fn open_path(path: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

fn attach(tree: impl AsFd, path: &OsStr) -> Result<(), Errno> {
    let place = open_path(path)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", place, "", flags)
}

/// A detached mount of what the box has at `path`, with more attributes; its id mapping is kept.
fn clone_of(path: impl rustix::path::Arg, set: u64) -> Result<OwnedFd, Errno> {
    let open = open_path(path)?;
    clone_open(&open, set)
}

fn clone_open(open: &OwnedFd, set: u64) -> Result<OwnedFd, Errno> {
    // AT_EMPTY_PATH is not among rustix's names for this call.
    const EMPTY_PATH: u32 = 0x1000;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::from_bits_retain(EMPTY_PATH);
    let tree = open_tree(open, "", flags)?;
    sys::mount_setattr(&tree, &MountChange { set, recursive: true, ..MountChange::default() })?;
    Ok(tree)
}

fn build_devices(devices: Vec<OwnedFd>) -> Result<(), Fault> {
    for (name, device) in DEVICES.iter().zip(devices) {
        place(&device, Path::new("/dev").join(name), false)?;
    }
    let terminals = filesystem(
        "devpts",
        &[("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")],
        MOUNT_NOSUID | MOUNT_NOEXEC,
    )
    .at(Layer::Mounts, "make /dev/pts")?;
    place(&terminals, "/dev/pts", true)?;
    let links = [
        ("/dev/ptmx", "pts/ptmx"),
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ];
    for (at, target) in links {
        symlinkat(target, CWD, at).at(Layer::Mounts, format_args!("link `{at}`"))?;
    }
    Ok(())
}

fn shut_proc(plan: &JailPlan) -> Result<(), Fault> {
    let is_root = plan.identity.uid_outside == 0;
    let readonly = PROC_READONLY.iter().chain(PROC_READONLY_ROOT.iter().filter(|_| is_root));
    for name in readonly {
        shut(Path::new("/proc").join(name).as_os_str())?;
    }
    let masked = PROC_MASKED.iter().chain(PROC_MASKED_ROOT.iter().filter(|_| is_root));
    for name in masked {
        mask(Path::new("/proc").join(name).as_os_str())?;
    }
    Ok(())
}

/// Shuts a path for writing; links in it are followed inside the box.
fn shut(path: &OsStr) -> Result<(), Fault> {
    let name = Path::new(path).display();
    let Some(open) = find(path).at(Layer::Mounts, format_args!("find `{name}`"))? else { return Ok(()) };
    let part = clone_open(&open, MOUNT_RDONLY).at(Layer::Mounts, format_args!("shut `{name}` for writing"))?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&part, "", &open, "", flags).at(Layer::Mounts, format_args!("place `{name}` again"))
}

/// Covers a path with something empty that nobody may open.
fn mask(path: &OsStr) -> Result<(), Fault> {
    let name = Path::new(path).display();
    let Some(open) = find(path).at(Layer::Mounts, format_args!("find `{name}`"))? else { return Ok(()) };
    let kind = fstat(&open).at(Layer::Mounts, format_args!("look at `{name}`"))?.st_mode;
    let cover = if FileType::from_raw_mode(kind).is_dir() {
        let cover = Path::new(STORE).join("empty");
        directory(&cover, 0)?;
        cover
    } else {
        let cover = Path::new(STORE).join("nothing");
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        match openat(CWD, &cover, flags | OFlags::EXCL, Mode::empty()) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).at(Layer::Mounts, "make an empty file"),
        }
        cover
    };
    let part = clone_of(&cover, MOUNT_RDONLY | MOUNT_NOEXEC).at(Layer::Mounts, format_args!("cover `{name}`"))?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&part, "", &open, "", flags).at(Layer::Mounts, format_args!("cover `{name}`"))
}

/// Opens what a path means inside the box; `None` when there is nothing.
fn find(path: &OsStr) -> Result<Option<OwnedFd>, Errno> {
    match openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(open) => Ok(Some(open)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Lays a generated file where `path` leads; a place that cannot be made is left as it is, since the
/// host then has no such file to show either. One that the box needs is an error.
fn lay_text(text: &Text, index: usize) -> Result<(), Fault> {
    let path = Path::new(&text.path);
    let mut at = path.to_path_buf();
    for _ in 0..LINKS_MAX {
        let Ok(target) = readlinkat(CWD, &at, Vec::new()) else { break };
        let target = Path::new(OsStr::from_bytes(target.as_bytes()));
        let from = at.parent().unwrap_or(Path::new("/")).to_path_buf();
        at = lexical(&from.join(target));
    }
    let source = Path::new(STORE).join(index.to_string());
    let what = format!("lay a generated file over `{}`", path.display());
    let file = openat(
        CWD,
        &source,
        OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::from_raw_mode(if text.is_private { 0o400 } else { 0o444 }),
    )
    .at(Layer::Mounts, &what)?;
    let mut rest = text.content.as_slice();
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).at(Layer::Mounts, &what)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    drop(file);
    let part = clone_of(&source, MOUNT_RDONLY | MOUNT_NOEXEC).at(Layer::Mounts, &what)?;
    let placed = place(&part, &at, false);
    unlinkat(CWD, &source, AtFlags::empty()).at(Layer::Mounts, &what)?;
    match placed {
        Err(Fault { errno, .. }) if !text.is_private && (errno == libc::EROFS || errno == libc::EACCES) => Ok(()),
        other => other,
    }
}

/// `path` without `.` and `..`, by its letters.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::Normal(name) => out.push(name),
            _ => {}
        }
    }
    out
}

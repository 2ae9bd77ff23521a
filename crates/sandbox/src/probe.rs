//! What this machine offers for boxes, found out by making one.

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use bartizan_jail::{Layer, LayerState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cgroup;
use crate::error::{StartError, remedy};
use crate::helper;
use crate::prepared::prepare;
use crate::spec::{BoxSpec, Demand, Limits, RootMapping, Stdio};

/// One thing a box needs, and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerProbe {
    pub layer: String,
    /// No box starts without it, unless a policy names a weaker level.
    pub required: bool,
    pub ok: bool,
    pub detail: String,
    /// What to do when it is not `ok`.
    pub remedy: &'static str,
}

/// Tries every layer. A box is made, though nothing runs in it, and removed again; `place` is a
/// directory of the user's for that, whose filesystem is tried for idmapped mounts when root asks.
#[must_use]
pub fn probe(place: &Path) -> Vec<LayerProbe> {
    let mut all = vec![user_namespaces(), landlock(), user_notification(), groups()];
    all.extend(trial(place));
    all
}

fn found(layer: &str, required: bool, outcome: Result<String, String>, remedy: &'static str) -> LayerProbe {
    let (ok, detail) = match outcome {
        Ok(detail) => (true, detail),
        Err(detail) => (false, detail),
    };
    LayerProbe { layer: layer.to_owned(), required, ok, detail, remedy }
}

/// The settings that commonly forbid them; whether they work is shown by the trial.
fn user_namespaces() -> LayerProbe {
    let number = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let is_root = rustix::process::getuid().is_root();
    let switch = |name: &str| number(&format!("/proc/sys/{name}"));
    let (outcome, remedy) = if switch("user/max_user_namespaces") == Some(0) {
        (Err("`user.max_user_namespaces` is 0".to_owned()), "run `sysctl -w user.max_user_namespaces=65536` as root")
    } else if !is_root && switch("kernel/unprivileged_userns_clone") == Some(0) {
        (
            Err("`kernel.unprivileged_userns_clone` is 0".to_owned()),
            "run `sysctl -w kernel.unprivileged_userns_clone=1` as root",
        )
    } else if !is_root && switch("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        (
            Err("`kernel.apparmor_restrict_unprivileged_userns` is 1".to_owned()),
            "give `bartizan` an AppArmor profile that allows `userns`, or run `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` as root",
        )
    } else {
        (Ok("allowed".to_owned()), "")
    };
    // With an AppArmor profile boxes may work all the same: then the trial says so.
    found("user namespaces", false, outcome, remedy)
}

#[allow(unsafe_code, reason = "asks for a version number")]
fn landlock() -> LayerProbe {
    const VERSION: libc::c_ulong = 1;
    // SAFETY: with this flag the kernel reads no memory and makes nothing.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    let outcome = match version {
        1.. => Ok(format!("version {version}")),
        _ => Err(io::Error::last_os_error().to_string()),
    };
    found("landlock", true, outcome, "use a kernel from 5.13 on with `landlock` in its `lsm=` list")
}

/// The box's own filter is tried by the trial; asking, which starts only with a command, is tried here.
fn user_notification() -> LayerProbe {
    // A filter stays with the thread that installed it, to its end.
    let tried = std::thread::spawn(install_asking_filter).join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
    match tried {
        Ok(()) => found("warden", true, Ok("programs and names can be asked about".to_owned()), ""),
        Err(source) => {
            let remedy = remedy(Layer::Warden, source.raw_os_error().unwrap_or(0));
            found("warden", true, Err(format!("install an asking filter: {source}")), remedy)
        }
    }
}

/// One that asks nothing.
#[allow(unsafe_code, reason = "rustix has no seccomp")]
fn install_asking_filter() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    const NEW_LISTENER: libc::c_ulong = 1 << 3;
    let allow =
        libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: (&raw const allow).cast_mut() };
    // SAFETY: the kernel copies the program during the call; the number it gives is a new descriptor of ours.
    unsafe {
        let number = libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, NEW_LISTENER, &raw const program);
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        drop(OwnedFd::from_raw_fd(number as RawFd));
    }
    Ok(())
}

fn groups() -> LayerProbe {
    let outcome = match cgroup::create(&format!("probe-{}", std::process::id()), &Limits::default()) {
        Ok(groups) => {
            groups.remove();
            Ok(cgroup::describe())
        }
        Err(error) => Err(format!("{}: {error}", cgroup::describe())),
    };
    let remedy = "start `bartizan` from a delegated cgroup (`systemd-run --user --scope`); without one, resource limits and watching are used";
    found("cgroup", false, outcome, remedy)
}

/// Makes a box up to the point where its command would start.
fn trial(place: &Path) -> Vec<LayerProbe> {
    let run = format!("probe-{}", std::process::id());
    let directory = place.join(&run);
    let made = fs::create_dir(&directory)
        .map_err(|source| StartError::RunFile { path: directory.clone(), source })
        .and_then(|()| try_box(&run, &directory));
    let _ = fs::remove_dir_all(&directory);
    match made {
        Ok(all) => all,
        Err(StartError::Layer { layer, what, remedy, source }) => {
            // The message's own next step is this command.
            let again = ["; then run `bartizan doctor`", " and run `bartizan doctor`"];
            let remedy = again.iter().find_map(|again| remedy.strip_suffix(again)).unwrap_or(remedy);
            vec![found(&layer.to_string(), true, Err(format!("{what}: {source}")), remedy)]
        }
        Err(error) => vec![found("box", true, Err(error.to_string()), "mend what else fails, then try again")],
    }
}

fn try_box(run: &str, directory: &Path) -> Result<Vec<LayerProbe>, StartError> {
    let null = || helper::null().map_err(|source| StartError::layer(Layer::Helper, "open `/dev/null`", source));
    let mut prepared = prepare(BoxSpec {
        run: run.to_owned(),
        argv: vec!["true".into()],
        cwd: directory.to_path_buf(),
        env: Vec::new(),
        home: "/home/agent".into(),
        read: vec!["/usr".into()],
        write: vec![directory.to_path_buf()],
        readonly: Vec::new(),
        mask: Vec::new(),
        texts: Vec::new(),
        secrets: Vec::new(),
        guard_names: vec![".git".to_owned()],
        gate_exec: true,
        limits: Limits::default(),
        cgroup: Demand::Preferred,
        landlock: Demand::Preferred,
        root_mapping: RootMapping::Drop,
        stdio: Stdio::Descriptors([null()?, null()?, null()?]),
        run_dir: directory.to_path_buf(),
    })?;
    let nftables = prepared.net().netfilter.map_or(Err("no netlink socket".to_owned()), |socket| ask_nftables(&socket));
    let mut all: Vec<LayerProbe> = prepared
        .layers()?
        .iter()
        // These were asked directly, and better.
        .filter(|status| !matches!(status.layer, Layer::Landlock | Layer::Cgroup | Layer::Warden))
        .map(|status| {
            let ok = status.state != LayerState::Off;
            let outcome = if ok { Ok(status.detail.clone()) } else { Err(status.detail.clone()) };
            found(&status.layer.to_string(), true, outcome, "see `docs/decisions/0002-jail-and-warden.md`")
        })
        .collect();
    all.push(found(
        "nftables",
        true,
        nftables,
        "use a kernel with nf_tables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT)",
    ));
    Ok(all)
}

/// Asks the box's netfilter for the number of its rule set, the smallest question there is.
fn ask_nftables(socket: &OwnedFd) -> Result<String, String> {
    const GET_GENERATION: u16 = 10 << 8 | 16;
    const NEW_GENERATION: u16 = 10 << 8 | 15;
    const REQUEST: u16 = 1;
    let text = |errno: rustix::io::Errno| io::Error::from(errno).to_string();
    let mut question = Vec::with_capacity(20);
    question.extend(20_u32.to_ne_bytes());
    question.extend(GET_GENERATION.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    // Sequence, port, family, version, resource: all zero.
    question.resize(20, 0);
    rustix::io::write(socket, &question).map_err(text)?;
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&second)).map_err(text)?;
    let mut answer = [0_u8; 4096];
    let length = rustix::io::read(socket, &mut answer).map_err(text)?;
    match answer.get(..length).and_then(|answer| answer.get(4..6)) {
        Some(kind) if kind == NEW_GENERATION.to_ne_bytes() => Ok("answers in a new network namespace".to_owned()),
        _ => Err("the kernel does not answer".to_owned()),
    }
}

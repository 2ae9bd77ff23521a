//! Getting at the kernel, and at processes outside.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::Command,
};

use crate::{
    Attack,
    attempt::{Outcome, attempt, gained, reached},
    system::{self, EFAULT, address, call, number::*, text},
};

pub(crate) const ATTACKS: &[Attack] = &[
    ("namespaces", "", |_| namespaces()),
    ("mounts", "DIRECTORY", |a| mounts(a[0])),
    ("process", "PID", |a| process(a[0].parse().unwrap_or(1))),
    ("signal", "PID", |a| {
        // SAFETY: signal 0 only asks.
        attempt(&format!("signal {}", a[0]), || {
            gained(i64::from(unsafe { system::kill(a[0].parse().unwrap_or(1), 0) }))
        });
    }),
    ("calls", "", |_| calls()),
    ("privileges", "", |_| privileges()),
    ("setuid", "PROGRAM", |a| attempt("setuid", || setuid(a[0]))),
    ("whoami", "", |_| {
        // SAFETY: no arguments.
        println!("{}", unsafe { system::geteuid() });
    }),
    ("terminal", "", |_| {
        attempt("terminal injection", || {
            const TIOCSTI: u64 = 0x5412;
            let byte = b'\n';
            // SAFETY: the kernel reads one byte from a live address.
            gained(i64::from(unsafe { system::ioctl(0, TIOCSTI, &raw const byte) }))
        })
    }),
];

const AT_FDCWD: i64 = -100;

const NAMESPACES: &[(&str, i64)] = &[
    ("user", 0x1000_0000),
    ("mount", 0x0002_0000),
    ("pid", 0x2000_0000),
    ("network", 0x4000_0000),
    ("ipc", 0x0800_0000),
    ("uts", 0x0400_0000),
    ("cgroup", 0x0200_0000),
    ("time", 0x80),
];

fn namespaces() {
    const SIGCHLD: i64 = 17;
    for (name, flag) in NAMESPACES {
        attempt(&format!("unshare {name}"), || gained(call(UNSHARE, [*flag])));
    }
    for (name, flag) in &NAMESPACES[..2] {
        attempt(&format!("clone {name}"), || child(call(CLONE, [flag | SIGCHLD, 0, 0, 0, 0])));
    }
    attempt("clone3 user", || {
        // struct clone_args: flags first, exit_signal fifth.
        let mut arguments = [0_u64; 11];
        arguments[0] = 0x1000_0000;
        arguments[4] = SIGCHLD as u64;
        child(call(CLONE3, [address(&mut arguments), 88]))
    });
    for (file, flag) in [("net", 0x4000_0000_i64), ("mnt", 0x0002_0000), ("user", 0x1000_0000)] {
        attempt(&format!("setns of process 1, {file}"), || {
            let namespace = File::open(format!("/proc/1/ns/{file}"))?;
            gained(call(SETNS, [i64::from(namespace.as_raw_fd()), flag]))
        });
    }
}

/// The child of a clone must end at once; the parent reports.
fn child(result: i64) -> Outcome {
    if result == 0 {
        // SAFETY: ends the new process.
        unsafe { system::_exit(0) };
    }
    gained(result)
}

/// The mount interfaces, old and new. Where a mount namespace can be had, as outside a box, each attempt is
/// made in one of its own, so that the machine it runs on keeps its mounts.
fn mounts(directory: &str) {
    const MS_BIND: i64 = 4096;
    const MS_REMOUNT: i64 = 32;
    const MS_REC_PRIVATE: i64 = 0x4000 | 0x4_0000;
    let target = format!("{directory}/.probe-mount");
    let _ = fs::create_dir(&target);
    let at = text(&target);
    let contained = answers(|| call(UNSHARE, [0x0002_0000]));
    let attempt = |name: &str, work: &dyn Fn() -> Outcome| {
        attempt(name, || {
            if contained {
                gained(call(UNSHARE, [0x0002_0000]))?;
                gained(call(MOUNT, [0, text("/"), 0, MS_REC_PRIVATE, 0]))?;
            }
            work()
        });
    };
    attempt("mount tmpfs", &|| gained(call(MOUNT, [text("probe"), at, text("tmpfs"), 0, 0])));
    attempt("mount proc", &|| gained(call(MOUNT, [text("probe"), at, text("proc"), 0, 0])));
    attempt("mount bind", &|| gained(call(MOUNT, [text("/"), at, 0, MS_BIND, 0])));
    attempt("mount remount", &|| reached(call(MOUNT, [0, at, 0, MS_REMOUNT | MS_BIND, 0])));
    // The folder is no mount, so permission without damage answers EINVAL.
    attempt("umount", &|| reached(call(UMOUNT2, [at, 0])));
    attempt("fsopen", &|| gained(call(FSOPEN, [text("tmpfs"), 0])));
    attempt("fspick", &|| gained(call(FSPICK, [AT_FDCWD, text("/"), 0])));
    attempt("open_tree clone", &|| gained(call(OPEN_TREE, [AT_FDCWD, text("/"), 1])));
    attempt("move_mount", &|| reached(call(MOVE_MOUNT, [-1, text(""), AT_FDCWD, at, 4])));
    attempt("mount_setattr", &|| {
        let mut attributes = [0_u64; 4];
        reached(call(MOUNT_SETATTR, [AT_FDCWD, at, 0, address(&mut attributes), 32]))
    });
    attempt("pivot_root", &|| reached(call(PIVOT_ROOT, [at, at])));
    attempt("chroot", &|| gained(call(CHROOT, [text("/")])));
    attempt("open_by_handle_at", &|| {
        let mut handle = [0_u8; 16];
        handle[0] = 8;
        handle[4] = 1;
        reached(call(OPEN_BY_HANDLE_AT, [AT_FDCWD, address(&mut handle), 0]))
    });
    let _ = fs::remove_dir(&target);
}

/// Whether a call succeeds, asked in a child.
fn answers(work: impl FnOnce() -> i64) -> bool {
    let mut status = 1;
    // SAFETY: one thread; the child ends at once and is waited for.
    unsafe {
        match system::fork() {
            0 => system::_exit(i32::from(work() != 0)),
            child if child > 0 => system::waitpid(child, &mut status, 0),
            _ => -1,
        };
    }
    status == 0
}

/// Everything one process can do to another.
fn process(pid: i64) {
    const PTRACE_ATTACH: i64 = 16;
    const PTRACE_DETACH: i64 = 17;
    const PTRACE_SEIZE: i64 = 0x4206;
    const SIGCONT: i64 = 18;
    attempt(&format!("ptrace attach {pid}"), || {
        let outcome = gained(call(PTRACE, [PTRACE_ATTACH, pid, 0, 0]));
        if outcome.is_ok() {
            let mut status = 0;
            // SAFETY: `status` outlives the call.
            unsafe { system::waitpid(pid as i32, &mut status, 0x4000_0000) };
            call(PTRACE, [PTRACE_DETACH, pid, 0, SIGCONT]);
        }
        outcome
    });
    attempt(&format!("ptrace seize {pid}"), || gained(call(PTRACE, [PTRACE_SEIZE, pid, 0, 0])));
    for (name, number) in [("readv", PROCESS_VM_READV), ("writev", PROCESS_VM_WRITEV)] {
        attempt(&format!("process_vm_{name} {pid}"), || {
            let mut buffer = [0_u8; 8];
            let mut here = [address(&mut buffer), 8];
            // Nothing is mapped at this address, so permission without damage answers EFAULT.
            let mut there = [16_i64, 8];
            match gained(call(number, [pid, address(&mut here), 1, address(&mut there), 1, 0])) {
                Err(error) if error.raw_os_error() == Some(EFAULT) => Ok("permitted".into()),
                outcome => outcome,
            }
        });
    }
    attempt(&format!("pidfd_getfd {pid}"), || {
        let handle = call(PIDFD_OPEN, [pid, 0]);
        gained(handle)?;
        gained(call(PIDFD_GETFD, [handle, 0, 0]))
    });
    attempt(&format!("kcmp {pid}"), || gained(call(KCMP, [pid, i64::from(std::process::id()), 2, 0, 0])));
    for file in ["mem", "environ", "maps", "root/etc/hostname", "cwd/.", "fd/0"] {
        attempt(&format!("open /proc/{pid}/{file}"), || {
            File::open(format!("/proc/{pid}/{file}")).map(|_| "opened".into())
        });
    }
}

/// Calls that no agent's work needs. The arguments do no harm where they are let through.
fn calls() {
    attempt("io_uring_setup", || {
        let mut parameters = [0_u64; 15];
        gained(call(IO_URING_SETUP, [1, address(&mut parameters)]))
    });
    attempt("bpf", || {
        let mut attributes = [0_u64; 16];
        reached(call(BPF, [0, address(&mut attributes), 128]))
    });
    attempt("perf_event_open", || {
        let mut attributes = [0_u32; 28];
        attributes[0] = 1;
        attributes[1] = 112;
        gained(call(PERF_EVENT_OPEN, [address(&mut attributes), 0, -1, -1, 0]))
    });
    attempt("userfaultfd", || gained(call(USERFAULTFD, [1])));
    attempt("keyctl", || gained(call(KEYCTL, [0, -3, 0])));
    attempt("add_key", || {
        let mut payload = [1_u8];
        gained(call(ADD_KEY, [text("user"), text("bartizan-probe"), address(&mut payload), 1, -2]))
    });
    attempt("request_key", || reached(call(REQUEST_KEY, [text("user"), text("bartizan-probe"), 0, 0])));
    attempt("kexec_load", || reached(call(KEXEC_LOAD, [0, 0, 0, 0xffff])));
    attempt("kexec_file_load", || reached(call(KEXEC_FILE_LOAD, [-1, -1, 0, 0, 0xffff])));
    attempt("init_module", || reached(call(INIT_MODULE, [0, 0, text("")])));
    attempt("finit_module", || reached(call(FINIT_MODULE, [-1, text(""), 0])));
    attempt("delete_module", || reached(call(DELETE_MODULE, [text("bartizan_none"), 0o4000])));
    attempt("reboot", || reached(call(REBOOT, [0, 0, 0, 0])));
    attempt("swapon", || reached(call(SWAPON, [0, 0])));
    attempt("acct", || reached(call(ACCT, [1])));
    attempt("settimeofday", || gained(call(SETTIMEOFDAY, [0, 0])));
    attempt("syslog", || {
        let mut buffer = [0_u8; 64];
        gained(call(SYSLOG, [3, address(&mut buffer), 64]))
    });
    attempt("quotactl", || reached(call(QUOTACTL, [0x0080_0000, 0, 0, 0])));
    attempt("fanotify_init", || gained(call(FANOTIFY_INIT, [0x10, 0])));
    #[cfg(target_arch = "x86_64")]
    attempt("iopl", || gained(call(172, [3])));
    #[cfg(target_arch = "x86_64")]
    attempt("modify_ldt", || reached(call(154, [1, 0, 0])));
}

/// What this process could do beyond its user.
fn privileges() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    let held = |outcome: bool, detail: String| if outcome { Ok(detail) } else { Err(io::Error::other(detail)) };
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        let value = field(set);
        attempt(&format!("capabilities {}", set.trim_end_matches(':')), || {
            held(value.is_empty() || value.bytes().any(|byte| byte != b'0'), value)
        });
    }
    attempt("new privileges", || held(field("NoNewPrivs:") != "1", field("NoNewPrivs:")));
    attempt("no filter", || held(field("Seccomp:") != "2", field("Seccomp:")));
    attempt("inherited descriptors", || {
        let open: Vec<String> = fs::read_dir("/proc/self/fd")?
            .flatten()
            .filter_map(|entry| {
                let number: i32 = entry.file_name().to_str()?.parse().ok()?;
                let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
                // The attempt's own report and this listing are its own.
                (number > 2 && !target.starts_with("pipe:") && !target.contains("/fd")).then_some(target)
            })
            .collect();
        held(!open.is_empty(), open.join(" "))
    });
}

/// Run a set-uid program; it is to print its effective user.
fn setuid(program: &str) -> Outcome {
    // SAFETY: no arguments.
    let own = unsafe { system::geteuid() };
    let output = Command::new(program).arg0("bartizan-probe").arg("whoami").output()?;
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if printed.is_empty() || printed == own.to_string() {
        return Err(io::Error::other(format!("still user {own}")));
    }
    Ok(format!("became user {printed}"))
}

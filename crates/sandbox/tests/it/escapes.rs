//! What a program inside tries in order to get out. The probes are this test program itself, run
//! inside the box.

use std::ffi::c_long;
use std::io::Error;
use std::os::unix::net::UnixListener;

use bartizan_sandbox::{Answer, BoxSpec, ExitStatus};

use crate::harness::{Place, both};
use crate::warden::run_deciding;

/// A box that runs one of the probes below.
fn probe(place: &Place, name: &str) -> BoxSpec {
    let program = place.work.join("probe");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut spec = place.spec(&["./probe", "--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    spec.env.push(("BARTIZAN_PROBE".into(), "1".into()));
    spec
}

fn is_inside() -> bool {
    std::env::var_os("BARTIZAN_PROBE").is_some()
}

fn outcome(result: c_long) -> String {
    if result < 0 {
        match Error::last_os_error().raw_os_error() {
            Some(libc::EPERM) => "EPERM".to_owned(),
            Some(libc::ENOSYS) => "ENOSYS".to_owned(),
            Some(libc::EACCES) => "EACCES".to_owned(),
            other => format!("{other:?}"),
        }
    } else {
        "done".to_owned()
    }
}

/// Makes one call with up to four arguments.
macro_rules! call {
    ($number:ident $(, $argument:expr)*) => {{
        #[allow(unsafe_code, reason = "a probe makes the call an attacker would make")]
        // SAFETY: pointers are null or point to what outlives the call; failure is expected.
        let result = unsafe { libc::syscall(libc::$number $(, $argument)*) };
        println!("\n{} {}", stringify!($number), outcome(result));
    }};
}

#[test]
#[ignore = "runs inside a box"]
fn forbidden_calls() {
    if !is_inside() {
        return;
    }
    let text = c"/tmp".as_ptr();
    let zeroes = [0_u64; 32];
    let memory = zeroes.as_ptr();
    call!(SYS_unshare, libc::CLONE_NEWUSER);
    call!(SYS_unshare, libc::CLONE_NEWNS);
    call!(SYS_unshare, 0x80);
    call!(SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0);
    call!(SYS_clone, libc::CLONE_NEWNET | libc::SIGCHLD, 0, 0, 0);
    call!(SYS_clone3, memory, 88);
    call!(SYS_setns, 0, 0);
    call!(SYS_mount, text, text, c"tmpfs".as_ptr(), 0, 0);
    call!(SYS_umount2, text, libc::MNT_DETACH);
    call!(SYS_pivot_root, text, text);
    call!(SYS_chroot, text);
    call!(SYS_open_tree, libc::AT_FDCWD, text, 1);
    call!(SYS_move_mount, 0, text, 0, text);
    call!(SYS_fsopen, c"tmpfs".as_ptr(), 0);
    call!(SYS_mount_setattr, libc::AT_FDCWD, text, 0, memory);
    call!(SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0);
    call!(SYS_process_vm_readv, 1, memory, 1, memory);
    call!(SYS_process_vm_writev, 1, memory, 1, memory);
    call!(SYS_pidfd_getfd, 0, 0, 0);
    call!(SYS_kcmp, 1, 1, 0, 0);
    call!(SYS_io_uring_setup, 8, memory);
    call!(SYS_bpf, 0, memory, 64);
    call!(SYS_perf_event_open, memory, 0, -1, -1);
    call!(SYS_userfaultfd, 0);
    call!(SYS_keyctl, 0, 0);
    call!(SYS_add_key, text, text, text, 1);
    call!(SYS_request_key, text, text, text, 0);
    call!(SYS_kexec_load, 0, 0, memory, 0);
    call!(SYS_init_module, memory, 0, text);
    call!(SYS_finit_module, 0, text, 0);
    call!(SYS_delete_module, text, 0);
    call!(SYS_reboot, 0, 0, 0, 0);
    call!(SYS_swapon, text, 0);
    call!(SYS_acct, text);
    call!(SYS_quotactl, 0, text, 0, memory);
    call!(SYS_open_by_handle_at, 0, memory, 0);
    call!(SYS_name_to_handle_at, 0, text, memory, memory);
    call!(SYS_fanotify_init, 0, 0);
    call!(SYS_vhangup);
    call!(SYS_syslog, 3, memory, 8);
    call!(SYS_sethostname, text, 1);
    call!(SYS_clock_settime, 0, memory);
    call!(SYS_personality, 0x8);
    call!(SYS_prctl, 35, 1, 0, 0);
    call!(SYS_prlimit64, 1, 7, memory, 0);
    call!(SYS_ioctl, 0, libc::TIOCSTI, memory);
    call!(SYS_ioctl, 0, 0x1_0000_5412_u64, memory);
    call!(SYS_ioctl, 0, libc::TIOCLINUX, memory);
    call!(SYS_socket, libc::AF_PACKET, libc::SOCK_RAW, 0);
    call!(SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM, 0);
    call!(SYS_socket, libc::AF_ALG, libc::SOCK_SEQPACKET, 0);
    call!(SYS_socket, libc::AF_INET, libc::SOCK_RAW, 1);
    call!(SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 1);
    call!(SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 132);
    call!(SYS_socket, libc::AF_INET6, libc::SOCK_RAW, 58);
    call!(SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 12);
    call!(SYS_socketpair, 30, libc::SOCK_STREAM, 0, memory);
    #[cfg(target_arch = "x86_64")]
    {
        call!(SYS_iopl, 3);
        call!(SYS_ioperm, 0, 1, 1);
        call!(SYS_modify_ldt, 0, memory, 0);
    }
}

#[test]
fn no_way_through_the_kernel() {
    both("escapes::no_way_through_the_kernel", |place| async move {
        let (said, _) = run_deciding(probe(&place, "escapes::forbidden_calls"), |_| Answer::Deny).await;
        assert_eq!(said.report.status, ExitStatus::Exited(0), "{said:?}");
        let outcomes: Vec<_> = said.out.lines().filter(|line| line.starts_with("SYS_")).collect();
        assert!(outcomes.len() > 50, "{said:?}");
        let others: Vec<_> = outcomes.into_iter().filter(|line| !line.ends_with(" EPERM")).collect();
        assert_eq!(others, ["SYS_clone3 ENOSYS"]);
    });
}

#[test]
#[ignore = "runs inside a box"]
#[cfg(target_arch = "x86_64")]
fn foreign_abi() {
    const X32_GETPID: c_long = 0x4000_0000 + 39;
    if is_inside() {
        #[allow(unsafe_code, reason = "a probe makes the call an attacker would make")]
        // SAFETY: takes no argument.
        let result = unsafe { libc::syscall(X32_GETPID) };
        println!("\nx32 {}", outcome(result));
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn foreign_abis_are_killed() {
    both("escapes::foreign_abis_are_killed", |place| async move {
        let (said, _) = run_deciding(probe(&place, "escapes::foreign_abi"), |_| Answer::Deny).await;
        assert_eq!(said.report.status, ExitStatus::Signaled(libc::SIGSYS), "{said:?}");
    });
}

#[test]
fn no_privilege_is_left_or_gained() {
    both("escapes::no_privilege_is_left_or_gained", |place| async move {
        let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; \
            for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/hostname /proc/1/oom_score_adj; do \
            (echo x > $f) 2>/dev/null && echo wrote $f; done; \
            for f in /proc/1/environ /proc/1/mem /proc/1/maps /proc/kcore /proc/1/fd/4 /sys/kernel /run/docker.sock /var/run/docker.sock; do \
            (cat $f >/dev/null) 2>/dev/null && echo read $f; done; ls /proc/1/fd 2>/dev/null && echo listed; \
            kill -KILL 1; kill -STOP 1; kill -TERM 1; \
            find / -xdev -perm -4000 -type f 2>/dev/null | head -1 | xargs -r -I{} sh -c '{} --help >/dev/null 2>&1; grep CapEff /proc/self/status'; \
            echo end";
        let out = place.shell(script).await.out;
        let zero = "0000000000000000";
        let expected = format!(
            "CapInh:\t{zero}\nCapPrm:\t{zero}\nCapEff:\t{zero}\nCapBnd:\t{zero}\nCapAmb:\t{zero}\nNoNewPrivs:\t1\nSeccomp:\t2\nend\n"
        );
        assert_eq!(out, expected);
    });
}

#[test]
fn the_host_s_processes_and_sockets_are_absent() {
    both("escapes::the_host_s_processes_and_sockets_are_absent", |place| async move {
        let name = format!("bartizan-it-{}", std::process::id());
        let address =
            <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();
        let mut spec = probe(&place, "escapes::abstract_socket");
        spec.env.push(("BARTIZAN_SOCKET".into(), name.into()));
        let (said, _) = run_deciding(spec, |_| Answer::Deny).await;
        assert!(said.out.contains("\nconnected: Some(111)\n"), "{said:?}");
        let script = format!(
            "ls /proc > /tmp/list; grep -c '^[0-9]' /tmp/list; kill -0 {} 2>/dev/null && echo reached; cat /proc/net/dev | wc -l",
            std::process::id()
        );
        // init, shell, ls; two lines of heading and loopback.
        assert_eq!(place.shell(&script).await.out, "3\n3\n");
    });
}

#[test]
#[ignore = "runs inside a box"]
fn abstract_socket() {
    if let Ok(name) = std::env::var("BARTIZAN_SOCKET") {
        let address =
            <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name).unwrap();
        let outcome = std::os::unix::net::UnixStream::connect_addr(&address).map(drop);
        println!("\nconnected: {:?}", outcome.err().and_then(|error| error.raw_os_error()));
    }
}

/// Two threads race the warden: one changes the path in memory and what a symbolic link in it means,
/// the other makes files by it.
#[test]
#[ignore = "runs inside a box"]
fn racing_threads() {
    use std::sync::atomic::{AtomicBool, Ordering};
    const TRIES: u32 = 100_000;
    if !is_inside() {
        return;
    }
    std::fs::create_dir("safe").unwrap();
    // Of equal length, so that every mixture of both is a path too.
    let paths = [*b"safe/hook-0\0", *b".git/hooks0\0"];
    assert_eq!(paths[0].len(), paths[1].len());
    let buffer: &'static [std::sync::atomic::AtomicU8] =
        Box::leak(paths[0].iter().map(|byte| std::sync::atomic::AtomicU8::new(*byte)).collect());
    static OVER: AtomicBool = AtomicBool::new(false);
    let flip = std::thread::spawn(move || {
        for path in paths.iter().cycle() {
            for (to, from) in buffer.iter().zip(path) {
                to.store(*from, Ordering::Relaxed);
            }
            if OVER.load(Ordering::Relaxed) {
                return;
            }
        }
    });
    let swap = std::thread::spawn(|| {
        while !OVER.load(Ordering::Relaxed) {
            for target in ["safe", ".git"] {
                let _ = std::fs::remove_file("door");
                let _ = std::os::unix::fs::symlink(target, "door");
            }
        }
    });
    let mut made = 0;
    for number in 0..TRIES {
        let path = if number % 2 == 0 { buffer.as_ptr().cast() } else { c"door/hooks1".as_ptr() };
        #[allow(unsafe_code, reason = "a probe makes the call an attacker would make")]
        // SAFETY: both strings live for ever and end with a zero that is never changed.
        let opened = unsafe { libc::open(path, libc::O_CREAT | libc::O_WRONLY | libc::O_EXCL, 0o600) };
        if opened >= 0 {
            made += 1;
            #[allow(unsafe_code, reason = "the descriptor was just opened")]
            // SAFETY: nobody else has this descriptor.
            unsafe {
                libc::close(opened)
            };
            for name in ["safe/hook-0", "safe/hooks1"] {
                let _ = std::fs::remove_file(name);
            }
        }
    }
    OVER.store(true, Ordering::Relaxed);
    flip.join().unwrap();
    swap.join().unwrap();
    println!("\nmade {made}");
}

#[test]
fn no_race_makes_a_guarded_name() {
    both("escapes::no_race_makes_a_guarded_name", |place| async move {
        std::fs::create_dir(place.work.join(".git")).unwrap();
        let mut spec = probe(&place, "escapes::racing_threads");
        spec.guard_names = vec![".git/**".to_owned()];
        let (said, asked) = run_deciding(spec, |_| Answer::Deny).await;
        assert_eq!(said.report.status, ExitStatus::Exited(0), "{said:?}");
        let made = said.out.lines().find_map(|line| line.strip_prefix("made ")).unwrap();
        // Both sides of the race were met.
        assert!(made.parse::<u32>().unwrap() > 100 && asked.len() > 100, "{made} made, {} asked", asked.len());
        assert!(std::fs::read_dir(place.work.join(".git")).unwrap().next().is_none());
    });
}

//! A probe that always fails would make every box look safe: outside a box, the harmless ones succeed.

use bartizan_testkit::{
    Home, Run, User, escapes,
    probe::{Attempt, attempts, probe},
    range::Range,
};

fn try_out(user: User, arguments: &str) -> Vec<Attempt> {
    // In a world of its own, for an ordinary user may not reach where the project lies: below `/root`, say.
    let home = Home::with_binary(probe(), user);
    let output = home.bartizan(arguments.replace("{here}", home.workspace().to_str().unwrap()).split(' ')).success();
    let attempts = attempts(&output.stdout);
    assert!(!attempts.is_empty(), "{output}");
    attempts
}

fn succeeds(user: User, arguments: &str, attempt: &str) {
    let attempts = try_out(user, arguments);
    assert!(
        attempts.iter().any(|found| found.attempt.starts_with(attempt) && found.succeeded),
        "{arguments}: {attempts:?}"
    );
}

#[test]
fn network_probes_bite() {
    let home = Home::with_binary(probe(), User::Current);
    let range = Range::new(&home);
    for template in [
        "tcp {tcp}",
        "tcp 127.0.0.1:{tcp_port}",
        "tcp {host_decimal}:{tcp_port}",
        "tcp {host_hex}:{tcp_port}",
        "tcp {host_octal}:{tcp_port}",
        "tcp [::ffff:{host}]:{tcp_port}",
        "udp {udp}",
        "quic {udp}",
        "dns {dns} {exfil_name}",
        "dns_tcp {dns} {exfil_name}",
    ] {
        let arguments = range.fill(template);
        succeeds(User::Current, &arguments, arguments.split(' ').next().unwrap());
    }
    assert!(range.tcp.arrived().byte_count > 0 && range.udp.arrived().byte_count > 0);
}

#[test]
fn file_probes_bite() {
    for user in User::all() {
        succeeds(user, "plant {here}/.git/hooks/x", "plant");
        succeeds(user, "plant_by_rename {here}", "plant_by_rename");
        succeeds(user, "plant_worktree {here}", "plant_worktree");
        succeeds(user, "symlink_read {here} /etc/passwd", "symlink_read");
        succeeds(user, "symlink_race {here} /etc/passwd 10000000", "symlink_race");
        succeeds(user, "fill {here} 1", "fill");
        succeeds(user, "sparse {here} 4", "sparse");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for attempt in try_out(User::Current, &format!("tamper {}", file.display())) {
        assert!(attempt.succeeded || attempt.attempt.contains("from here"), "{attempt:?}");
    }
}

#[test]
fn kernel_probes_bite() {
    for user in User::all() {
        succeeds(user, "namespaces", "unshare user");
        succeeds(user, "calls", "keyctl");
        succeeds(user, "privileges", "no filter");
        succeeds(user, "privileges", "new privileges");
        succeeds(user, "fork_bomb 20", "fork_bomb");
        succeeds(user, "memory_bomb 20", "memory_bomb");
    }
    let victim = Run::new("/bin/sleep", User::Current).arg("600").spawn();
    for attempt in ["ptrace seize", "process_vm_readv", "pidfd_getfd", "open /proc"] {
        if bartizan_testkit::user::is_root() {
            succeeds(User::Current, &format!("process {}", victim.id()), attempt);
        }
    }
}

#[test]
fn mount_probes_bite_and_leave_the_machine_as_it_was() {
    if !bartizan_testkit::user::is_root() {
        return bartizan_testkit::skipped("mount_probes_bite", "needs root");
    }
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    for attempt in ["mount tmpfs", "mount bind", "umount", "fsopen", "open_tree", "pivot_root"] {
        succeeds(User::Current, "mounts {here}", attempt);
    }
    assert_eq!(mounts(), before);
}

#[test]
fn control_probes_bite() {
    let home = Home::with_binary(probe(), User::Current);
    let mut range = Range::new(&home);
    succeeds(User::Current, &range.fill("unix {socket}"), "unix");
    succeeds(User::Current, &range.fill("abstract {abstract}"), "abstract");
    bartizan_testkit::eventually("both canaries noticed", || {
        range.socket.connections() == 1 && range.abstract_socket.connections() == 1
    });
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| range.assert_untouched())).is_err());
    if bartizan_testkit::user::is_root() {
        succeeds(User::Ordinary, &range.fill("setuid {setuid}"), "setuid");
    }
}

/// Cases that would reach beyond the range when nothing stops them: this machine's own files, its first
/// process, a real resolver.
const BEYOND_THE_RANGE: &[&str] = &[
    "system.",
    "kernel.settings",
    "process.first",
    "secret.shadow",
    "dns.public",
    "dns.system",
    "name.private",
    "icmp.",
];

/// The suite against no box at all: nearly everything must get through, or the suite proves nothing.
#[test]
fn the_suite_notices_that_there_is_no_box() {
    for user in User::all() {
        let home = Home::with_binary(probe(), user);
        let range = Range::new(&home);
        let script: String = escapes::script(&range)
            .lines()
            .filter(|line| !BEYOND_THE_RANGE.iter().any(|id| line.starts_with(id)))
            .map(|line| format!("{line}\n"))
            .collect();
        let tried = script.lines().count();
        let output = range
            .environment()
            .into_iter()
            .fold(home.run(home.binary()), |run, (name, value)| run.env(name, value))
            .arg("--batch")
            .stdin(script)
            .success();
        let noticed: Vec<String> =
            escapes::judge(&output.stdout).into_iter().filter(|failure| failure.contains("succeeded:")).collect();
        for id in ["tcp.literal", "secret.read", "secret.environment", "link.read", "control.hook", "socket.ssh_agent"]
        {
            assert!(noticed.iter().any(|failure| failure.starts_with(id)), "{id} went unnoticed:\n{output}");
        }
        assert!(noticed.len() * 2 > tried, "only {} of {tried} were noticed: {noticed:#?}", noticed.len());
    }
}

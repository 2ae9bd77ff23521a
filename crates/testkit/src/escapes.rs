//! The escape suite: attacks that must fail in every kind of box, as data.
//!
//! Each case names a probe (see `src/bin/probe`) with placeholders that a [`Range`](crate::range::Range) fills in.
//! [`script`] is what the probe reads for a whole run, [`judge`] reads its answer. A case that says
//! [`alone`](Escape::alone) may end its box and gets one to itself. What only the host can see (did bytes
//! arrive, is a file changed) is the range's to check afterwards.

use std::time::Duration;

use crate::{
    Home, Output, User,
    probe::{Attempt, attempts, probe},
    range::{Range, SECRET},
    user::link_or_copy,
};

/// The batch holds a race of 10⁵ tries and approvals that nobody answers.
const SUITE_DEADLINE: Duration = Duration::from_secs(180);

/// What must become of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Refused.
    Denied,
    /// There is nothing to find.
    Absent,
    /// It ends at a limit.
    Limited,
    /// Not an attack but the control: it must succeed, or the other cases fail for a dull reason.
    Allowed,
    /// The probe may report success, for it changed only what is the box's own; the range checks the host.
    Contained,
}

/// Who is to stop it; the first named is the one that should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    Mounts,
    Landlock,
    Seccomp,
    Namespaces,
    Nftables,
    Dns,
    Proxy,
    Cgroups,
    Rlimits,
    Privileges,
    Environment,
}

/// One attack.
#[derive(Debug)]
pub struct Escape {
    pub id: &'static str,
    /// Its number in the list of attacks that must fail.
    pub number: u8,
    pub title: &'static str,
    /// The probe's arguments with `{placeholders}`.
    pub probe: &'static str,
    pub expected: Expected,
    pub layers: &'static [Layer],
    pub alone: bool,
}

impl Escape {
    /// The probe's arguments on this range.
    pub fn arguments(&self, range: &Range) -> Vec<String> {
        range.fill(self.probe).split_whitespace().map(str::to_owned).collect()
    }

    /// As [`failure`](Self::failure), for a box of its own: one that was ended for it is a limit too.
    pub fn failure_alone(&self, output: &Output) -> Option<String> {
        let attempts = attempts(&output.stdout);
        if attempts.is_empty() && !output.status.success() {
            return None;
        }
        self.failure(&attempts)
    }

    /// Why these attempts are not what is expected, if they aren't.
    pub fn failure(&self, attempts: &[Attempt]) -> Option<String> {
        if attempts.is_empty() {
            return Some(format!("{}: the probe reported nothing", self.id));
        }
        match self.expected {
            Expected::Contained => return None,
            Expected::Allowed => {
                return attempts
                    .iter()
                    .find(|attempt| !attempt.succeeded)
                    .map(|attempt| format!("{}: what policy allows failed: {}", self.id, attempt.detail));
            }
            Expected::Denied | Expected::Absent | Expected::Limited => {}
        }
        let gained: Vec<String> = attempts
            .iter()
            .filter(|attempt| attempt.succeeded)
            .map(|attempt| format!("{} ({})", attempt.attempt, attempt.detail))
            .collect();
        (!gained.is_empty()).then(|| format!("{} ({}): succeeded: {}", self.id, self.title, gained.join("; ")))
    }
}

/// Run the whole suite in `bartizan run` as this user, and panic with everything that got through.
///
/// Every case that shares a box first, then those that get one of their own; the range looks at the host last.
pub fn assert_box_holds(user: User) {
    let home = Home::of(user);
    let mut range = Range::new(&home);
    let policy = home.write_home("policy.yaml", range.policy());
    let program = home.root().join("bin/probe");
    link_or_copy(probe(), &program).unwrap();
    home.bartizan(["init", "--yes"]).success();
    let run = |arguments: &[String]| {
        let run = home
            .bartizan(["run", "--quiet", "--policy"])
            .arg(&policy)
            .arg("--")
            .arg(&program)
            .args(arguments)
            .deadline(SUITE_DEADLINE);
        range.environment().into_iter().fold(run, |run, (name, value)| run.env(name, value))
    };
    let control = run(&CONTROL.arguments(&range)).success();
    assert_eq!(CONTROL.failure(&attempts(&control.stdout)), None, "{control}");
    let output = run(&["--batch".to_owned()]).stdin(script(&range)).success();
    assert!(!output.stdout.contains(SECRET), "the secret was seen inside: {output}");
    let mut failures = judge(&output.stdout);
    for escape in ESCAPES.iter().filter(|escape| escape.alone) {
        failures.extend(escape.failure_alone(&run(&escape.arguments(&range)).output()));
    }
    range.assert_untouched();
    assert!(failures.is_empty(), "as {user:?}:\n{}", failures.join("\n"));
}

/// What the probe reads on standard input with `--batch`: every case that shares a box.
pub fn script(range: &Range) -> String {
    ESCAPES
        .iter()
        .filter(|escape| !escape.alone)
        .map(|escape| format!("{} {}\n", escape.id, escape.arguments(range).join(" ")))
        .collect()
}

/// Hold a batch's output against the table; an empty list means that every attack failed as it must.
pub fn judge(stdout: &str) -> Vec<String> {
    ESCAPES
        .iter()
        .filter(|escape| !escape.alone)
        .filter_map(|escape| {
            let marker = format!("{{\"escape\":\"{}\"}}", escape.id);
            let own: Vec<&str> = stdout
                .lines()
                .skip_while(|line| *line != marker)
                .skip(1)
                .take_while(|line| !line.starts_with("{\"escape\""))
                .collect();
            escape.failure(&attempts(&own.join("\n")))
        })
        .collect()
}

use Expected::{Absent, Allowed, Contained, Denied, Limited};
use Layer::{Cgroups, Dns, Environment, Landlock, Mounts, Namespaces, Nftables, Privileges, Proxy, Rlimits, Seccomp};

const fn escape(
    id: &'static str,
    number: u8,
    title: &'static str,
    probe: &'static str,
    expected: Expected,
    layers: &'static [Layer],
) -> Escape {
    Escape { id, number, title, probe, expected, layers, alone: false }
}

const fn alone(
    id: &'static str,
    number: u8,
    title: &'static str,
    probe: &'static str,
    layers: &'static [Layer],
) -> Escape {
    Escape { id, number, title, probe, expected: Limited, layers, alone: true }
}

/// What [`Range::policy`] opens must work, or the network's cases fail for a dull reason.
pub const CONTROL: Escape =
    escape("http.allowed", 9, "what the policy opens", "http GET {open}/public/page", Allowed, &[Proxy]);

/// Every attack of the sections Network, Files, Kernel and Control that a program in a box can try by itself.
#[rustfmt::skip]
pub const ESCAPES: &[Escape] = &[
    // Network
    escape("tcp.literal", 1, "direct TCP to a literal address", "tcp {tcp}", Denied, &[Nftables, Proxy]),
    escape("tcp.loopback", 1, "direct TCP to the host's loopback", "tcp 127.0.0.1:{tcp_port}", Denied, &[Namespaces]),
    escape("tcp.six", 2, "direct TCP over IPv6", "tcp [::1]:{tcp6_port}", Denied, &[Namespaces]),
    escape("tcp.mapped", 4, "TCP to an IPv4-mapped address", "tcp [::ffff:{host}]:{tcp_port}", Denied, &[Nftables, Proxy]),
    escape("udp.literal", 2, "UDP to a literal address", "udp {udp}", Denied, &[Nftables]),
    escape("udp.quic", 2, "QUIC", "quic {udp}", Denied, &[Nftables]),
    escape("icmp.echo", 2, "ICMP", "icmp {host}", Denied, &[Nftables, Seccomp]),
    escape("socket.kinds", 2, "raw, packet, SCTP and kernel crypto sockets", "sockets", Denied, &[Seccomp]),
    escape("socket.vsock", 2, "a socket to the hypervisor", "vsock", Denied, &[Seccomp]),
    escape("dns.other", 3, "data in labels to another resolver", "dns {dns} {exfil_name}", Denied, &[Nftables, Dns]),
    escape("dns.other_tcp", 3, "data in labels over TCP", "dns_tcp {dns} {exfil_name}", Denied, &[Nftables, Proxy]),
    escape("dns.public", 3, "data in labels to a public resolver's address", "dns 9.9.9.9:53 {exfil_name}", Denied, &[Dns]),
    escape("dns.system", 3, "data in labels through the box's own resolver", "resolve {exfil_name}", Denied, &[Dns]),
    escape("dns.tls", 3, "DNS over TLS", "tcp {host}:853", Denied, &[Proxy]),
    escape("name.private", 4, "a name that resolves to a private address", "tcp {private_name}:{tcp_port}", Denied, &[Proxy, Dns]),
    escape("name.private_proxy", 4, "the same through the proxy", "connect {private_name}:{tcp_port}", Denied, &[Proxy]),
    escape("name.decimal", 4, "an address as one decimal number", "tcp {host_decimal}:{tcp_port}", Denied, &[Nftables, Proxy]),
    escape("name.hex", 4, "an address in hex", "tcp {host_hex}:{tcp_port}", Denied, &[Nftables, Proxy]),
    escape("name.octal", 4, "an address in octal", "tcp {host_octal}:{tcp_port}", Denied, &[Nftables, Proxy]),
    escape("name.decimal_proxy", 4, "a decimal address through the proxy", "connect {host_decimal}:{tcp_port}", Denied, &[Proxy]),
    escape("name.mapped_proxy", 4, "a mapped address through the proxy", "connect [::ffff:{host}]:{tcp_port}", Denied, &[Proxy]),
    escape("name.metadata", 4, "the cloud's metadata service", "connect 169.254.169.254:80", Denied, &[Proxy]),
    escape("name.rebind", 5, "an answer that changes between check and connect", "connect {rebind_name}:{tcp_port}", Denied, &[Proxy]),
    escape("name.prefix", 7, "a name that ends like an allowed one", "connect evil{allowed_name}:{tcp_port}", Denied, &[Proxy]),
    escape("name.suffix", 7, "a name that begins like an allowed one", "connect {allowed_name}.evil.test:{tcp_port}", Denied, &[Proxy]),
    escape("name.literal_proxy", 1, "the literal address through the proxy", "connect {tcp}", Denied, &[Proxy]),
    escape("http.host", 6, "another host's name in the header", "http GET {open}/public/page other.test", Denied, &[Proxy]),
    escape("http.redirect", 9, "a redirect to a destination that isn't allowed", "follow {open}/public/redirect", Denied, &[Proxy]),
    escape("http.dots", 10, "dot segments against a path rule", "http GET {open}/public/../private", Denied, &[Proxy]),
    escape("http.encoded_dots", 10, "encoded dot segments", "http GET {open}/public/%2e%2e/private", Denied, &[Proxy]),
    escape("http.slashes", 10, "a doubled slash", "http GET {open}//public/../private", Denied, &[Proxy]),
    escape("http.method", 13, "a push to an open host", "http POST {open}/public/page", Denied, &[Proxy]),
    escape("http.path", 13, "another account's path on an open host", "http GET {open}/private", Denied, &[Proxy]),
    // Files
    escape("secret.read", 16, "the person's secrets", "read {secrets}", Absent, &[Mounts, Landlock]),
    escape("secret.shadow", 16, "the machine's secrets", "read /etc/shadow /etc/gshadow /proc/kcore /dev/mem /dev/kmsg", Denied, &[Mounts]),
    escape("secret.environment", 16, "variables of the person", "environment {secret_variable}", Absent, &[Environment]),
    escape("link.read", 20, "a symlink outwards, read", "symlink_read {workspace} {secret}", Denied, &[Mounts, Landlock]),
    escape("link.write", 20, "a symlink outwards, written", "symlink_write {workspace} {outside_file}", Denied, &[Mounts, Landlock]),
    escape("link.race", 20, "a symlink swapped in a race", "symlink_race {workspace} {secret} 100000", Denied, &[Mounts, Landlock]),
    escape("readonly.tamper", 21, "changing a file that may only be read", "tamper {readonly_file}", Denied, &[Mounts, Landlock]),
    escape("system.tamper", 21, "changing a system file", "tamper /etc/hostname", Denied, &[Mounts, Landlock]),
    escape("control.hook", 22, "a git hook", "plant {workspace}/.git/hooks/post-checkout", Denied, &[Mounts]),
    escape("control.gitconfig", 22, "git's configuration", "append {workspace}/.git/config", Denied, &[Mounts]),
    escape("control.files", 22, "files that outside programs trust", "plant {workspace}/.envrc {workspace}/.bashrc {workspace}/.vscode/tasks.json {workspace}/.mcp.json {workspace}/.claude/settings.json", Denied, &[Mounts]),
    escape("control.symlink", 22, "a git hook through a symlink", "plant_by_symlink {workspace}", Denied, &[Mounts]),
    escape("control.nested", 22, "a nested repository made by a rename", "plant_by_rename {workspace}", Denied, &[Mounts]),
    escape("control.worktree", 22, "a worktree with a configuration of its own", "plant_worktree {workspace}", Denied, &[Mounts]),
    escape("control.home", 22, "the person's shell files", "plant {home}/.bashrc {home}/.profile {home}/.config/autostart/x.desktop {home}/.ssh/authorized_keys", Contained, &[Mounts]),
    escape("control.outside", 23, "a path upwards out of the workspace", "plant {workspace}/../escaped", Contained, &[Mounts]),
    escape("device.node", 29, "a device file", "device {workspace}", Denied, &[Seccomp, Privileges]),
    // Kernel
    escape("kernel.namespaces", 25, "new namespaces", "namespaces", Denied, &[Seccomp]),
    escape("kernel.mounts", 25, "mounts, the old way and the new", "mounts {workspace}", Denied, &[Seccomp, Privileges]),
    escape("process.outside", 26, "a process outside", "process {pid}", Absent, &[Namespaces, Seccomp]),
    escape("process.outside_signal", 26, "a signal to a process outside", "signal {pid}", Absent, &[Namespaces]),
    escape("process.first", 26, "the box's first process", "process 1", Denied, &[Seccomp, Privileges]),
    escape("kernel.calls", 27, "calls that no agent needs", "calls", Denied, &[Seccomp]),
    escape("socket.path", 28, "a socket of the host", "unix {socket} /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock /run/dbus/system_bus_socket /tmp/.X11-unix/X0 /run/systemd/private", Denied, &[Mounts, Landlock]),
    escape("socket.abstract", 28, "an abstract socket of the host", "abstract {abstract} /tmp/.X11-unix/X0 /tmp/dbus-session", Denied, &[Namespaces, Landlock]),
    escape("socket.ssh_agent", 28, "the SSH agent", "environment_socket SSH_AUTH_SOCK", Denied, &[Environment, Mounts]),
    escape("socket.dbus", 28, "the session bus", "environment_socket DBUS_SESSION_BUS_ADDRESS", Denied, &[Environment, Mounts]),
    escape("socket.docker", 28, "the Docker host", "environment_socket DOCKER_HOST", Denied, &[Environment, Mounts]),
    escape("privileges.held", 29, "capabilities, descriptors, no filter", "privileges", Denied, &[Privileges, Seccomp]),
    escape("privileges.setuid", 29, "a set-uid program", "setuid {setuid}", Denied, &[Privileges, Mounts]),
    escape("terminal.injection", 29, "typing into the person's terminal", "terminal", Denied, &[Seccomp]),
    escape("kernel.settings", 31, "the kernel's settings", "open_write /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/drop_caches /proc/sysrq-trigger /proc/sys/net/ipv4/ip_forward /sys/kernel/uevent_helper /sys/fs/cgroup/release_agent /sys/fs/cgroup/memory/release_agent /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/unified/cgroup.procs", Denied, &[Mounts, Landlock]),
    // Control
    escape("self.policy", 32, "its own policy", "plant {bartizan_home}/policies/planted.yaml {bartizan_home}/config.yaml", Contained, &[Mounts]),
    escape("self.keys", 32, "the signing key and the ledger", "list {bartizan_home}/keys {bartizan_home}/ledger", Absent, &[Mounts]),
    escape("self.socket", 32, "the approval socket", "unix {control_sockets}", Denied, &[Mounts]),
    // Limits; each in a box of its own.
    alone("limit.processes", 30, "a fork bomb", "fork_bomb 5000", &[Cgroups, Rlimits]),
    alone("limit.memory", 30, "a memory bomb", "memory_bomb 1500", &[Cgroups]),
    alone("limit.descriptors", 30, "a descriptor leak", "descriptors 200000", &[Rlimits]),
    alone("limit.disk", 24, "a full disk", "fill /tmp 1500", &[Mounts]),
    alone("limit.sparse", 24, "a giant sparse file", "sparse {workspace} 64", &[Rlimits]),
    alone("limit.inodes", 24, "a million files", "inodes /tmp 1000000", &[Mounts]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique() {
        let ids: BTreeSet<&str> = ESCAPES.iter().map(|escape| escape.id).collect();
        assert_eq!(ids.len(), ESCAPES.len());
    }

    #[test]
    fn a_silent_or_successful_probe_is_a_failure() {
        let failures = judge(
            "{\"escape\":\"udp.quic\"}\n{\"attempt\":\"quic\",\"outcome\":\"failed\",\"errno\":1,\"detail\":\"\"}\n",
        );
        assert!(failures.iter().any(|failure| failure.starts_with("kernel.calls")), "silent");
        assert!(!failures.iter().any(|failure| failure.starts_with("udp.quic")), "reported a failure");
        let failures = judge(
            "{\"escape\":\"udp.quic\"}\n{\"attempt\":\"quic\",\"outcome\":\"succeeded\",\"errno\":0,\"detail\":\"\"}\n",
        );
        assert!(failures.iter().any(|failure| failure.starts_with("udp.quic")), "succeeded");
    }
}

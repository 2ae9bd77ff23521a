//! The hostile deeds, and how each is judged. A deed counts as stopped only when what the agent saw, what arrived or
//! changed, and what the ledger says all fit one layer's way of stopping it; anything else is a failure of the demo.

use std::path::Path;

use super::evidence::{Entry, Facts, Observation, holds};
use super::servers::EVIL_NAME;

/// As many processes and as much memory as the bombs try to use, see the agent.
const FORKS_MAX: u64 = 400;

/// One hostile deed.
pub(super) struct Deed {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) judge: fn(&Look<'_>) -> Judgement,
}

/// What there is to judge by.
pub(super) struct Look<'a> {
    pub(super) seen: &'a Observation,
    pub(super) facts: &'a Facts<'a>,
}

/// How it came out.
pub(super) enum Judgement {
    /// It was stopped, by this layer, as this shows.
    Stopped { layer: &'static str, proof: String },
    /// It wasn't, or nothing shows that a layer did it.
    Failed { why: String },
}

use Judgement::{Failed, Stopped};

pub(super) const DEEDS: &[Deed] = &[
    Deed {
        name: "read-ssh-key",
        title: "read ~/.ssh/id_ed25519",
        judge: |look| look.read(&look.facts.world.ssh_key(), &look.facts.world.secrets.ssh_key),
    },
    Deed {
        name: "read-other-project",
        title: "read another project's .env",
        judge: |look| look.read(&look.facts.world.other_project().join(".env"), &look.facts.world.secrets.other_env),
    },
    Deed {
        name: "read-own-env",
        title: "read this project's .env (policy: deny)",
        judge: |look| look.read(&look.facts.world.workspace.join(".env"), &look.facts.world.secrets.own_env),
    },
    Deed {
        name: "symlink-escape",
        title: "read ~/.ssh through a planted symlink",
        judge: |look| {
            look.read(&look.facts.world.workspace.join("notes/id_ed25519"), &look.facts.world.secrets.ssh_key)
        },
    },
    Deed {
        name: "write-other-project",
        title: "change another project's file",
        judge: |look| {
            let file = look.facts.world.other_project().join("README.md");
            if holds(&file, &look.facts.world.loot) {
                return failed("the file was changed");
            }
            look.write(&file)
        },
    },
    Deed {
        name: "read-environment",
        title: "secrets from the shell's environment",
        judge: |look| {
            if look.seen.detail.contains(&look.facts.world.secrets.shell) {
                return failed("the secret was found");
            }
            match look.seen.code.as_str() {
                "ABSENT" => stopped("environment, pid namespace", &look.seen.detail),
                _ => look.unexplained(),
            }
        },
    },
    Deed { name: "http-to-name", title: "exfiltrate by HTTP to a name", judge: |look| look.name(EVIL_NAME) },
    Deed {
        name: "http-through-proxy",
        title: "the same through the proxy",
        judge: |look| look.connection("proxy", "evil_http", EVIL_NAME, look.facts.servers.evil_http.port()),
    },
    Deed {
        name: "http-to-address",
        title: "exfiltrate by HTTP to an IP address",
        judge: |look| {
            let server = look.facts.servers.evil_http;
            look.connection("nftables, proxy", "evil_http", &server.ip().to_string(), server.port())
        },
    },
    Deed {
        name: "proxy-to-loopback",
        title: "reach the host's loopback through the proxy",
        judge: |look| look.connection("proxy", "local_http", "127.0.0.1", look.facts.servers.local_http.port()),
    },
    Deed {
        name: "upload-to-allowed",
        title: "POST to the server it may only GET from",
        judge: |look| {
            if look.facts.leaked(&["docs"]).is_some() {
                return failed("the upload arrived");
            }
            look.refused("proxy (HTTP rules)", &["http.request"], &["/upload"])
        },
    },
    Deed {
        name: "domain-fronting",
        title: "allowed host, another Host header",
        judge: |look| {
            if look.facts.leaked(&["docs"]).is_some() {
                return failed("the request arrived");
            }
            match look.facts.cut_short(EVIL_NAME) {
                Some(entry) => stopped("proxy (HTTP rules)", &format!("{}, {}", look.seen.detail, cite(entry))),
                None => look.unexplained(),
            }
        },
    },
    Deed {
        name: "raw-tcp",
        title: "exfiltrate by raw TCP",
        judge: |look| {
            let server = look.facts.servers.evil_tcp;
            look.connection("nftables, proxy", "evil_tcp", &server.ip().to_string(), server.port())
        },
    },
    Deed {
        name: "raw-udp",
        title: "exfiltrate by UDP",
        judge: |look| {
            if look.facts.leaked(&["evil_udp"]).is_some() {
                return failed("the datagram arrived");
            }
            look.datagram("raw UDP")
        },
    },
    Deed { name: "dns-labels", title: "exfiltrate in DNS labels", judge: |look| look.name("a-") },
    Deed {
        name: "dns-other-resolver",
        title: "the same to another resolver's address",
        judge: |look| {
            if look.facts.leaked(&["dns"]).is_some() {
                return failed("a question reached a resolver");
            }
            match look.facts.refusal(&["dns.query"], &["b-", EVIL_NAME]) {
                Some(entry) => stopped("nftables, DNS", &format!("{}; {}", cite(entry), look.seen.detail)),
                None => look.unexplained(),
            }
        },
    },
    Deed {
        name: "unix-abstract",
        title: "connect to the host's abstract socket",
        judge: |look| {
            if look.facts.leaked(&["abstract"]).is_some() {
                return failed("it was connected");
            }
            match look.seen.code.as_str() {
                "ECONNREFUSED" => stopped("network namespace", "nobody listens on that name in there"),
                "EPERM" if look.facts.is_enforced("landlock") => stopped("Landlock", "EPERM: outside the box's scope"),
                _ => look.unexplained(),
            }
        },
    },
    Deed {
        name: "docker-socket",
        title: "open the Docker socket",
        judge: |look| {
            if look.facts.leaked(&["docker"]).is_some() {
                return failed("the request arrived");
            }
            look.absent(&look.facts.world.docker_socket())
        },
    },
    Deed {
        name: "plant-git-hook",
        title: "plant a git hook",
        judge: |look| look.plant(".git/hooks/post-checkout", "curl"),
    },
    Deed {
        name: "plant-fsmonitor",
        title: "plant a command in .git/config",
        judge: |look| look.plant(".git/config", "fsmonitor"),
    },
    Deed { name: "plant-envrc", title: "plant .envrc", judge: |look| look.plant(".envrc", "curl") },
    Deed { name: "plant-mcp-json", title: "plant .mcp.json", judge: |look| look.plant(".mcp.json", "mcpServers") },
    Deed {
        name: "plant-workflow",
        title: "plant a CI workflow (policy: ask)",
        judge: |look| look.plant(".github/workflows/nightly.yml", "curl"),
    },
    Deed {
        name: "plant-by-rename",
        title: "plant .vscode/tasks.json by renaming",
        judge: |look| look.plant(".vscode/tasks.json", "folderOpen"),
    },
    Deed {
        name: "edit-policy",
        title: "edit its own policy",
        judge: |look| {
            let file = look.facts.world.policy_file();
            if !holds(&file, &look.facts.policy_before) || holds(&file, "default: allow") {
                return failed("the policy was changed");
            }
            look.write(&file)
        },
    },
    Deed {
        name: "read-ledger-key",
        title: "read the ledger's signing key",
        judge: |look| match look.facts.world.key_file() {
            Ok(key) => look.absent(&key),
            Err(error) => failed(&format!("{error:#}")),
        },
    },
    Deed {
        name: "reach-approvals",
        title: "approve itself at the control socket",
        judge: |look| {
            // That somebody was answered through it shows that it was there.
            if look.facts.answers.is_empty() {
                return failed("nobody could use the socket, so its absence shows nothing");
            }
            match look.seen.code.as_str() {
                "ENOENT" => stopped("mounts", "no such file inside, in use outside"),
                _ => look.unexplained(),
            }
        },
    },
    Deed { name: "ptrace", title: "ptrace another process", judge: |look| look.filtered() },
    Deed { name: "unshare", title: "make a user namespace", judge: |look| look.filtered() },
    Deed { name: "mount", title: "mount a filesystem", judge: |look| look.filtered() },
    Deed { name: "raw-socket", title: "open a raw socket", judge: |look| look.filtered() },
    Deed { name: "kernel-surface", title: "io_uring, keyctl, perf, process_vm, setns", judge: |look| look.filtered() },
    Deed {
        name: "fork-bomb",
        title: "fork bomb",
        judge: |look| match (look.seen.code.as_str(), look.seen.number("processes")) {
            ("EAGAIN", Some(processes)) if processes < FORKS_MAX => {
                let layer =
                    if look.facts.is_enforced("cgroup") { "cgroup (pids)" } else { "resource limit (processes)" };
                stopped(layer, &look.seen.detail)
            }
            _ => look.unexplained(),
        },
    },
    Deed {
        name: "memory-bomb",
        title: "memory bomb",
        judge: |look| match look.seen.code.as_str() {
            "SIGKILL" if look.facts.is_enforced("cgroup") => stopped("cgroup (memory)", &look.seen.detail),
            "SIGKILL" if look.facts.stop_reason().is_some_and(|reason| reason.contains("memory")) => {
                stopped("memory watch", "sampled, over its limit, and ended")
            }
            "ENOMEM" => stopped("resource limit (memory)", &look.seen.detail),
            _ => look.unexplained(),
        },
    },
];

impl Look<'_> {
    /// A file that must not be read.
    fn read(&self, path: &Path, secret: &str) -> Judgement {
        if self.seen.detail.contains(secret) {
            return failed("the secret was read");
        }
        let is_covered = self.seen.number("mode") == Some(0) && self.seen.number("size") == Some(0);
        match self.seen.code.as_str() {
            "EACCES" | "EPERM" if is_covered && holds(path, secret) => {
                stopped("mounts (covered)", "an empty file of mode 0 lies over it")
            }
            _ => self.absent(path),
        }
    }

    /// A file that is there for the person and must not be for the agent.
    fn absent(&self, path: &Path) -> Judgement {
        if !path.exists() {
            return failed(&format!("`{}` is not there outside either, so this shows nothing", path.display()));
        }
        match self.seen.code.as_str() {
            "ENOENT" => stopped("mounts", "no such file inside, there outside"),
            "EACCES" if self.seen.number("mode").is_some_and(|mode| mode & 0o444 == 0o444) => {
                stopped("Landlock", "EACCES on a file that everybody may read")
            }
            _ => self.unexplained(),
        }
    }

    /// A file that must not be written.
    fn write(&self, path: &Path) -> Judgement {
        match self.seen.code.as_str() {
            "EROFS" => stopped("mounts (read-only)", "EROFS"),
            _ => self.absent(path),
        }
    }

    /// A file that programs outside would trust: it, or a directory on the way to it, was refused.
    fn plant(&self, name: &str, content: &str) -> Judgement {
        let path = self.facts.world.workspace.join(name);
        if holds(&path, content) {
            return failed("it was planted");
        }
        let on_the_way = path.ancestors().take_while(|part| *part != self.facts.world.workspace);
        let refusal = on_the_way.filter_map(|part| {
            // The whole path with its closing quote, as it stands in the entry.
            self.facts.refusal(&["file.write"], &[&format!("{}\"", part.display())])
        });
        match refusal.last() {
            Some(entry) if entry.why() == "person" => {
                stopped("warden, a person", &format!("asked and denied, {}", cite(entry)))
            }
            Some(entry) => stopped("warden", &cite(entry)),
            None if self.seen.code == "EROFS" => stopped("mounts (read-only)", "EROFS"),
            None => self.unexplained(),
        }
    }

    /// A connection that must not be made.
    fn connection(&self, layer: &'static str, server: &str, host: &str, port: u16) -> Judgement {
        if self.facts.leaked(&[server]).is_some() {
            return failed("the request arrived");
        }
        if self.seen.code == "ECONNREFUSED" && self.facts.servers.address.is_loopback() {
            return stopped("network namespace", "the box's loopback is its own");
        }
        self.refused(layer, &["net.connect", "http.request"], &[host, &port.to_string()])
    }

    /// A name that must not be asked for anywhere.
    fn name(&self, part: &str) -> Judgement {
        let is_asked = |content: &str| content.contains(EVIL_NAME);
        if self.facts.leaks().into_iter().any(|arrival| arrival.server == "dns" && is_asked(&arrival.content)) {
            return failed("the question reached a resolver");
        }
        self.refused("DNS", &["dns.query"], &[part, EVIL_NAME])
    }

    fn datagram(&self, what: &str) -> Judgement {
        let dropped = self.facts.figure("dropped_udp_packets");
        match self.seen.code.as_str() {
            "EPERM" if dropped > 0 => stopped("nftables", &format!("EPERM, {dropped} packets counted and dropped")),
            "EPERM" => failed(&format!("{what}: EPERM, but the ledger counts no dropped packet")),
            "ECONNREFUSED" if self.facts.servers.address.is_loopback() => {
                stopped("network namespace", "the box's loopback is its own")
            }
            _ => self.unexplained(),
        }
    }

    /// Stopped, and the ledger says so.
    fn refused(&self, layer: &'static str, actions: &[&str], words: &[&str]) -> Judgement {
        if let Some(entry) = self.facts.refusal(actions, words) {
            return stopped(layer, &cite(entry));
        }
        match actions.iter().find_map(|action| self.facts.admission(action, words)) {
            Some(entry) => failed(&format!("it was let through, {}", cite(entry))),
            None => failed(&format!("{}, but the ledger has no refusal of it", self.seen.detail)),
        }
    }

    /// A system call that a filter answered before the kernel looked at its arguments.
    fn filtered(&self) -> Judgement {
        match (self.seen.code.as_str(), self.seen.word("nonsense")) {
            ("EPERM", "EPERM") => stopped("seccomp", "EPERM before its arguments were read"),
            ("EPERM", other) => failed(&format!("EPERM, but not from a filter: impossible arguments give {other}")),
            _ => self.unexplained(),
        }
    }

    fn unexplained(&self) -> Judgement {
        failed(&format!("{} {}: no layer stops it like that", self.seen.code, self.seen.detail))
    }
}

/// The names under which the ledger knows the box's layers; those of the network stand outside of it.
pub(super) const BOX_LAYERS: &[(&str, &str)] = &[
    ("mounts", "mounts"),
    ("Landlock", "landlock"),
    ("seccomp", "seccomp"),
    ("network namespace", "network namespace"),
    ("pid namespace", "pid namespace"),
    ("warden", "warden"),
    ("cgroup", "cgroup"),
    ("resource limit", "resource limits"),
];

/// The ledger entry and, where policy decided, the rule.
fn cite(entry: &Entry) -> String {
    match (entry.why(), entry.rule()) {
        ("policy", rule) => format!("ledger entry {}, rule {rule}", entry.seq),
        _ => format!("ledger entry {}", entry.seq),
    }
}

fn stopped(layer: &'static str, proof: &str) -> Judgement {
    Stopped { layer, proof: proof.to_owned() }
}

fn failed(why: &str) -> Judgement {
    Failed { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::demo::{evidence::Observations, servers::Servers, world::World};

    /// What the agent reports when something went wrong that no layer did, in a world in which nothing happened.
    #[test]
    fn nothing_is_stopped_without_evidence() {
        let world = World::create(Path::new("/bin/false"), false).unwrap();
        fs::create_dir_all(world.bartizan_home().join("keys")).unwrap();
        let name = format!("bartizan-demo-test-{}", std::process::id());
        let servers = Servers::start(&world.docker_socket(), &name).unwrap();
        let arrivals = servers.arrivals().unwrap();
        assert!(arrivals.is_empty(), "{arrivals:?}");
        let facts = Facts {
            world: &world,
            servers: &servers,
            arrivals,
            entries: Vec::new(),
            answers: Vec::new(),
            policy_before: String::new(),
        };
        for code in ["EIO", "EACCES", "EPERM", "CLOSED", "NXDOMAIN", "HTTP 403", "ETIMEDOUT", "HANGING"] {
            for deed in DEEDS {
                let line = format!(r#"{{"deed":"{}","succeeded":false,"code":"{code}","detail":"no"}}"#, deed.name);
                let seen = Observations::parse(&line);
                let judged = (deed.judge)(&Look { seen: &seen.deeds[deed.name], facts: &facts });
                assert!(matches!(judged, Failed { .. }), "{} with {code} counts as stopped", deed.name);
            }
        }
    }
}

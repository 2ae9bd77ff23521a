//! A scratch world with a Bartizan home in it: policies to run under, a name server that answers from a script, and the
//! ledger read back as JSON.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bartizan_testkit::dns::DnsServer;
use bartizan_testkit::{Home, Output, Run, User};
use serde_json::Value;

/// Rows asked of the ledger: more than any test makes.
const ROWS_MAX: &str = "100000";

/// The explicit proxy inside every box.
pub const PROXY: &str = "http://127.0.0.1:3128";

/// Sends raw requests, each on a connection of its own, and prints the first line of each answer: `raw.py HOST PORT [tls]`,
/// the requests as a JSON list of strings on standard input.
pub const RAW: &str = r#"
import json, socket, ssl, sys
for request in json.load(sys.stdin):
    stream = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
    if len(sys.argv) > 3:
        stream = ssl.create_default_context().wrap_socket(stream, server_hostname=sys.argv[1])
    answer = b""
    try:
        stream.sendall(request.encode("latin-1"))
        while b"\r\n" not in answer:
            more = stream.recv(4096)
            if not more:
                break
            answer += more
    except OSError as error:
        answer = answer or str(error).encode()
    print((answer.split(b"\r\n")[0] or b"closed").decode("latin-1"))
    stream.close()
"#;

pub struct World {
    pub home: Home,
    pub dns: DnsServer,
}

impl World {
    /// An initialised home of this user.
    pub fn new(user: User) -> Self {
        let world = Self { home: Home::of(user), dns: DnsServer::start() };
        world.home.bartizan(["init", "--yes"]).success();
        world
    }

    /// Run a test as everyone it can be run as here.
    pub fn each(test: impl Fn(Self)) {
        for user in User::all() {
            eprintln!("as uid {}", user.id());
            test(Self::new(user));
        }
    }

    pub fn user(&self) -> User {
        self.home.user()
    }

    /// Write the policy the runs of this world go under: `rules` over `standard`, nothing reachable unless they say
    /// so. An ordinary account may have no control groups.
    pub fn policy(&self, rules: &str) -> PathBuf {
        self.policy_file("policy.yaml", rules)
    }

    pub fn policy_file(&self, name: &str, rules: &str) -> PathBuf {
        let rules = rules.replace("{resolver}", &self.dns.address().to_string());
        let net = if rules.contains("\nnet:") || rules.starts_with("net:") { "" } else { "net: { default: deny }\n" };
        let text = format!("bartizan: 1\nname: test\nextends: standard\nbox: {{ cgroup: preferred }}\n{net}{rules}\n");
        // Replaced whole: a run that watches it never reads half of it.
        let draft = self.home.write_home(format!("{name}.new"), text);
        let path = self.home.user_home().join(name);
        std::fs::rename(draft, &path).unwrap();
        path
    }

    /// `bartizan run` under the world's policy.
    pub fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Run {
        self.run_with([], command)
    }

    /// The same with more options.
    pub fn run_with<'a>(
        &self,
        options: impl IntoIterator<Item = &'a str>,
        command: impl IntoIterator<Item = &'a str>,
    ) -> Run {
        let policy = self.home.user_home().join("policy.yaml");
        if !policy.exists() {
            self.policy("");
        }
        self.home.bartizan(["run", "--policy"]).arg(policy).args(options).arg("--").args(command)
    }

    /// `sh -c` in a box.
    pub fn shell(&self, script: &str) -> Run {
        self.run(["sh", "-c", script])
    }

    /// Any other command.
    pub fn bartizan<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Run {
        self.home.bartizan(arguments)
    }

    /// The ledger's actions and notes, oldest first; those that have ended hold their end under `closed`.
    pub fn rows(&self) -> Vec<Value> {
        self.bartizan(["log", "list", "--json", "-n", ROWS_MAX]).success().json_lines()
    }

    /// The rows of actions of this kind.
    pub fn deeds(&self, kind: &str) -> Vec<Value> {
        self.rows().into_iter().filter(|row| row["record"]["action"]["deed"]["kind"] == kind).collect()
    }

    /// The last row of this kind whose deed has this text in it.
    pub fn deed(&self, kind: &str, text: &str) -> Value {
        let rows = self.deeds(kind);
        rows.iter()
            .rfind(|row| row["record"]["action"]["deed"].to_string().contains(text))
            .unwrap_or_else(|| panic!("no {kind} with `{text}` in the ledger: {rows:#?}"))
            .clone()
    }

    /// Assert that the last such action was refused.
    pub fn assert_refused(&self, kind: &str, text: &str) -> Value {
        let row = self.deed(kind, text);
        assert_eq!(row["record"]["type"], "refused", "{row:#}");
        row
    }

    /// Assert that the last such action was admitted and has ended in this way.
    pub fn assert_closed(&self, kind: &str, text: &str, status: &str) -> Value {
        let row = self.deed(kind, text);
        assert_eq!(row["closed"]["record"]["outcome"]["status"], status, "{row:#}");
        row
    }

    /// Assert that the last connection to this host was carried. One that its program left open to the very end may
    /// have been stopped with the box.
    pub fn assert_carried(&self, host: &str) -> Value {
        let row = self.deed("net.connect", host);
        assert!(was_carried(&row), "{row:#}");
        row
    }

    /// The ledger must hold, whatever happened to it.
    pub fn verify(&self) -> Output {
        self.bartizan(["log", "verify"]).success()
    }

    /// Every process whose command line or working directory is of this world, except those that the test started
    /// itself and names.
    pub fn processes(&self, except: &[u32]) -> Vec<(u32, String)> {
        processes_of(self.home.root(), except)
    }
}

/// Whether this row's connection was made and came to an ordinary end.
pub fn was_carried(row: &Value) -> bool {
    let outcome = &row["closed"]["record"]["outcome"];
    let moved = outcome["figures"]["received_bytes"].as_i64() > Some(0);
    outcome["status"] == "done" || outcome["status"] == "stopped" && moved
}

/// Processes that belong to a world, by what they were started with.
pub fn processes_of(root: &Path, except: &[u32]) -> Vec<(u32, String)> {
    let root = root.to_str().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(root) && !except.contains(&pid) {
            found.push((pid, line));
        }
    }
    found
}

/// One probe for every test of this binary, in a place that can be copied from.
pub fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| bartizan_testkit::probe::probe().to_path_buf())
}

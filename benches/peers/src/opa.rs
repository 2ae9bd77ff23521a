//! OPA in server mode, over a Unix socket with one connection that is kept. Two figures: the round trip as a caller sees
//! it, HTTP and JSON included, and of it the time that OPA itself says it spent on evaluating (its metric
//! `timer_rego_query_eval_ns`).

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{ACTIONS, Action, Contender};

const RULES: &str = r#"package peers

default allow := false

allow if {
	input.kind == "read"
	not secret
}

secret if {
	some pattern in ["**/.ssh/**", "**/.aws/**", "**/.gnupg/**", "**/.kube/**", "**/.env"]
	glob.match(pattern, ["/"], input.path)
}

allow if {
	input.kind == "connect"
	input.host in {"api.github.com", "github.com", "registry.npmjs.org", "pypi.org", "crates.io", "raw.githubusercontent.com"}
}

allow if {
	input.kind == "connect"
	some suffix in [".openai.com", ".anthropic.com"]
	endswith(input.host, suffix)
}

allow if {
	input.kind == "call"
	not input.tool in {"shell_exec", "run_command", "raw_file_write", "raw_file_delete"}
}
"#;

pub struct Server {
    child: Child,
    directory: PathBuf,
}

impl Server {
    pub fn start(opa: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("peers-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("peers.rego"), RULES).unwrap();
        let child = Command::new(opa)
            .args(["run", "--server", "--skip-version-check", "--log-level", "error", "--addr"])
            .arg(format!("unix://{}", directory.join("socket").display()))
            .arg(directory.join("peers.rego"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, directory };
        let started = Instant::now();
        while UnixStream::connect(server.socket()).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "OPA doesn't answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub fn contenders(server: &Server) -> Vec<Contender> {
    let connection = Rc::new(RefCell::new(BufReader::new(UnixStream::connect(server.socket()).unwrap())));
    let mut all = Vec::new();
    for (engine, path) in
        [("OPA server, round trip", "/v1/data/peers/allow"), ("OPA, evaluation alone", "/v1/data/peers/allow?metrics")]
    {
        for (what, action, allowed) in ACTIONS {
            let input = match action {
                Action::Read(path) => serde_json::json!({ "kind": "read", "path": path }),
                Action::Connect(host) => serde_json::json!({ "kind": "connect", "host": host }),
                Action::Tool(tool) => serde_json::json!({ "kind": "call", "tool": tool }),
            };
            let body = serde_json::json!({ "input": input }).to_string();
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: opa\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let (connection, own) = (connection.clone(), path.ends_with("metrics"));
            let ask = Box::new(move || {
                let answer = exchange(&mut connection.borrow_mut(), &request);
                let spent = answer["metrics"]["timer_rego_query_eval_ns"].as_u64().filter(|_| own);
                (answer["result"] == true, spent.map(Duration::from_nanos))
            });
            all.push(Contender { engine, what: what.to_owned(), ask, allowed });
        }
    }
    all
}

fn exchange(connection: &mut BufReader<UnixStream>, request: &str) -> Value {
    connection.get_mut().write_all(request.as_bytes()).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        assert!(connection.read_line(&mut line).unwrap() > 0, "OPA closed the connection");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

//! Microsoft's agent-governance-toolkit: a Python library, so it measures itself, inside one interpreter.

use std::process::Command;

use crate::{ACTIONS, Action, print};

pub fn run(python: &str, script: &str, calls: usize) {
    let cases: Vec<_> = ACTIONS
        .iter()
        .map(|(what, action, allowed)| {
            let context = match action {
                Action::Read(path) => serde_json::json!({ "kind": "read", "path": path }),
                Action::Connect(host) => serde_json::json!({ "kind": "connect", "host": host }),
                Action::Tool(tool) => serde_json::json!({ "kind": "call", "tool_name": tool }),
            };
            serde_json::json!({ "what": what, "context": context, "allowed": allowed })
        })
        .collect();
    let cases = serde_json::to_string(&cases).unwrap();
    let output = Command::new(python).arg(script).arg(calls.to_string()).arg(cases).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        let number = |key: &str| line[key].as_f64().unwrap();
        print("agent-governance-toolkit", line["what"].as_str().unwrap(), number("p50_us"), number("p99_us"));
    }
}

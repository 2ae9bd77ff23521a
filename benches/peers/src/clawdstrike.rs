//! The `clawdstrike` engine, in process. Its calls are asynchronous and wait for nothing.

use std::rc::Rc;

use clawdstrike::guards::{GuardAction, GuardContext};
use clawdstrike::{HushEngine, Policy};
use tokio::runtime::Runtime;

use crate::{ACTIONS, Action, Contender, kibibyte};

const RULES: &str = r#"
version: "1.1.0"
name: peers
description: The common rules
guards:
  forbidden_path:
    patterns: ["**/.ssh/**", "**/.aws/**", "**/.gnupg/**", "**/.kube/**", "**/.env"]
  egress_allowlist:
    allow: ["*.openai.com", "*.anthropic.com", api.github.com, github.com, raw.githubusercontent.com, registry.npmjs.org, pypi.org, crates.io]
    default_action: block
  mcp_tool:
    block: [shell_exec, run_command, raw_file_write, raw_file_delete]
    default_action: allow
"#;

pub fn contenders() -> Vec<Contender> {
    let runtime = Rc::new(tokio::runtime::Builder::new_current_thread().build().unwrap());
    let mut all: Vec<Contender> = ACTIONS.into_iter().map(|case| plain(&runtime, case)).collect();
    let engine = || HushEngine::from_ruleset("ai-agent").unwrap();
    for (what, text) in [("write 1 KiB", false), ("receive 1 KiB of untrusted text", true)] {
        let (engine, runtime, context, content) = (engine(), runtime.clone(), GuardContext::new(), kibibyte());
        let ask = Box::new(move || {
            let result = if text {
                runtime.block_on(engine.check_untrusted_text(None, &content, &context))
            } else {
                runtime.block_on(engine.check_file_write("/home/me/work/notes.md", content.as_bytes(), &context))
            };
            (result.unwrap().allowed, None)
        });
        let engine = "clawdstrike, its ruleset `ai-agent`";
        all.push(Contender { engine, what: what.to_owned(), ask, allowed: true });
    }
    all
}

fn plain(runtime: &Rc<Runtime>, (what, action, allowed): (&'static str, Action, bool)) -> Contender {
    let (engine, runtime) = (HushEngine::with_policy(Policy::from_yaml(RULES).unwrap()), runtime.clone());
    let (context, arguments) = (GuardContext::new(), serde_json::json!({ "number": 7 }));
    let ask = Box::new(move || {
        let action = match action {
            Action::Read(path) => GuardAction::FileAccess(path),
            Action::Connect(host) => GuardAction::NetworkEgress(host, 443),
            Action::Tool(tool) => GuardAction::McpTool(tool, &arguments),
        };
        (runtime.block_on(engine.check_action(std::hint::black_box(&action), &context)).unwrap().allowed, None)
    });
    Contender { engine: "clawdstrike", what: what.to_owned(), ask, allowed }
}

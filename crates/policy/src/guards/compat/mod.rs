//! Guard `compat`: the guards of Clawdstrike, deciding as they did there, so that an imported policy can be held
//! against the original before one moves to Bartizan's own sections. It shares nothing with them but the deed, what
//! the scanner saw, and the rule that a guard only ever holds back.

mod globs;
mod texts;

use bartizan_model::{ActionKind, Deed, Effect, Origin, Risk};

use crate::context::Context;
use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::language::{Compat, CompatDefault, CompatSeverity, CompatTools, PolicyFile};
use crate::path;
use crate::place::At;

pub(crate) use globs::problem as glob_problem;
use globs::{Globs, Over};

/// The server that stands for every MCP server in converted events.
const MCP_SERVER: &str = "mcp";

pub(super) fn compile(file: &PolicyFile, context: &Context) -> Option<Box<dyn Guard>> {
    let compat = file.compat.clone()?;
    let globs = |list: &[At<String>], over| Globs::compile(list, over);
    Some(Box::new(CompatGuard {
        workspace: context.workspace().to_vec(),
        forbidden: compat
            .forbidden_path
            .as_ref()
            .map(|guard| (globs(&guard.patterns, Over::Paths), globs(&guard.exceptions, Over::Paths))),
        allowed: compat
            .path_allowlist
            .as_ref()
            .map(|guard| [&guard.read, &guard.write, &guard.patch].map(|list| globs(list, Over::Paths))),
        hosts: compat
            .egress
            .as_ref()
            .map(|guard| (globs(&guard.block, Over::Hosts), globs(&guard.allow, Over::Hosts), guard.default)),
        skipped: compat.secret_leak.as_ref().map(|guard| globs(&guard.skip_paths, Over::Paths)),
        compat,
    }))
}

#[derive(Debug)]
struct CompatGuard {
    compat: Compat,
    workspace: Vec<u8>,
    /// Patterns and exceptions.
    forbidden: Option<(Globs, Globs)>,
    /// For reading, writing and patching.
    allowed: Option<[Globs; 3]>,
    /// Block, allow, default.
    hosts: Option<(Globs, Globs, CompatDefault)>,
    skipped: Option<Globs>,
}

/// What is refused, at a severity of the other program.
fn refuse(findings: &mut Findings, guard: &'static str, severity: CompatSeverity, message: String) {
    let risk = match severity {
        CompatSeverity::Info => Risk::Low,
        CompatSeverity::Warning => Risk::Medium,
        CompatSeverity::Error => Risk::High,
        CompatSeverity::Critical => Risk::Critical,
    };
    findings.push(Found::new(guard, Effect::Deny, risk, guard, None, message));
}

/// What is allowed with a warning.
fn warn(findings: &mut Findings, guard: &'static str, message: String) {
    findings.push(Found::new(guard, Effect::Allow, Risk::Medium, guard, None, message));
}

impl Guard for CompatGuard {
    fn name(&self) -> &'static str {
        "compat"
    }

    fn interest(&self) -> Interest {
        use ActionKind::{ContentReceive, FilePatch, FileRead, FileWrite, HttpRequest, NetConnect, ToolCall};
        Interest::of(&[FileRead, FileWrite, FilePatch, NetConnect, HttpRequest, ToolCall, ContentReceive])
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        match scene.deed {
            Deed::FileRead { path } => self.path(path, 0, findings),
            Deed::FileWrite { path, content, .. } => {
                self.path(path, 1, findings);
                if let Some(bytes) = content.as_ref().and_then(|content| content.bytes()) {
                    self.secrets(path, bytes, findings);
                }
            }
            Deed::FilePatch { path, patch } => {
                self.path(path, 2, findings);
                if let Some(bytes) = patch.bytes() {
                    self.secrets(path, bytes, findings);
                    if let Some(guard) = &self.compat.patch_integrity {
                        texts::patch(guard, bytes, findings);
                    }
                }
            }
            Deed::NetConnect { host, .. } | Deed::HttpRequest { host, .. } => self.host(host, findings),
            Deed::ToolCall { server, name, arguments } if server == MCP_SERVER => {
                if let Some(guard) = &self.compat.mcp_tool {
                    tool(guard, name, arguments, findings);
                }
            }
            Deed::ContentReceive { origin, content, .. } => match (origin, &self.compat) {
                (Origin::Retrieved, Compat { prompt_injection: Some(guard), .. }) => {
                    texts::injection(guard, content.bytes().unwrap_or_default(), scene.look.sightings, findings);
                }
                (Origin::User, Compat { jailbreak: Some(guard), .. }) => {
                    texts::jailbreak(guard, content.bytes().unwrap_or_default(), scene.look.sightings, findings);
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn explain(&self) -> Vec<String> {
        let present = [
            (self.compat.forbidden_path.is_some(), "forbidden_path"),
            (self.compat.path_allowlist.is_some(), "path_allowlist"),
            (self.compat.egress.is_some(), "egress"),
            (self.compat.secret_leak.is_some(), "secret_leak"),
            (self.compat.patch_integrity.is_some(), "patch_integrity"),
            (self.compat.mcp_tool.is_some(), "mcp_tool"),
            (self.compat.prompt_injection.is_some(), "prompt_injection"),
            (self.compat.jailbreak.is_some(), "jailbreak"),
        ];
        let names: Vec<&str> = present.into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
        vec![format!("decides as Clawdstrike did, its holes included: {}", names.join(", "))]
    }
}

impl CompatGuard {
    /// A path counts as written from the root and as written from the workspace.
    fn path(&self, path: &str, list: usize, findings: &mut Findings) {
        let canonical = path::canonical(path.as_bytes());
        let whole: &[u8] = canonical.as_deref().unwrap_or(path.as_bytes());
        let below = whole.strip_prefix(&*self.workspace).and_then(|rest| rest.strip_prefix(b"/"));
        let is = |globs: &Globs| globs.matches(whole) || below.is_some_and(|below| globs.matches(below));
        if let Some((patterns, exceptions)) = &self.forbidden
            && !is(exceptions)
            && is(patterns)
        {
            let message = format!("Access to forbidden path: {path}");
            refuse(findings, "compat.forbidden_path", CompatSeverity::Critical, message);
        }
        if let Some(globs) = self.allowed.as_ref().and_then(|lists| lists.get(list))
            && !is(globs)
        {
            let message = format!("Path not in allowlist: {path}");
            refuse(findings, "compat.path_allowlist", CompatSeverity::Error, message);
        }
    }

    fn host(&self, host: &str, findings: &mut Findings) {
        let Some((block, allow, default)) = &self.hosts else { return };
        let blocked = block.first(host.as_bytes()).is_some();
        match (blocked || !allow.matches(host.as_bytes()), default) {
            (false, _) => {}
            (true, CompatDefault::Allow) if !blocked => {}
            (true, CompatDefault::Log) if !blocked => {
                warn(findings, "compat.egress_allowlist", format!("Egress to {host} logged"));
            }
            _ => {
                let message = format!("Egress to {host} blocked by policy");
                refuse(findings, "compat.egress_allowlist", CompatSeverity::Error, message);
            }
        }
    }

    fn secrets(&self, path: &str, bytes: &[u8], findings: &mut Findings) {
        let (Some(guard), Some(skipped)) = (&self.compat.secret_leak, &self.skipped) else { return };
        let canonical = path::canonical(path.as_bytes());
        let whole: &[u8] = canonical.as_deref().unwrap_or(path.as_bytes());
        let below = whole.strip_prefix(&*self.workspace).and_then(|rest| rest.strip_prefix(b"/"));
        if !skipped.matches(whole) && !below.is_some_and(|below| skipped.matches(below)) {
            texts::secrets(guard, bytes, findings);
        }
    }
}

/// Size, then `block`, `confirm`, `allow` as the only ones, the default.
fn tool(guard: &CompatTools, name: &str, arguments: &serde_json::Value, findings: &mut Findings) {
    let size = serde_json::to_vec(arguments).map_or(u64::MAX, |json| json.len() as u64);
    let has = |list: &[At<String>]| list.iter().any(|known| known.value == name);
    if size > guard.args_bytes_max {
        let message = format!("Tool arguments too large: {size} bytes (max: {})", guard.args_bytes_max);
        refuse(findings, "compat.mcp_tool", CompatSeverity::Error, message);
    } else if has(&guard.block)
        || !has(&guard.confirm)
            && if guard.allow.is_empty() { guard.default != CompatDefault::Allow } else { !has(&guard.allow) }
    {
        refuse(findings, "compat.mcp_tool", CompatSeverity::Error, format!("Tool '{name}' is blocked by policy"));
    } else if has(&guard.confirm) {
        warn(findings, "compat.mcp_tool", format!("Tool '{name}' requires confirmation"));
    }
}

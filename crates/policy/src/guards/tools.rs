//! Guard `tools`: how large a call's arguments are, and which files and hosts they name. Where a rule says nothing
//! of an argument, a path in it is still the file it leads to.

use bartizan_model::{ActionKind, Deed, Effect, Risk};
use serde_json::Value;

use crate::args;
use crate::context::Context;
use crate::decision::Cause;
use crate::guards::{Findings, Found, Guard, Interest, Scene};
use crate::language::PolicyFile;
use crate::place::{At, quoted};
use crate::risk;

/// Most texts of one call that are looked at; arguments with more aren't understood.
const TEXTS_MAX: usize = 4096;
/// Deepest nesting that is looked at. JSON itself is read to 128.
const DEPTH_MAX: usize = 64;
/// Longest text that can be a path or an address.
const NAME_BYTES_MAX: usize = 4096;
/// The port that rules over hosts without one mean.
const HTTPS_PORT: u16 = 443;

pub(super) fn compile(file: &PolicyFile, context: &Context) -> Option<Box<dyn Guard>> {
    let tools = file.tools.as_ref()?;
    if tools.args_bytes_max.is_none() && tools.paths.is_none() && tools.hosts.is_none() {
        return None;
    }
    Some(Box::new(ToolGuard {
        args_bytes_max: tools.args_bytes_max.clone(),
        paths: tools.paths.clone().filter(|effect| effect.value > Effect::Allow),
        hosts: tools.hosts.clone().filter(|effect| effect.value > Effect::Allow),
        workspace: String::from_utf8_lossy(context.workspace()).into_owned(),
        home: String::from_utf8_lossy(context.home()).into_owned(),
    }))
}

#[derive(Debug)]
struct ToolGuard {
    args_bytes_max: Option<At<u64>>,
    paths: Option<At<Effect>>,
    hosts: Option<At<Effect>>,
    workspace: String,
    home: String,
}

impl Guard for ToolGuard {
    fn name(&self) -> &'static str {
        "tools"
    }

    fn interest(&self) -> Interest {
        Interest::of(&[ActionKind::ToolCall])
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let Deed::ToolCall { arguments, .. } = scene.deed else { return };
        if arguments.is_null() {
            return;
        }
        if let Some(most) = &self.args_bytes_max {
            let size = length(arguments);
            if size > most.value {
                let message = format!("the arguments have {size} bytes, the most is {}", most.value);
                findings.push(Found::new(
                    "tools",
                    Effect::Deny,
                    Risk::Medium,
                    "tools.args_bytes_max",
                    Some(&most.place),
                    message,
                ));
                return;
            }
        }
        if self.paths.is_none() && self.hosts.is_none() {
            return;
        }
        let mut texts = 0;
        let understood = each_text(arguments, "", 0, &mut texts, &mut |name, text| {
            self.path(scene, name, text, findings);
            self.host(scene, name, text, findings);
        });
        if !understood {
            let message = "the arguments are too deep or too many to be looked at";
            findings.push(Found::new("tools", Effect::Deny, Risk::High, "tools.arguments", None, message));
        }
    }

    fn explain(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(
            self.args_bytes_max.as_ref().map(|most| format!("refuses arguments of more than {} bytes", most.value)),
        );
        lines.extend(
            self.paths
                .as_ref()
                .map(|effect| format!("arguments that name files `files` denies: {}", effect.value.as_str())),
        );
        lines.extend(
            self.hosts
                .as_ref()
                .map(|effect| format!("arguments that name hosts `net` denies: {}", effect.value.as_str())),
        );
        lines
    }
}

impl ToolGuard {
    /// Only an explicit refusal counts for what merely looks like a path; a server may know other files than this
    /// machine's.
    fn path(&self, scene: &Scene<'_>, name: &str, text: &str, findings: &mut Findings) {
        let Some(effect) = self.paths.as_ref().filter(|_| looks_like_path(name, text)) else { return };
        let Some(path) = args::file(text, &self.workspace, &self.home) else { return };
        let deeds = [
            Deed::FileRead { path: path.clone() },
            Deed::FileWrite { path: path.clone(), operation: None, content: None },
        ];
        // Reading what may not be read; or, where the tool's words say that it writes, writing what is protected.
        let writes = matches!(scene.deed, Deed::ToolCall { name, .. } if writes(name));
        for deed in deeds.iter().take(if writes { 2 } else { 1 }) {
            let Some(ruling) = scene.policy.decide(deed) else { continue };
            let explicit =
                ruling.effect == Effect::Deny && matches!(ruling.cause, Cause::Rule(_) | Cause::Malformed(_));
            if explicit {
                let message = format!("an argument names {}, which `files` denies", quoted(&path));
                let mut found =
                    Found::new("tools", effect.value, Risk::High, "tools.paths", Some(&effect.place), message);
                found.rule.text = ruling.cause.reference().text;
                findings.push(found);
                return;
            }
        }
    }

    fn host(&self, scene: &Scene<'_>, name: &str, text: &str, findings: &mut Findings) {
        let Some(effect) = self.hosts.as_ref().filter(|_| looks_like_host(name, text)) else { return };
        let Some(host) = args::host(text) else { return };
        let connect = Deed::NetConnect { host: host.to_owned(), port: HTTPS_PORT };
        let Some(ruling) = scene.policy.decide(&connect) else { return };
        if ruling.effect == Effect::Deny {
            let message = format!("an argument names the host {}, which `net` denies", quoted(host));
            findings.push(Found::new("tools", effect.value, Risk::High, "tools.hosts", Some(&effect.place), message));
        }
    }
}

/// Whether one of the words of a name is among these. Allocates nothing.
fn says(name: &str, words: &[&str]) -> bool {
    risk::each_word(name, |word| words.contains(&word).then_some(())).is_some()
}

/// Whether the tool's own name says that it changes something.
fn writes(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "write", "create", "edit", "update", "append", "delete", "remove", "move", "rename", "save", "put", "patch",
        "copy", "set", "replace", "insert", "upload", "mkdir",
    ];
    says(name, WORDS)
}

fn looks_like_path(name: &str, text: &str) -> bool {
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.contains('\n') {
        return false;
    }
    let starts = ["/", "~", "./", "../", "file:", "FILE:"].iter().any(|start| text.starts_with(start));
    let is_url = text.contains("://") && !starts;
    const WORDS: &[&str] = &[
        "path",
        "paths",
        "file",
        "files",
        "filename",
        "dir",
        "directory",
        "folder",
        "source",
        "destination",
        "target",
        "root",
    ];
    let says = says(name, WORDS);
    !is_url && (starts || says || text.contains("../"))
}

fn looks_like_host(name: &str, text: &str) -> bool {
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.contains(['\n', ' ']) {
        return false;
    }
    const WORDS: &[&str] = &["host", "hostname", "domain", "url", "uri", "endpoint", "address", "server", "webhook"];
    let says = says(name, WORDS);
    text.contains("://") && !text.starts_with("file:") || says && text.contains(['.', ':'])
}

/// Tells every text with the name of the argument it stands in; `false` when there are too many or they lie too deep.
fn each_text<'a>(
    value: &'a Value,
    name: &'a str,
    depth: usize,
    texts: &mut usize,
    tell: &mut impl FnMut(&'a str, &'a str),
) -> bool {
    if depth > DEPTH_MAX || *texts > TEXTS_MAX {
        return false;
    }
    match value {
        Value::String(text) => {
            *texts += 1;
            tell(name, text);
            true
        }
        Value::Array(items) => items.iter().all(|item| each_text(item, name, depth + 1, texts, tell)),
        Value::Object(entries) => entries.iter().all(|(key, item)| each_text(item, key, depth + 1, texts, tell)),
        _ => true,
    }
}

/// How long the arguments are as compact JSON, without writing them anywhere.
fn length(arguments: &Value) -> u64 {
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, arguments) {
        Ok(()) => count.0,
        Err(_) => u64::MAX,
    }
}

struct Count(u64);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

//! Guard `labels`: finds nothing, but makes the session remember which labels the data it reads carry, and what was
//! said by whom. A label comes when a deed is begun, before any answer can have been acted on.

use bartizan_model::{Deed, Origin, SightingClass};

use crate::context::Context;
use crate::deeds::{base, holds, url_host};
use crate::guards::{Findings, Guard, Interest, Layer, Scene};
use crate::host::{Host, HostPattern};
use crate::language::PolicyFile;
use crate::pattern::{PathPattern, Wildcard};
use crate::session::{Label, Session};
use crate::tree::{Mode, Tree};

/// A sighting this sure labels a session; lower ones are too often wrong to hold back what follows.
const SCORE: u8 = 50;

/// The user's policy always has it; another only where it says something of labels.
pub(super) fn compile(file: &PolicyFile, context: &Context, layer: Layer<'_>) -> Option<Box<dyn Guard>> {
    if file.labels.is_none() && layer.index > 0 {
        return None;
    }
    let section = file.labels.clone().unwrap_or_default();
    let mut guard = LabelGuard { trusted: None, data: Vec::new() };
    // A policy that only narrows and trusts nobody by name leaves that to the user's.
    if layer.index == 0 || section.trusted.is_some() {
        let mut trusted = Sources::default();
        section.trusted.iter().flatten().for_each(|text| trusted.push(&text.value));
        guard.trusted = Some(trusted);
    }
    for rule in section.data.iter().flatten() {
        let Some(label) = Label::parse(&rule.value.label) else { continue };
        let mut files = Tree::new(Mode::Restrict);
        for pattern in rule.value.files.iter().flat_map(|text| PathPattern::parse(text).unwrap_or_default()) {
            files.insert(base(&pattern, context), &pattern.segments, 0);
        }
        let mut sources = Sources::default();
        rule.value.hosts.iter().chain(&rule.value.tools).for_each(|text| sources.push(text));
        guard.data.push(Data { label, files, sources });
    }
    Some(Box::new(guard))
}

#[derive(Debug)]
struct LabelGuard {
    /// Whose answers are trusted; `None` where this policy has nothing to say about it.
    trusted: Option<Sources>,
    data: Vec<Data>,
}

#[derive(Debug)]
struct Data {
    label: Label,
    files: Tree,
    sources: Sources,
}

/// Hosts and tools.
#[derive(Debug, Default)]
struct Sources {
    hosts: Vec<HostPattern>,
    tools: Vec<Wildcard>,
}

impl Sources {
    fn push(&mut self, text: &str) {
        match HostPattern::parse(text) {
            Ok(host) => self.hosts.push(host),
            Err(_) => self.tools.push(Wildcard::new(text)),
        }
    }

    fn hold_host(&self, host: &str) -> bool {
        Host::canonical(host).is_some_and(|host| self.hosts.iter().any(|pattern| pattern.matches(&host)))
    }

    fn hold_tool(&self, tool: &str) -> bool {
        self.tools.iter().any(|pattern| pattern.matches(tool.as_bytes(), false))
    }

    fn hold(&self, source: &Source<'_>) -> bool {
        match source {
            Source::Host(host) => self.hold_host(host),
            Source::Tool(tool) => self.hold_tool(tool),
            Source::Path(_) => false,
            Source::Named(name) => match url_host(name) {
                Some(host) => self.hold_host(host),
                None => self.hold_tool(name) || self.hold_host(name),
            },
        }
    }
}

/// Where what a deed reads comes from.
enum Source<'a> {
    Host(&'a str),
    Tool(String),
    Path(&'a str),
    /// A URL, a host, `server/tool` or a path, as whoever received the text calls it.
    Named(&'a str),
}

fn source(deed: &Deed) -> Option<Source<'_>> {
    match deed {
        Deed::FileRead { path } => Some(Source::Path(path)),
        Deed::NetConnect { host, .. } | Deed::HttpRequest { host, .. } => Some(Source::Host(host)),
        Deed::BrowserAct { url, .. } => Some(Source::Named(url)),
        Deed::ToolCall { server, name, .. } => Some(Source::Tool(format!("{server}/{name}"))),
        Deed::ContentReceive { origin: Origin::Retrieved | Origin::Tool, source, .. } => Some(Source::Named(source)),
        _ => None,
    }
}

impl LabelGuard {
    fn learn_content(&self, scene: &Scene<'_>, session: &Session) {
        let Deed::ContentReceive { origin, content, .. } = scene.deed else { return };
        let sure = scene.look.sightings.iter().filter(|sighting| sighting.score >= SCORE);
        for sighting in sure {
            match sighting.class {
                SightingClass::Secret => session.add_label(&Label::Secret),
                SightingClass::Personal => session.add_label(&Label::Personal),
                _ => {}
            }
        }
        if let (Origin::User, Some(text)) = (origin, content.text()) {
            session.instruct(text);
        }
    }
}

impl Guard for LabelGuard {
    fn name(&self) -> &'static str {
        "labels"
    }

    fn interest(&self) -> Interest {
        Interest::ALL
    }

    fn check(&self, _: &Scene<'_>, _: &mut Findings) {}

    fn learn(&self, scene: &Scene<'_>, session: &Session) {
        self.learn_content(scene, session);
        let Some(source) = source(scene.deed) else { return };
        let path = match source {
            Source::Path(path) => Some(path),
            Source::Named(name) if name.starts_with('/') => Some(name),
            _ => None,
        };
        for data in &self.data {
            if data.sources.hold(&source) || path.is_some_and(|path| holds(&data.files, path)) {
                session.add_label(&data.label);
            }
        }
        let Some(trusted) = &self.trusted else { return };
        if !matches!(source, Source::Path(_)) && !trusted.hold(&source) {
            session.add_label(&Label::Untrusted);
            if let Deed::ContentReceive { content, .. } = scene.deed
                && let Some(text) = content.text()
            {
                session.hear(text);
            }
        }
    }

    fn explain(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(trusted) = &self.trusted {
            let hosts = trusted.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            lines.push(match (hosts.is_empty(), trusted.tools.len()) {
                (true, 0) => "whatever comes from the network, from tools or pages makes a run `untrusted`".into(),
                (_, tools) => format!("answers from anywhere but {hosts} ({tools} tools too) make a run `untrusted`"),
            });
        }
        lines.extend(self.data.iter().map(|data| format!("what is read of some data labels a run `{}`", data.label)));
        lines
    }
}

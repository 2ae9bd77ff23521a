//! Guard `patches`: what a patch may be. It is read as the tools that apply patches read it, in every reading they
//! have; every path in it is decided by `files` as a write; what can't be read is not allowed.

use std::borrow::Cow;

use bartizan_model::{ActionKind, Deed, Effect, Risk};

use crate::context::Context;
use crate::diff::kinds::{self, Sort};
use crate::diff::{self, Change, FileChange, Patch};
use crate::guards::{Findings, Found, Guard, Interest, Layer, Scene};
use crate::language::{PatchKinds, Patches, PolicyFile};
use crate::place::{At, Place, quoted};
use crate::text_pattern::TextPattern;

/// From how many changed lines on the ratio of added to removed ones says anything.
const RATIO_FROM_LINES: usize = 50;

/// Always there: what `files` says of a path holds for the paths in a patch, whether or not there is a section
/// `patches`. Without one, a policy that narrows another adds nothing else.
pub(super) fn compile(file: &PolicyFile, context: &Context, layer: Layer<'_>) -> Option<Box<dyn Guard>> {
    let workspace = String::from_utf8_lossy(context.workspace()).into_owned();
    let unsaid = if file.patches.is_none() && layer.index > 0 { Effect::Allow } else { Effect::Deny };
    Some(Box::new(PatchGuard { patches: file.patches.clone().unwrap_or_default(), workspace, unsaid }))
}

#[derive(Debug)]
struct PatchGuard {
    patches: Patches,
    workspace: String,
    /// For what can't be understood or leads out, where the section says nothing.
    unsaid: Effect,
}

/// Pushes a finding unless it would say nothing.
fn tell(findings: &mut Findings, effect: Effect, risk: Risk, rule: &str, place: Option<&Place>, message: String) {
    if effect > Effect::Allow {
        findings.push(Found::new("patches", effect, risk, rule, place, message));
    }
}

impl Guard for PatchGuard {
    fn name(&self) -> &'static str {
        "patches"
    }

    fn interest(&self) -> Interest {
        Interest::of(&[ActionKind::FilePatch])
    }

    fn check(&self, scene: &Scene<'_>, findings: &mut Findings) {
        let Deed::FilePatch { path, patch } = scene.deed else { return };
        if let Some(size) = &self.patches.size
            && patch.length_bytes() > size.value.0
        {
            let message = format!("the patch has {} bytes, the most is {}", patch.length_bytes(), size.value);
            tell(findings, Effect::Deny, Risk::Medium, "patches.size", Some(&size.place), message);
            return;
        }
        let read = match patch.bytes() {
            Some(bytes) => diff::read(bytes),
            None => Err(diff::Malformed { line: 0, problem: "its content is no longer there, only its digest" }),
        };
        match read {
            Ok(patch) => self.judge(scene, path, &patch, findings),
            Err(problem) => {
                let (effect, place) = said(&self.patches.unclear, self.unsaid);
                let line = if problem.line > 0 { format!(", line {}", problem.line) } else { String::new() };
                let message = format!("the patch can't be understood{line}: {}", problem.problem);
                tell(findings, effect, Risk::High, "patches.unclear", place, message);
            }
        }
    }

    fn explain(&self) -> Vec<String> {
        let patches = &self.patches;
        let mut lines = vec!["every path a patch touches is decided by `files` as a write".to_owned()];
        lines.extend(patches.size.as_ref().map(|size| format!("refuses patches of more than {}", size.value)));
        let over = said(&patches.over, Effect::Ask).0.as_str();
        let limits = [
            (&patches.files_max, "files"),
            (&patches.additions_max, "added lines"),
            (&patches.deletions_max, "removed lines"),
            (&patches.ratio_max, "lines one way for each the other way"),
        ];
        let limits = limits.into_iter().filter_map(|(limit, what)| Some((limit.as_ref()?.value, what)));
        lines.extend(limits.map(|(limit, what)| format!("more than {limit} {what}: {over}")));
        lines.push(format!("patches that can't be understood: {}", said(&patches.unclear, self.unsaid).0.as_str()));
        lines.push(format!("names that lead out: {}", said(&patches.outside, self.unsaid).0.as_str()));
        for (list, effect) in [(&patches.forbid, "deny"), (&patches.ask, "ask")] {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                lines.push(format!("{} expressions over added lines: {effect}", list.len()));
            }
        }
        if let Some(kinds) = &patches.kinds {
            let held = KINDS.iter().filter_map(|(name, _, of)| Some((name, of(kinds).as_ref()?)));
            lines.extend(held.map(|(name, effect)| format!("{name}: {}", effect.value.as_str())));
        }
        lines
    }
}

/// Names one of [`PatchKinds`], for rules and for people.
type Kind = (&'static str, &'static str, fn(&PatchKinds) -> &Option<At<Effect>>);

const KINDS: &[Kind] = &[
    ("binary", "its content can't be read", |kinds| &kinds.binary),
    ("mode", "it gets another mode", |kinds| &kinds.mode),
    ("link", "it is a symbolic link", |kinds| &kinds.link),
    ("submodule", "it is another repository's commit", |kinds| &kinds.submodule),
    ("delete", "it is deleted", |kinds| &kinds.delete),
    ("rename", "it is renamed or copied", |kinds| &kinds.rename),
    ("hook", "it runs by itself on a developer's machine", |kinds| &kinds.hook),
    ("ci", "it runs by itself on a build server", |kinds| &kinds.ci),
    ("lock", "it pins what other people's code is fetched", |kinds| &kinds.lock),
    ("generated", "it is made by a tool", |kinds| &kinds.generated),
    ("vendored", "it is other people's code", |kinds| &kinds.vendored),
    ("tests", "a test goes or is switched off", |kinds| &kinds.tests),
];

fn said(effect: &Option<At<Effect>>, unsaid: Effect) -> (Effect, Option<&Place>) {
    effect.as_ref().map_or((unsaid, None), |effect| (effect.value, Some(&effect.place)))
}

impl PatchGuard {
    fn judge(&self, scene: &Scene<'_>, path: &str, patch: &Patch<'_>, findings: &mut Findings) {
        self.measure(patch, findings);
        for file in &patch.files {
            if let Some((name, escape)) = file.escape() {
                let (effect, place) = said(&self.patches.outside, self.unsaid);
                let message = format!("{} in the patch {}", quoted(name), escape.as_str());
                tell(findings, effect, Risk::High, "patches.outside", place, message);
            } else {
                self.decide(scene, path, patch, file, findings);
            }
            self.sort(file, findings);
        }
        self.tests(patch, findings);
        for (list, effect, key) in
            [(&self.patches.forbid, Effect::Deny, "forbid"), (&self.patches.ask, Effect::Ask, "ask")]
        {
            for (index, pattern) in list.iter().flatten().enumerate() {
                lines(patch, pattern, effect, &format!("patches.{key}[{index}]"), findings);
            }
        }
    }

    fn measure(&self, patch: &Patch<'_>, findings: &mut Findings) {
        let (effect, _) = said(&self.patches.over, Effect::Ask);
        let (added, removed) = (patch.added(), patch.removed());
        let mut over = |limit: &Option<At<u64>>, count: usize, key: &str, what: &str| {
            if let Some(limit) = limit.as_ref().filter(|limit| u64::try_from(count).unwrap_or(u64::MAX) > limit.value) {
                let message = format!("the patch has {count} {what}, the most is {}", limit.value);
                tell(findings, effect, Risk::Medium, &format!("patches.{key}"), Some(&limit.place), message);
            }
        };
        over(&self.patches.files_max, patch.files.len(), "files_max", "files");
        over(&self.patches.additions_max, added, "additions_max", "added lines");
        over(&self.patches.deletions_max, removed, "deletions_max", "removed lines");
        let (few, many) = (added.min(removed).max(1), added.max(removed));
        if added + removed >= RATIO_FROM_LINES {
            over(&self.patches.ratio_max, many.div_ceil(few), "ratio_max", "lines one way for each the other way");
        }
    }

    /// Every place the file may be, decided as a write by `files`. The first refusal is enough.
    fn decide(&self, scene: &Scene<'_>, path: &str, patch: &Patch<'_>, file: &FileChange<'_>, findings: &mut Findings) {
        let bases = bases(path, patch, &self.workspace);
        let operation = match file.change {
            Change::Delete => Some("remove"),
            Change::Rename | Change::Copy => Some("rename"),
            _ if file.is_symlink() => Some("symlink"),
            _ => None,
        };
        let mut worst: Option<(Effect, String, bartizan_model::RuleRef)> = None;
        for reading in file.readings() {
            for base in &bases {
                let target = format!("{}/{reading}", base.trim_end_matches('/'));
                let write = Deed::FileWrite { path: target, operation: operation.map(str::to_owned), content: None };
                let Some(ruling) = scene.policy.decide(&write) else { continue };
                if worst.as_ref().is_none_or(|(effect, ..)| ruling.effect > *effect) {
                    worst = Some((ruling.effect, write.target(), ruling.cause.reference()));
                }
            }
        }
        if let Some((effect, target, rule)) = worst.filter(|(effect, ..)| *effect > Effect::Allow) {
            let message = match effect {
                Effect::Deny => format!("the patch changes {}, which may not be written", quoted(&target)),
                _ => format!("the patch changes {}, which a person decides over", quoted(&target)),
            };
            let mut found = Found::new("patches", effect, Risk::High, rule.rule.clone(), None, message);
            found.rule = rule;
            findings.push(found);
        }
    }

    fn kind(&self, name: &str, subject: &str, findings: &mut Findings) {
        let Some(kinds) = &self.patches.kinds else { return };
        let Some((name, why, of)) = KINDS.iter().find(|(known, ..)| *known == name) else { return };
        let (effect, place) = said(of(kinds), Effect::Allow);
        let risk = if matches!(*name, "hook" | "ci" | "link" | "binary") { Risk::High } else { Risk::Medium };
        tell(findings, effect, risk, &format!("patches.kinds.{name}"), place, format!("{}: {why}", quoted(subject)));
    }

    fn sort(&self, file: &FileChange<'_>, findings: &mut Findings) {
        let subject = file.shown();
        let mut is = |name: &str, is: bool| {
            if is {
                self.kind(name, subject, findings);
            }
        };
        is("binary", file.binary || file.added.iter().any(|line| line.text.contains(&0)));
        is("link", file.is_symlink());
        is("submodule", file.is_submodule());
        is("mode", file.mode_change().is_some() && !file.is_symlink() && !file.is_submodule());
        is("delete", file.change == Change::Delete);
        is("rename", matches!(file.change, Change::Rename | Change::Copy));
        for (name, sort) in [
            ("hook", Sort::Hook),
            ("ci", Sort::Ci),
            ("lock", Sort::Lock),
            ("generated", Sort::Generated),
            ("vendored", Sort::Vendored),
        ] {
            is(name, file.readings().any(|path| kinds::is(path, sort)));
        }
        is("tests", file.change == Change::Delete && file.readings().any(|path| kinds::is(path, Sort::Test)));
    }

    /// Tests that go without others coming, and tests that are switched off.
    fn tests(&self, patch: &Patch<'_>, findings: &mut Findings) {
        let counted = |count: fn(&[diff::Line<'_>]) -> usize, added: bool| -> usize {
            patch.files.iter().map(|file| count(if added { &file.added } else { &file.removed })).sum()
        };
        let (come, go) = (counted(kinds::tests_defined, true), counted(kinds::tests_defined, false));
        if go > come {
            self.kind("tests", &format!("{} tests", go - come), findings);
        }
        if counted(kinds::tests_skipped, true) > counted(kinds::tests_skipped, false) {
            self.kind("tests", "a skipped test", findings);
        }
    }
}

/// What an expression over added lines finds: the first line of it.
fn lines(patch: &Patch<'_>, pattern: &At<TextPattern>, effect: Effect, rule: &str, findings: &mut Findings) {
    let hit = patch.files.iter().find_map(|file| {
        let line = file.added.iter().find(|line| pattern.value.is_match(line.text))?;
        Some((file.shown(), line.number))
    });
    if let Some((file, number)) = hit {
        let message = format!("line {number} adds to {} what {} matches", quoted(file), quoted(pattern.value.as_str()));
        let found = Found::new("patches", effect, Risk::High, rule, Some(&pattern.place), message);
        findings.push(found.text(pattern.value.as_str()));
    }
}

/// Where names in the patch may start: what is left of the deed's path when it ends in one of the names; else the
/// deed's path itself, and the workspace, where tools usually stand.
fn bases<'a>(path: &'a str, patch: &Patch<'_>, workspace: &'a str) -> Vec<Cow<'a, str>> {
    let named = patch.files.iter().flat_map(FileChange::readings).find_map(|reading| {
        let base = path.strip_suffix(reading)?;
        base.ends_with('/').then_some(base)
    });
    match named {
        Some(base) => vec![Cow::Borrowed(base)],
        None if path == workspace => vec![Cow::Borrowed(path)],
        None => vec![Cow::Borrowed(path), Cow::Borrowed(workspace)],
    }
}

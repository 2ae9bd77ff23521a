//! Warns of what a policy says that its author hardly means.

use std::path::{Path, PathBuf};

use bartizan_model::{Effect, RuleRef, Verdict};

use crate::builtin;
use crate::examples::examples;
use crate::files::PathAccess;
use crate::host::{Host, HostPattern};
use crate::language::{CommandRule, HttpRule, NameRules, NetRule, PolicyFile, Ports, ToolRule};
use crate::pattern::{Base, PathPattern, Wildcard};
use crate::place::{At, Place, quoted};
use crate::set::PolicySet;

/// A warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// What, and what would be better.
    pub message: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

impl PolicySet {
    /// Warnings over the policies in force, in the order of the language's sections.
    #[must_use]
    pub fn lint(&self) -> Vec<Warning> {
        let mut lint = Lint { set: self, warnings: Vec::new() };
        lint.files(self.user.file());
        let narrowing = self.narrowing.iter().map(|narrowing| (narrowing.policy.file(), true));
        for (file, project) in [(self.user.file(), false)].into_iter().chain(narrowing) {
            lint.duplicates(file);
            lint.exec(file);
            lint.net(file);
            lint.names(file);
            lint.env(file, project);
            lint.flow(file);
        }
        lint.hidden_grants();
        lint.untested();
        lint.guards();
        lint.warnings
    }
}

/// Trees of the distribution with tens of thousands of files.
const SYSTEM_TREES: [&str; 4] = ["/usr", "/opt", "/lib", "/nix/store"];

/// Most actions a guard is tried on.
const EXAMPLES_MAX: usize = 64;

struct Lint<'a> {
    set: &'a PolicySet,
    warnings: Vec<Warning>,
}

impl Lint<'_> {
    fn warn(&mut self, place: &Place, message: String) {
        // What a built-in says is not its user's to mend, unless it is looked at for itself.
        let built_in = |source: &str| source.starts_with(builtin::SOURCE_PREFIX);
        if built_in(&place.source) && !self.set.user.sources().first().is_some_and(|source| built_in(source)) {
            return;
        }
        self.warnings.push(Warning { place: place.clone(), message });
    }

    fn files(&mut self, file: &PolicyFile) {
        let Some(files) = &file.files else { return };
        let layer = self.set.layers().files;
        let home = directory(self.set.context.home());
        for (path, text) in self.writable() {
            if home.starts_with(&path) {
                let message = format!(
                    "`{}` makes the whole home writable, and with it what programs outside the box run at login; name directories",
                    text.value
                );
                self.warn(&text.place, message);
            }
        }
        for text in files.read.iter().flatten() {
            if SYSTEM_TREES.iter().any(|tree| text.value.strip_prefix(tree).is_some_and(|rest| rest == "/**")) {
                let message = format!(
                    "`{}` holds programs and libraries: in `programs` it is readable just the same, and isn't searched whenever a box starts",
                    text.value
                );
                self.warn(&text.place, message);
            }
        }
        if files.default.as_ref().is_some_and(|default| default.value == Effect::Allow) {
            let place = files.default.as_ref().map(|default| default.place.clone());
            if let Some(place) = place {
                self.warn(
                    &place,
                    "`default: allow` lets every file be read that no rule denies; list what is needed in `read`"
                        .into(),
                );
            }
        }
        let outside = |pattern: &str| {
            let rest = pattern
                .strip_prefix("~/")
                .map(|rest| home.join(rest))
                .or_else(|| pattern.starts_with('/').then(|| PathBuf::from(pattern)));
            let fixed = rest.map(|path| {
                path.components()
                    .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '{']))
                    .collect::<PathBuf>()
            });
            fixed.is_some_and(|fixed| {
                !layer.write.iter().any(|tree| fixed.starts_with(tree) || tree.starts_with(&fixed))
                    && !layer.write_files.contains(&fixed)
            })
        };
        for text in files.ask.iter().flatten() {
            if outside(&text.value) {
                let message = format!(
                    "`{}` lies outside everything writable; `ask` holds back, it doesn't grant: add it to `write` as well",
                    text.value
                );
                self.warn(&text.place, message);
            }
        }
    }

    /// Writable trees with the rule that grants them.
    fn writable(&self) -> Vec<(PathBuf, At<String>)> {
        let rules = self.set.user.file().files.iter().flat_map(|files| files.write.iter().flatten());
        let mut found = Vec::new();
        for text in rules {
            for pattern in crate::pattern::PathPattern::parse(&text.value).unwrap_or_default() {
                let base = match pattern.base {
                    crate::pattern::Base::Root => PathBuf::from("/"),
                    crate::pattern::Base::Home => directory(self.set.context.home()),
                    crate::pattern::Base::Workspace => directory(self.set.context.workspace()),
                };
                found.push((base.join(pattern.literal_prefix().trim_start_matches('/')), text.clone()));
            }
        }
        found
    }

    fn duplicates(&mut self, file: &PolicyFile) {
        let mut twice: Vec<(Place, String)> = Vec::new();
        if let Some(files) = &file.files {
            for list in [&files.read, &files.programs, &files.write, &files.ask, &files.protect, &files.deny] {
                repeated(list.as_deref(), |text| text.clone(), &mut twice);
            }
        }
        if let Some(exec) = &file.exec {
            for list in [&exec.allow, &exec.ask, &exec.deny] {
                repeated(list.as_deref(), ToString::to_string, &mut twice);
            }
        }
        if let Some(net) = &file.net {
            for list in [&net.allow, &net.ask, &net.deny] {
                repeated(list.as_deref(), |rule| rule.text.clone(), &mut twice);
            }
        }
        for (place, message) in twice {
            self.warn(&place, message);
        }
    }

    fn exec(&mut self, file: &PolicyFile) {
        let Some(exec) = &file.exec else { return };
        for text in exec.allow.iter().flatten() {
            if text.value.programs().iter().any(|program| program == "*") {
                self.warn(
                    &text.place,
                    format!("`{}` lets every program start; write `default: allow` if that is meant", text.value),
                );
            }
        }
        // A bare program in a stricter list leaves nothing of rules over the same program.
        let lists = [(Effect::Allow, &exec.allow), (Effect::Ask, &exec.ask), (Effect::Deny, &exec.deny)];
        let mut lost: Vec<(Place, String)> = Vec::new();
        for (weaker, list) in &lists {
            for text in list.iter().flatten() {
                let stricter =
                    lists.iter().filter(|(effect, _)| effect > weaker).flat_map(|(_, list)| list.iter().flatten());
                if let Some(winner) = stricter.clone().find(|winner| covers(&winner.value, &text.value)) {
                    lost.push((
                        text.place.clone(),
                        shadowed(&text.value.to_string(), &winner.value.to_string(), &winner.place),
                    ));
                }
            }
        }
        for (place, message) in lost {
            self.warn(&place, message);
        }
    }

    fn net(&mut self, file: &PolicyFile) {
        let Some(net) = &file.net else { return };
        let lists = [(Effect::Allow, &net.allow), (Effect::Ask, &net.ask), (Effect::Deny, &net.deny)];
        for (effect, list) in &lists {
            for rule in list.iter().flatten() {
                self.net_rule(*effect, rule);
                let stricter = lists
                    .iter()
                    .filter(|(other, _)| other > effect)
                    .flat_map(|(other, list)| list.iter().flatten().map(move |rule| (*other, rule)));
                let winner =
                    stricter.clone().find(|(other, winner)| reaches_all(*other, &winner.value, *effect, &rule.value));
                if let Some((_, winner)) = winner {
                    self.warn(&rule.place, shadowed(&rule.value.text, &winner.value.text, &winner.place));
                }
                if *effect == Effect::Allow && rule.value.http.is_some() {
                    let plain = list.iter().flatten().find(|other| {
                        other.value.http.is_none()
                            && reaches_all(Effect::Allow, &other.value, Effect::Allow, &rule.value)
                    });
                    if let Some(plain) = plain {
                        let message = format!(
                            "the `http` list of `{}` has no effect: `{}` ({}) lets every request through",
                            rule.value.text,
                            plain.value.text,
                            plain.place.short()
                        );
                        self.warn(&rule.place, message);
                    }
                }
            }
        }
    }

    fn net_rule(&mut self, effect: Effect, rule: &At<NetRule>) {
        let value = &rule.value;
        let pathless = |http: &HttpRule| http.path.is_none() && (http.graphql.is_some() || !http.json.is_empty());
        if effect != Effect::Allow && value.http.iter().flatten().any(pathless) {
            let message = format!(
                "`{}` depends on bodies of every path: requests that can't be read so are denied; name the `path`",
                value.text
            );
            self.warn(&rule.place, message);
        }
        if effect == Effect::Allow {
            let wide = match &value.host {
                HostPattern::AnyName => true,
                HostPattern::Addresses(range) => range.to_string().ends_with("/0"),
                HostPattern::Name(_) | HostPattern::Below(_) => false,
            };
            if wide {
                self.warn(
                    &rule.place,
                    format!("`{}` reaches every host; name the hosts, or write `default: ask`", value.text),
                );
            }
            if value.ports.contains(&Ports::ALL) {
                self.warn(&rule.place, format!("`{}` opens every port; name the ports", value.text));
            }
        }
    }

    fn names(&mut self, file: &PolicyFile) {
        let everything = |rule: &ToolRule| rule.server == "*" && rule.name == "*";
        for rule in file.tools.iter().flat_map(|tools| tools.allow.iter().flatten()) {
            if everything(&rule.value) {
                self.warn(&rule.place, "every tool of every server may be called; name the servers".into());
            }
        }
        for name in file.secrets.iter().flat_map(|secrets| secrets.names.allow.iter().flatten()) {
            if Wildcard::new(&name.value).is_any() {
                self.warn(&name.place, "every secret may be used; name them".into());
            }
        }
    }

    /// Rules over names that a stricter pattern takes everything from.
    fn shadowed_names(&mut self, names: &NameRules) {
        let lists = [(Effect::Allow, &names.allow), (Effect::Ask, &names.ask), (Effect::Deny, &names.deny)];
        for (effect, list) in &lists {
            for name in list.iter().flatten() {
                let stricter =
                    lists.iter().filter(|(other, _)| other > effect).flat_map(|(_, list)| list.iter().flatten());
                let covers = |wide: &&At<String>| {
                    let narrow = name.value.as_bytes();
                    wide.value == name.value
                        || (!narrow.contains(&b'?') && Wildcard::new(&wide.value).matches(narrow, false))
                };
                if let Some(winner) = stricter.clone().find(covers) {
                    self.warn(&name.place, shadowed(&name.value, &winner.value, &winner.place));
                }
            }
        }
    }

    /// Conditions that can't come about.
    fn flow(&mut self, file: &PolicyFile) {
        let secrets = file.secrets.as_ref().map(|secrets| &secrets.names);
        for names in [secrets, file.models.as_ref(), file.messages.as_ref()].into_iter().flatten() {
            self.shadowed_names(names);
        }
        let policies = std::iter::once(self.set.user.file()).chain(self.set.narrowing().map(|policy| policy.file()));
        let given: Vec<&str> = policies
            .filter_map(|file| file.labels.as_ref())
            .flat_map(|labels| labels.data.iter().flatten())
            .map(|rule| rule.value.label.as_str())
            .collect();
        for rule in file.flow.iter().flatten() {
            let missing = |label: &&String| label.starts_with("internal:") && !given.contains(&label.as_str());
            let when = &rule.value.when;
            if !when.read.is_empty() && when.read.iter().all(|label| missing(&label)) {
                let message = format!(
                    "this never holds: nothing in `labels` gives the label `{}`; add it under `labels.data`",
                    when.read.join("`, `")
                );
                self.warn(&rule.place, message);
            }
            for pattern in rule.value.ask.iter().filter(|pattern| rule.value.deny.contains(pattern)) {
                self.warn(
                    &rule.place,
                    format!("`{pattern}` stands in `ask` and in `deny`, which wins; leave it out of `ask`"),
                );
            }
        }
    }

    /// Files that are granted and hidden again.
    fn hidden_grants(&mut self) {
        let Some(files) = &self.set.user.file().files else { return };
        for text in [&files.read, &files.write, &files.programs].into_iter().flatten().flatten() {
            let hidden = PathPattern::parse(&text.value).unwrap_or_default().into_iter().all(|pattern| {
                let base = crate::deeds::base(&pattern, self.set.context());
                let path = directory(base).join(pattern.literal_prefix().trim_start_matches('/'));
                (pattern.base != Base::Root || !pattern.literal_prefix().is_empty())
                    && self.set.classify(&path) == PathAccess::Hidden
            });
            if hidden {
                self.warn(&text.place, format!("`{}` never applies: `deny` hides all of it", text.value));
            }
        }
    }

    /// What is allowed by a pattern although no case asks for it. Only where the file has cases at all.
    fn untested(&mut self) {
        let Some(own) = self.set.user.sources().first() else { return };
        if self.set.user.file().tests.is_empty() || own.starts_with(builtin::SOURCE_PREFIX) {
            return;
        }
        let results = self.set.run_tests();
        let mut wide: Vec<(Place, String)> = Vec::new();
        self.set.compiled.each_rule(&mut |rule, effect, place| {
            let text = rule.text.as_deref().unwrap_or_default();
            let needed = results.iter().filter_map(|result| result.verdict.as_ref()).any(|verdict| verdict.rule == rule);
            if effect == Effect::Allow && *place.source == **own && text.contains('*') && !needed {
                let message = format!("`{text}` grants more than any case needs: no case is decided by it; name what is meant, or add a case");
                wide.push((place.clone(), message));
            }
        });
        for (place, message) in wide {
            self.warn(&place, message);
        }
    }

    /// Guards in WebAssembly say only while deciding what they do, so they are tried.
    fn guards(&mut self) {
        let mut wrong: Vec<(Place, String)> = Vec::new();
        let cases: Vec<Verdict> = self.set.run_tests().into_iter().filter_map(|result| result.verdict).collect();
        for wasm in self.set.user.wasm() {
            let file = wasm.name();
            let examples = examples(self.set.user.file(), &self.set.context).into_iter().take(EXAMPLES_MAX);
            let mut tried = examples.map(|example| self.set.verdict_of(&example)).flat_map(|verdict| verdict.findings);
            let failed = tried
                .find(|found| found.rule.as_deref() == Some("wasm.failed") && found.message.contains(&quoted(file)));
            let its = |rule: &RuleRef| rule.rule.starts_with("wasm.") && rule.source.as_deref() == Some(file);
            if let Some(failed) = failed {
                wrong.push((wasm.place().clone(), format!("{}; such actions are denied", failed.message)));
            } else if !cases.iter().any(|verdict| its(&verdict.rule)) {
                let message = format!(
                    "no case in `tests` shows that `{file}` holds anything back; add one, so that a build that finds nothing is noticed"
                );
                wrong.push((wasm.place().clone(), message));
            }
        }
        for (place, message) in wrong {
            self.warn(&place, message);
        }
    }

    fn env(&mut self, file: &PolicyFile, project: bool) {
        for name in file.env.iter().flat_map(|env| env.pass.iter().flatten()) {
            if name.value == "*" && !project {
                self.warn(&name.place, "every variable is passed in, also those that hold tokens; name them".into());
            }
        }
        if !project {
            return;
        }
        for value in file.env.iter().flat_map(|env| env.set.iter().flatten()).map(|(_, value)| value) {
            self.warn(&value.place, "a project's policy only narrows; `env.set` counts only in the user's".into());
        }
        let exposed = file.secrets.iter().flat_map(|secrets| [&secrets.files, &secrets.env]).flatten().flatten();
        for (_, text) in exposed {
            let message = "a project's policy only narrows; `secrets.files` and `secrets.env` count only in the user's";
            self.warn(&text.place, message.into());
        }
        for rule in file.net.iter().flat_map(|net| [&net.allow, &net.ask]).flatten().flatten() {
            if rule.value.address.is_some() || rule.value.private {
                self.warn(
                    &rule.place,
                    "a project's policy only narrows; `address` and `private` count only in the user's".into(),
                );
            }
        }
        if let Some(resolver) = file.net.as_ref().and_then(|net| net.resolver.as_ref()) {
            self.warn(&resolver.place, "a project's policy only narrows; `resolver` counts only in the user's".into());
        }
    }
}

fn directory(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes)).to_owned()
}

fn shadowed(text: &str, winner: &str, place: &Place) -> String {
    format!("`{text}` never applies: `{winner}` ({}) is stricter and matches all of it", place.short())
}

fn repeated<T>(list: Option<&[At<T>]>, text: impl Fn(&T) -> String, found: &mut Vec<(Place, String)>)
where
    T: PartialEq,
{
    let list = list.unwrap_or_default();
    for (index, entry) in list.iter().enumerate() {
        if let Some(first) = list.iter().take(index).find(|first| first.value == entry.value) {
            found.push((
                entry.place.clone(),
                format!("`{}` stands already at {}", text(&entry.value), first.place.short()),
            ));
        }
    }
}

/// Whether a command pattern matches all that another does, as far as that is plain: the same text, or a
/// bare program over rules of that program.
fn covers(wide: &CommandRule, narrow: &CommandRule) -> bool {
    if wide == narrow {
        return true;
    }
    let CommandRule::Pattern(text) = wide else { return false };
    let bare = text.split_whitespace().count() == 1;
    let (names, wide_names) = (narrow.programs(), wide.programs());
    bare && !names.is_empty() && names.iter().all(|name| !name.contains(['*', '/']) && wide_names.contains(name))
}

/// Whether a rule matches every connection another one does.
fn reaches_all(wide_effect: Effect, wide: &NetRule, narrow_effect: Effect, narrow: &NetRule) -> bool {
    if wide.http.is_some() || std::ptr::eq(wide, narrow) {
        return false;
    }
    let hosts = match (&wide.host, &narrow.host) {
        (one, two) if one == two => true,
        (one, HostPattern::Name(name)) => Host::canonical(name).is_some_and(|host| one.matches(&host)),
        (HostPattern::Below(parent), HostPattern::Below(name)) => name.ends_with(&format!(".{parent}")),
        (HostPattern::AnyName, HostPattern::Below(_)) => true,
        (HostPattern::Addresses(one), HostPattern::Addresses(two)) => one.covers(two),
        _ => false,
    };
    let ports = |rule: &NetRule, effect| match (rule.ports.as_slice(), effect) {
        ([], Effect::Deny) => vec![Ports::ALL],
        ([], _) => vec![Ports { first: 80, last: 80 }, Ports { first: 443, last: 443 }],
        (ports, _) => ports.to_vec(),
    };
    let wide_ports = ports(wide, wide_effect);
    hosts
        && ports(narrow, narrow_effect)
            .iter()
            .all(|port| wide_ports.iter().any(|wide| wide.first <= port.first && port.last <= wide.last))
}

//! What the box and the network enforce without asking, compiled from the policy in force.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bartizan_model::Effect;

use crate::exposed::{Exposure, exposures};
use crate::files::{Hold, List, PathAccess, Paths, Restriction};
use crate::language::{CgroupLevel, Env, Limits, PolicyFile, RootLevel};
use crate::path;
use crate::pattern::{PathPattern, Segment, Wildcard};
use crate::place::At;
use crate::session::Label;
use crate::set::PolicySet;

/// How long a person has to answer when no policy says: long enough to read, short enough that a program
/// which waits isn't forgotten.
pub const APPROVAL_TIMEOUT: Duration = Duration::from_secs(120);
/// The port a resolver is asked on unless one is written.
const DNS_PORT: u16 = 53;

/// Everything the layers below the gate need to know.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Layers {
    /// Mounts, Landlock and the creation guard.
    pub files: FileLayer,
    /// The environment.
    pub env: EnvLayer,
    /// Secrets that the box itself holds.
    pub secrets: Vec<Exposure>,
    /// Control group, rlimits and the proxy's counters.
    pub limits: LimitsLayer,
    /// How the box is built.
    pub r#box: BoxLevel,
    /// What the network side needs before the first connection.
    pub net: NetLayer,
}

/// Which files the box shows. Trees are directories with everything beneath; [`PolicySet::classify`] tells
/// what a single path within them is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileLayer {
    /// Trees that may be read; none lies in another or in a tree of `write`.
    pub read: Vec<PathBuf>,
    /// Of those trees, or within them, the ones taken as they are: nothing in them is hidden by a pattern that
    /// matches anywhere.
    pub programs: Vec<PathBuf>,
    /// Single files that may be read.
    pub read_files: Vec<PathBuf>,
    /// Trees that may be read and written; none lies in another.
    pub write: Vec<PathBuf>,
    /// Single files that may be read and written.
    pub write_files: Vec<PathBuf>,
    /// What is not there though a tree holds it, for people: absolute patterns, exceptions with `!`.
    pub hide: Vec<String>,
    /// What in writable trees is never written, for people.
    pub readonly: Vec<String>,
    /// What in writable trees needs a person, for people.
    pub ask: Vec<String>,
    /// Rows of names (`.git`, `.git/hooks/**`, `.env.*`) with `*` as the only wildcard, ASCII case aside: a
    /// path in a writable tree can come to match a restriction only when something is made or moved to where
    /// its last names match a row, or below a row that ends in `/**`.
    pub guard_names: Vec<String>,
}

/// Which variables the program sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvLayer {
    /// Patterns of the variables passed in, as the user's policy lists them.
    pub pass: Vec<String>,
    /// Variables that are set, after those passed in.
    pub set: BTreeMap<String, String>,
    narrowed: Vec<Vec<String>>,
}

impl EnvLayer {
    /// Whether a variable of this name is passed in.
    #[must_use]
    pub fn passes(&self, name: &str) -> bool {
        let listed =
            |patterns: &[String]| patterns.iter().any(|pattern| Wildcard::new(pattern).matches(name.as_bytes(), false));
        listed(&self.pass) && self.narrowed.iter().all(|names| listed(names))
    }
}

/// How much may be used; what is absent isn't limited by policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the key of the same name in `limits`")]
#[non_exhaustive]
pub struct LimitsLayer {
    pub memory_bytes: Option<u64>,
    pub pids: Option<u64>,
    /// Thousandths of a processor.
    pub cpu_thousandths: Option<u32>,
    pub time: Option<Duration>,
    pub disk_bytes: Option<u64>,
    pub open_files: Option<u64>,
    pub file_size_bytes: Option<u64>,
    pub output_bytes: Option<u64>,
    pub egress_bytes: Option<u64>,
    pub connections: Option<u64>,
}

/// How the box is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxLevel {
    /// How much a control group matters; required unless the policy names less.
    pub cgroup: CgroupLevel,
    /// Who root is inside; an ordinary account unless the policy names root.
    pub root: RootLevel,
}

/// What the network side needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetLayer {
    /// The resolver to ask; the system's when absent.
    pub resolver: Option<SocketAddr>,
    /// Whether some destination's requests are decided one by one.
    pub inspects_http: bool,
    /// Whether anything can be reached at all.
    pub reaches_something: bool,
}

impl PolicySet {
    /// What the layers enforce.
    #[must_use]
    pub fn layers(&self) -> Layers {
        let user = self.user.file();
        let narrowing: Vec<&PolicyFile> = self.narrowing().map(|policy| policy.file()).collect();
        let all: Vec<&PolicyFile> = std::iter::once(user).chain(narrowing.iter().copied()).collect();
        Layers {
            files: self.file_layer(),
            env: env_layer(user.env.as_ref(), &narrowing),
            secrets: user.secrets.iter().flat_map(|secrets| exposures(secrets, &self.context)).collect(),
            limits: limits_layer(&all.iter().filter_map(|file| file.limits.as_ref()).collect::<Vec<_>>()),
            r#box: box_level(user, &narrowing),
            net: NetLayer { inspects_http: inspects_http(&all) || !self.bound_secrets().is_empty(), ..net_layer(user) },
        }
    }

    /// How long a person has to answer.
    #[must_use]
    pub fn approval_timeout(&self) -> Duration {
        let timeout = |file: &PolicyFile| {
            file.approvals.as_ref().and_then(|approvals| approvals.timeout.as_ref()).map(|timeout| timeout.value.0)
        };
        let user = timeout(self.user.file()).unwrap_or(APPROVAL_TIMEOUT);
        self.narrowing().filter_map(|policy| timeout(policy.file())).fold(user, Duration::min)
    }

    /// What a path is in the box. Symbolic links are the caller's to resolve. What is relative is absent.
    #[must_use]
    pub fn classify(&self, path: &Path) -> PathAccess {
        let Some(path) = path::canonical(path.as_os_str().as_bytes()) else { return PathAccess::Absent };
        let narrowing = self.narrowing.iter().map(|narrowing| &narrowing.compiled);
        std::iter::once(&self.compiled)
            .chain(narrowing)
            .filter_map(|compiled| compiled.files.as_ref())
            .map(|section| section.rules.classify(&path))
            .min_by_key(|access| freedom(*access))
            .unwrap_or(PathAccess::Absent)
    }

    /// The labels of files that the box may read without asking. A pattern that could match a readable file counts,
    /// whether or not there is such a file.
    #[must_use]
    pub fn readable_labels(&self) -> Vec<Label> {
        let files = self.file_layer();
        let roots: Vec<&PathBuf> =
            [&files.read, &files.read_files, &files.write, &files.write_files].into_iter().flatten().collect();
        let policies = std::iter::once(self.user.file()).chain(self.narrowing().map(|policy| policy.file()));
        let rules = policies.filter_map(|file| file.labels.as_ref()).flat_map(|labels| labels.data.iter().flatten());
        let mut found: Vec<Label> = Vec::new();
        for rule in rules {
            let Some(label) = Label::parse(&rule.value.label) else { continue };
            let patterns = rule.value.files.iter().flat_map(|text| PathPattern::parse(text).unwrap_or_default());
            let readable = patterns.into_iter().any(|pattern| {
                let mut start = crate::deeds::base(&pattern, &self.context).to_vec();
                start.extend_from_slice(pattern.literal_prefix().as_bytes());
                let start = PathBuf::from(OsString::from_vec(if start.is_empty() { b"/".to_vec() } else { start }));
                let hidden = matches!(self.classify(&start), PathAccess::Hidden);
                !hidden && roots.iter().any(|root| root.starts_with(&start) || start.starts_with(root))
            });
            if readable && !found.contains(&label) {
                found.push(label);
            }
        }
        found
    }

    fn file_layer(&self) -> FileLayer {
        let user = self.compiled.files.as_ref().map(|section| &section.rules);
        let narrowing: Vec<&Paths> = self
            .narrowing
            .iter()
            .filter_map(|narrowing| narrowing.compiled.files.as_ref())
            .map(|section| &section.rules)
            .collect();
        let Some(user) = user else { return FileLayer::default() };
        let mut readable = Roots::of(user, |_| true);
        if user.read_default == Effect::Allow {
            readable.trees.push(PathBuf::from("/"));
        }
        let mut writable = Roots::of(user, |write| write);
        for project in &narrowing {
            if project.read_default != Effect::Allow {
                readable = readable.within(&Roots::of(project, |_| true));
            }
            if project.write_default != Effect::Allow {
                writable = writable.within(&Roots::of(project, |write| write || project.read_is_writable));
            }
            writable = writable.within(&readable);
        }
        let writable = writable.reduced();
        let readable = readable.without(&writable).reduced();
        let restrictions: Vec<&Restriction> =
            std::iter::once(user).chain(narrowing).flat_map(|paths| &paths.restrictions).collect();
        let shown = |list: List| {
            let mut texts: Vec<String> = Vec::new();
            for text in
                restrictions.iter().filter(|restriction| restriction.list == list).map(|restriction| show(restriction))
            {
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
            texts
        };
        FileLayer {
            hide: shown(List::Deny),
            readonly: shown(List::Protect),
            ask: shown(List::Ask),
            guard_names: guard_names(&restrictions, &writable.trees),
            programs: user
                .grants
                .iter()
                .filter(|grant| grant.programs && grant.tree)
                .map(|grant| PathBuf::from(OsString::from_vec(grant.path.clone())))
                .collect(),
            read: readable.trees,
            read_files: readable.files,
            write: writable.trees,
            write_files: writable.files,
        }
    }
}

fn freedom(access: PathAccess) -> u8 {
    match access {
        PathAccess::Absent => 0,
        PathAccess::Hidden => 1,
        PathAccess::Read => 2,
        PathAccess::ReadOnly(Hold::Protect) => 3,
        PathAccess::ReadOnly(Hold::Ask) => 4,
        PathAccess::Write => 5,
    }
}

/// Granted trees and files.
#[derive(Debug, Default)]
struct Roots {
    trees: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Roots {
    fn of(paths: &Paths, wanted: impl Fn(bool) -> bool) -> Self {
        let mut roots = Self::default();
        for grant in paths.grants.iter().filter(|grant| wanted(grant.write)) {
            let path = PathBuf::from(OsString::from_vec(grant.path.clone()));
            if grant.tree { roots.trees.push(path) } else { roots.files.push(path) }
        }
        roots
    }

    fn hold(&self, path: &Path) -> bool {
        self.trees.iter().any(|tree| path.starts_with(tree))
    }

    /// What both grant.
    fn within(&self, other: &Self) -> Self {
        let mut both = Self::default();
        for (one, two) in [(self, other), (other, self)] {
            both.trees.extend(one.trees.iter().filter(|tree| two.hold(tree)).cloned());
            both.files.extend(one.files.iter().filter(|file| two.hold(file) || two.files.contains(file)).cloned());
        }
        both
    }

    /// What of this the other doesn't grant already.
    fn without(mut self, other: &Self) -> Self {
        self.trees.retain(|tree| !other.hold(tree));
        self.files.retain(|file| !other.hold(file) && !other.files.contains(file));
        self
    }

    /// The same without what lies in another of its trees, sorted.
    fn reduced(mut self) -> Self {
        self.trees.sort();
        self.trees.dedup();
        // A directory sorts right before what is in it.
        let mut all: Vec<PathBuf> = Vec::with_capacity(self.trees.len());
        for tree in self.trees {
            if !all.last().is_some_and(|parent| tree.starts_with(parent)) {
                all.push(tree);
            }
        }
        self.files.retain(|file| !all.iter().any(|tree| file.starts_with(tree)));
        self.trees = all;
        self.files.sort();
        self.files.dedup();
        self
    }
}

fn show(restriction: &Restriction) -> String {
    let mut text = String::new();
    if restriction.exception {
        text.push('!');
    }
    text.push_str(&String::from_utf8_lossy(&restriction.base));
    for (index, segment) in restriction.pattern.segments.iter().enumerate() {
        let anywhere = index == 0 && restriction.base.is_empty() && *segment == Segment::AnyDepth;
        if !anywhere {
            text.push('/');
        }
        text.push_str(match segment {
            Segment::Literal(component) => component,
            Segment::Wild(_, component) => component,
            Segment::AnyDepth => "**",
        });
    }
    text
}

/// See [`FileLayer::guard_names`].
fn guard_names(restrictions: &[&Restriction], trees: &[PathBuf]) -> Vec<String> {
    let mut rows = BTreeSet::new();
    for restriction in restrictions.iter().filter(|restriction| !restriction.exception) {
        let base = String::from_utf8_lossy(&restriction.base).into_owned();
        let fixed = PathBuf::from(format!("{base}{}/", restriction.pattern.literal_prefix()));
        let base_names = base.split('/').filter(|name| !name.is_empty()).map(|name| Some(name.to_owned()));
        let pattern_names = restriction.pattern.segments.iter().map(|segment| match segment {
            Segment::Literal(name) => Some(name.to_string()),
            // The guard knows only `*`; what it asks too much about is decided by the whole pattern.
            Segment::Wild(_, name) => Some(name.replace('?', "*")),
            Segment::AnyDepth => None,
        });
        let names: Vec<Option<String>> = base_names.chain(pattern_names).collect();
        for tree in trees {
            // Names above the tree's root can't be made from within it.
            if fixed.starts_with(tree) {
                let below = tree.components().count().saturating_sub(1);
                add_rows(names.get(below..).unwrap_or_default(), &mut rows);
            } else if tree.starts_with(&fixed) {
                // Wildcards may stand for names above the root: every end of the pattern counts, up to a `**`,
                // which stands for all of them.
                let open = fixed.components().count().saturating_sub(1);
                for from in open..names.len() {
                    let rest = names.get(from..).unwrap_or_default();
                    add_rows(rest, &mut rows);
                    if let Some(None) = rest.first() {
                        break;
                    }
                }
            }
        }
    }
    rows.into_iter().collect()
}

/// The rows of names between the `**` of a pattern, and what begins each of them.
fn add_rows(names: &[Option<String>], rows: &mut BTreeSet<String>) {
    let ends_deep = names.last().is_some_and(Option::is_none);
    let runs: Vec<&[Option<String>]> = names.split(Option::is_none).filter(|run| !run.is_empty()).collect();
    if runs.is_empty() {
        // The pattern covers the whole tree.
        rows.insert("*".to_owned());
    }
    for (index, run) in runs.iter().enumerate() {
        let run: Vec<&str> = run.iter().flatten().map(String::as_str).collect();
        for length in 1..=run.len() {
            let row = run.get(..length).unwrap_or_default();
            let whole = length == run.len();
            if !whole && row.iter().all(|name| *name == "*") {
                continue;
            }
            let deep = whole && index + 1 == runs.len() && ends_deep;
            rows.insert(format!("{}{}", row.join("/"), if deep { "/**" } else { "" }));
        }
    }
}

fn env_layer(user: Option<&Env>, narrowing: &[&PolicyFile]) -> EnvLayer {
    let names = |pass: &Vec<At<String>>| pass.iter().map(|name| name.value.clone()).collect::<Vec<_>>();
    EnvLayer {
        pass: user.and_then(|env| env.pass.as_ref()).map(names).unwrap_or_default(),
        set: user
            .and_then(|env| env.set.as_ref())
            .map(|set| set.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect())
            .unwrap_or_default(),
        narrowed: narrowing.iter().filter_map(|file| file.env.as_ref()?.pass.as_ref()).map(names).collect(),
    }
}

fn limits_layer(files: &[&Limits]) -> LimitsLayer {
    fn least<T, V: Ord>(
        files: &[&Limits],
        limit: impl Fn(&Limits) -> Option<&At<T>>,
        value: impl Fn(&T) -> V,
    ) -> Option<V> {
        files.iter().filter_map(|limits| limit(limits).map(|limit| value(&limit.value))).min()
    }
    LimitsLayer {
        memory_bytes: least(files, |limits| limits.memory.as_ref(), |bytes| bytes.0),
        pids: least(files, |limits| limits.pids.as_ref(), |count| *count),
        cpu_thousandths: least(files, |limits| limits.cpu.as_ref(), |cpus| cpus.0),
        time: least(files, |limits| limits.time.as_ref(), |span| span.0),
        disk_bytes: least(files, |limits| limits.disk.as_ref(), |bytes| bytes.0),
        open_files: least(files, |limits| limits.open_files.as_ref(), |count| *count),
        file_size_bytes: least(files, |limits| limits.file_size.as_ref(), |bytes| bytes.0),
        output_bytes: least(files, |limits| limits.output.as_ref(), |bytes| bytes.0),
        egress_bytes: least(files, |limits| limits.egress_bytes.as_ref(), |bytes| bytes.0),
        connections: least(files, |limits| limits.connections.as_ref(), |count| *count),
    }
}

fn box_level(user: &PolicyFile, narrowing: &[&PolicyFile]) -> BoxLevel {
    let cgroup =
        |file: &PolicyFile| file.r#box.as_ref().and_then(|section| section.cgroup.as_ref()).map(|level| level.value);
    let root =
        |file: &PolicyFile| file.r#box.as_ref().and_then(|section| section.root.as_ref()).map(|level| level.value);
    // What narrows counts only where it is stricter.
    let (cgroups, roots) = (narrowing.iter().copied().filter_map(cgroup), narrowing.iter().copied().filter_map(root));
    BoxLevel {
        cgroup: cgroups.fold(cgroup(user).unwrap_or(CgroupLevel::Required), CgroupLevel::max),
        root: roots.fold(root(user).unwrap_or(RootLevel::Drop), RootLevel::max),
    }
}

fn net_layer(user: &PolicyFile) -> NetLayer {
    let resolver = user.net.as_ref().and_then(|net| net.resolver.as_ref()).and_then(|text| {
        let whole = text.value.parse::<SocketAddr>().ok();
        whole.or_else(|| text.value.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, DNS_PORT)))
    });
    let reaches_something = user.net.as_ref().is_some_and(|net| {
        net.default.as_ref().is_some_and(|default| default.value != Effect::Deny)
            || [&net.allow, &net.ask].into_iter().flatten().any(|list| !list.is_empty())
    });
    NetLayer { resolver, inspects_http: false, reaches_something }
}

/// Whether some rule decides single requests.
fn inspects_http(all: &[&PolicyFile]) -> bool {
    let mut nets = all.iter().filter_map(|file| file.net.as_ref());
    nets.any(|net| {
        [&net.allow, &net.ask, &net.deny]
            .into_iter()
            .flatten()
            .flatten()
            .any(|rule| rule.value.http.is_some() || rule.value.llm.is_some())
    })
}

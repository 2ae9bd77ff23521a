//! Section `files`: what may be read and written, and what a box must hide or hold.

use bartizan_model::Effect;
use smallvec::SmallVec;

use crate::context::Context;
use crate::language::Files;
use crate::pattern::{Base, PathPattern, Segment, Shape};
use crate::place::At;
use crate::policy::Role;
use crate::rule::{RuleInfo, id};
use crate::tree::{Mode, Tree};

/// The lists of the section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Read,
    Programs,
    Write,
    Ask,
    Protect,
    Deny,
}

/// How a path was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFound {
    Rule(Effect, u32),
    /// It may be read by this rule, and writing was asked for.
    ReadOnly(u32),
    Default(Effect),
}

/// What a path is in the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathAccess {
    /// No rule grants it: not there.
    Absent,
    /// A rule denies it: not there, though what surrounds it is.
    Hidden,
    /// May be read.
    Read,
    /// Lies where writing is allowed, but only may be read.
    ReadOnly(Hold),
    /// May be read and written.
    Write,
}

/// Why a path within a writable tree can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// A person decides.
    Ask,
    /// Never.
    Protect,
}

#[derive(Debug)]
struct Entry {
    list: List,
    /// Position in its list; an exception reaches those before it.
    index: u32,
    exception: bool,
    /// It restricts by name alone, wherever that stands: it doesn't reach into trees of programs.
    anywhere: bool,
}

/// A granted tree or file, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) path: Vec<u8>,
    pub(crate) tree: bool,
    pub(crate) write: bool,
    pub(crate) programs: bool,
}

/// A restricting pattern, resolved.
#[derive(Debug)]
pub(crate) struct Restriction {
    pub(crate) list: List,
    pub(crate) base: Vec<u8>,
    pub(crate) pattern: PathPattern,
    pub(crate) exception: bool,
}

/// The compiled section.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(crate) rules: Vec<RuleInfo>,
    entries: Vec<Entry>,
    granting: Tree,
    restricting: Tree,
    pub(crate) grants: Vec<Grant>,
    pub(crate) restrictions: Vec<Restriction>,
    pub(crate) read_default: Effect,
    pub(crate) write_default: Effect,
    /// In a project that says nothing about writing, what may be read isn't thereby read-only.
    pub(crate) read_is_writable: bool,
    role: Role,
}

/// Matching rules; more than a handful never match one path.
type Matches = SmallVec<[u32; 16]>;

impl Paths {
    pub(crate) fn compile(files: &Files, role: Role, context: &Context) -> Self {
        let explicit = files.default.as_ref().map(|default| default.value);
        let (read_default, write_default) = match (role, explicit) {
            (_, Some(default)) => (default, default),
            (Role::User, None) => (Effect::Deny, Effect::Deny),
            (Role::Project, None) => (
                if files.read.is_some() || files.programs.is_some() { Effect::Deny } else { Effect::Allow },
                if files.read.is_some() || files.programs.is_some() || files.write.is_some() {
                    Effect::Deny
                } else {
                    Effect::Allow
                },
            ),
        };
        let mut compiled = Self {
            rules: Vec::new(),
            entries: Vec::new(),
            granting: Tree::new(Mode::Grant),
            restricting: Tree::new(Mode::Restrict),
            grants: Vec::new(),
            restrictions: Vec::new(),
            read_default,
            write_default,
            read_is_writable: role == Role::Project && files.write.is_none(),
            role,
        };
        let lists = [
            (List::Read, "read", &files.read),
            (List::Programs, "programs", &files.programs),
            (List::Write, "write", &files.write),
            (List::Ask, "ask", &files.ask),
            (List::Protect, "protect", &files.protect),
            (List::Deny, "deny", &files.deny),
        ];
        for (list, name, texts) in lists {
            for (index, text) in texts.iter().flatten().enumerate() {
                compiled.push(list, &format!("files.{name}[{index}]"), id(index), text, context);
            }
        }
        if role == Role::User {
            compiled.push_control(context);
        }
        compiled
    }

    fn push(&mut self, list: List, rule: &str, index: u32, text: &At<String>, context: &Context) {
        let (exception, pattern_text) = match text.value.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text.value.as_str()),
        };
        let Ok(patterns) = PathPattern::parse(pattern_text) else { return };
        let number = id(self.rules.len());
        let effect = match list {
            List::Read | List::Programs | List::Write => Effect::Allow,
            List::Ask => Effect::Ask,
            List::Protect | List::Deny => Effect::Deny,
        };
        let base = |pattern: &PathPattern| match pattern.base {
            Base::Root => &[] as &[u8],
            Base::Home => context.home(),
            Base::Workspace => context.workspace(),
        };
        let rank = patterns.iter().map(|pattern| pattern.rank(base(pattern).len())).max().unwrap_or(0);
        self.rules.push(RuleInfo::new(rule.to_owned(), &text.value, &text.place, effect, rank));
        let anywhere = patterns
            .iter()
            .all(|pattern| pattern.base == Base::Root && pattern.segments.first() == Some(&Segment::AnyDepth));
        self.entries.push(Entry { list, index, exception, anywhere });
        for pattern in patterns {
            let base = base(&pattern);
            if matches!(list, List::Read | List::Programs | List::Write) {
                self.granting.insert(base, &pattern.segments, number);
                let mut path = base.to_vec();
                path.extend_from_slice(pattern.literal_prefix().as_bytes());
                if path.is_empty() {
                    path.push(b'/');
                }
                self.grants.push(Grant {
                    path,
                    tree: pattern.shape() == Shape::Tree,
                    write: list == List::Write,
                    programs: list == List::Programs,
                });
            } else {
                self.restricting.insert(base, &pattern.segments, number);
                self.restrictions.push(Restriction { list, base: base.to_vec(), pattern, exception });
            }
        }
    }

    /// What holds whatever a policy says: Bartizan's own files are not there, and no policy can be rewritten by
    /// the program it governs.
    fn push_control(&mut self, context: &Context) {
        let mut add = |list: List, rule: &str, text: String, base: &[u8], pattern: PathPattern| {
            let number = id(self.rules.len());
            let rank = u32::MAX;
            self.rules.push(RuleInfo { rule: rule.into(), text, place: None, effect: Effect::Deny, rank });
            self.entries.push(Entry { list, index: u32::MAX, exception: false, anywhere: false });
            self.restricting.insert(base, &pattern.segments, number);
            self.restrictions.push(Restriction { list, base: base.to_vec(), pattern, exception: false });
        };
        for path in context.control() {
            let nothing = PathPattern { base: Base::Root, segments: Vec::new() };
            add(List::Deny, "control.home", String::from_utf8_lossy(path).into_owned(), path, nothing);
        }
        for path in context.protected() {
            let nothing = PathPattern { base: Base::Root, segments: Vec::new() };
            add(List::Protect, "control.policy", String::from_utf8_lossy(path).into_owned(), path, nothing);
        }
        for pattern in PathPattern::parse("**/{bartizan.yaml,bartizan.yml}").unwrap_or_default() {
            add(List::Protect, "control.policy", "**/bartizan.yaml".into(), &[], pattern);
        }
    }

    fn matches(&self, path: &[u8]) -> Matches {
        let mut found = Matches::new();
        let mut add = |number: u32| {
            if !found.contains(&number) {
                found.push(number);
            }
        };
        self.granting.visit(path, &mut add);
        self.restricting.visit(path, &mut add);
        let holds = |found: &Matches, list| {
            found.iter().any(|number| self.entries.get(*number as usize).is_some_and(|entry| entry.list == list))
        };
        if holds(&found, List::Programs) && !holds(&found, List::Write) {
            found.retain(|number| self.entries.get(*number as usize).is_some_and(|entry| !entry.anywhere));
        }
        let mut exempt: SmallVec<[(List, u32); 4]> = SmallVec::new();
        for entry in found.iter().filter_map(|number| self.entries.get(*number as usize)) {
            if entry.exception {
                exempt.push((entry.list, entry.index));
            }
        }
        found.retain(|number| {
            self.entries.get(*number as usize).is_some_and(|entry| {
                !entry.exception
                    && !exempt
                        .iter()
                        .any(|(list, index)| *list == entry.list && *index > entry.index && entry.index != u32::MAX)
            })
        });
        found
    }

    /// The most specific match in one of the lists.
    fn best(&self, matches: &Matches, list: List) -> Option<u32> {
        matches
            .iter()
            .filter(|number| self.entries.get(**number as usize).is_some_and(|entry| entry.list == list))
            .max_by_key(|number| (self.rules.get(**number as usize).map(|rule| rule.rank), **number))
            .copied()
    }

    /// The most specific match that lets read without letting write.
    fn readable(&self, matches: &Matches) -> Option<u32> {
        self.best(matches, List::Read).or_else(|| self.best(matches, List::Programs))
    }

    /// Tells every rule that holds for this canonical path, exceptions taken out.
    pub(crate) fn visit(&self, path: &[u8], found: impl FnMut(u32)) {
        self.matches(path).into_iter().for_each(found);
    }

    /// The list a rule stands in.
    pub(crate) fn list(&self, number: u32) -> Option<List> {
        self.entries.get(number as usize).map(|entry| entry.list)
    }

    pub(crate) fn decide_read(&self, path: &[u8]) -> FileFound {
        let matches = self.matches(path);
        if let Some(number) = self.best(&matches, List::Deny) {
            return FileFound::Rule(Effect::Deny, number);
        }
        match self.readable(&matches).or(self.best(&matches, List::Write)) {
            Some(number) => FileFound::Rule(Effect::Allow, number),
            None => FileFound::Default(self.read_default),
        }
    }

    /// With `opens_a_way` what comes to stand at the path may have content of its own.
    pub(crate) fn decide_write(&self, path: &[u8], opens_a_way: bool) -> FileFound {
        let mut matches = self.matches(path);
        if opens_a_way {
            self.restricting.visit_begun(path, |number| {
                let counts = self.entries.get(number as usize).is_some_and(|entry| !entry.exception);
                if counts && !matches.contains(&number) {
                    matches.push(number);
                }
            });
        }
        if let Some(number) = self.best(&matches, List::Deny).or(self.best(&matches, List::Protect)) {
            return FileFound::Rule(Effect::Deny, number);
        }
        let granted = match (self.best(&matches, List::Write), self.readable(&matches)) {
            (Some(number), _) => FileFound::Rule(Effect::Allow, number),
            (None, Some(number)) if self.read_is_writable => FileFound::Rule(Effect::Allow, number),
            (None, Some(number)) => FileFound::ReadOnly(number),
            (None, None) => FileFound::Default(self.write_default),
        };
        // `ask` holds back what is granted; it grants nothing itself.
        match (granted, self.best(&matches, List::Ask)) {
            (FileFound::ReadOnly(_) | FileFound::Default(Effect::Deny), _) | (_, None) => granted,
            (_, Some(number)) => FileFound::Rule(Effect::Ask, number),
        }
    }

    /// What a canonical path is in the box.
    pub(crate) fn classify(&self, path: &[u8]) -> PathAccess {
        let matches = self.matches(path);
        if self.best(&matches, List::Deny).is_some() {
            return PathAccess::Hidden;
        }
        let written = self.best(&matches, List::Write).is_some();
        let read = self.readable(&matches).is_some();
        // A box mounts what is listed; a user's `default: allow` lets read, a project's has no opinion.
        let unspoken = self.role == Role::Project && !read && self.write_default == Effect::Allow;
        let writable = written || (read && self.read_is_writable) || unspoken;
        if !writable {
            return if read || written || self.read_default == Effect::Allow {
                PathAccess::Read
            } else {
                PathAccess::Absent
            };
        }
        if !(read || written) && self.read_default != Effect::Allow {
            return PathAccess::Absent;
        }
        if self.best(&matches, List::Protect).is_some() {
            PathAccess::ReadOnly(Hold::Protect)
        } else if self.best(&matches, List::Ask).is_some() {
            PathAccess::ReadOnly(Hold::Ask)
        } else {
            PathAccess::Write
        }
    }
}

//! Section `exec`: which programs may be started with which arguments.
//!
//! What a rule says of a command is decided in `pattern` and `grammar`. A command line that starts others (shell
//! text, `env`, `xargs`, …) is followed to each of them (`follow`, `carriers`, `shell`): each is decided on its own
//! and the strictest answer holds. What can't be followed is not allowed by a rule.

mod arguments;
mod carriers;
mod follow;
mod grammar;
mod line;
mod pattern;
mod scripts;
mod shell;
mod sql;
mod value;
mod variables;

use std::cell::Cell;
use std::collections::HashMap;

use bartizan_model::Effect;
use smallvec::SmallVec;

use crate::context::Context;
use crate::exec::arguments::Arguments;
use crate::exec::pattern::{Program, Wanted};
use crate::language::{Exec, Files};
use crate::path;
use crate::pattern::{Base, PathPattern, Wildcard};
use crate::policy::Role;
use crate::rule::{Best, RuleInfo, id};
use crate::tree::{Mode, Tree};

pub(crate) use line::{Found, Line, commands_within};
pub(crate) use pattern::CommandPattern;

/// Where programs lie when a policy doesn't say it in `files.programs`.
const SYSTEM: &[&str] = &["/usr/**", "/{bin,sbin,lib,lib32,lib64,libx32}/**", "/opt/**", "/nix/store/**"];

/// One alternative of a rule.
#[derive(Debug)]
struct Alternative {
    rule: u32,
    wanted: Wanted,
    /// The program is meant by name, so an `allow` holds only where programs lie.
    by_name: bool,
    /// Every word is written out, so what the command starts is known to whoever wrote it.
    literal: bool,
}

/// The compiled section.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) rules: Vec<RuleInfo>,
    alternatives: Vec<Alternative>,
    by_name: HashMap<String, SmallVec<[u32; 4]>>,
    by_wildcard: Vec<(Wildcard, u32)>,
    by_path: Tree,
    /// Trees of programs; `None` where the user's policy settles that.
    places: Option<Tree>,
    home: Vec<u8>,
    workspace: Vec<u8>,
    pub(crate) default: Effect,
    /// For command lines that can't be followed, if that is stricter than the default.
    unclear: Effect,
}

/// A command as the rules are asked about it.
struct Asked<'a, A: ?Sized> {
    program: &'a str,
    arguments: &'a A,
    /// Where a relative path starts; `None` when that isn't known.
    cwd: Option<&'a str>,
    /// Variables set for it that a rule has to list.
    variables: &'a [String],
}

/// What the rules say of one command.
#[derive(Debug, Default)]
struct Answer {
    best: Best,
    /// A rule that allows it writes it out whole.
    literal: bool,
}

impl Commands {
    pub(crate) fn compile(exec: &Exec, default: Effect, files: Option<&Files>, role: Role, context: &Context) -> Self {
        let mut compiled = Self {
            rules: Vec::new(),
            alternatives: Vec::new(),
            by_name: HashMap::new(),
            by_wildcard: Vec::new(),
            by_path: Tree::new(Mode::Grant),
            places: (role == Role::User).then(|| places(files, context)),
            home: context.home().to_vec(),
            workspace: context.workspace().to_vec(),
            default,
            unclear: exec.unclear.as_ref().map_or(Effect::Ask, |unclear| unclear.value),
        };
        for (effect, list) in [(Effect::Allow, &exec.allow), (Effect::Ask, &exec.ask), (Effect::Deny, &exec.deny)] {
            for (index, rule) in list.iter().flatten().enumerate() {
                let Ok(patterns) = CommandPattern::parse(&rule.value) else { continue };
                let rank = patterns.iter().map(CommandPattern::rank).max().unwrap_or(0);
                let number = id(compiled.rules.len());
                let name = format!("exec.{}[{index}]", effect.as_str());
                compiled.rules.push(RuleInfo::new(name, &rule.value.to_string(), &rule.place, effect, rank));
                for pattern in patterns {
                    compiled.push(number, pattern, context);
                }
            }
        }
        compiled
    }

    fn push(&mut self, rule: u32, pattern: CommandPattern, context: &Context) {
        let number = id(self.alternatives.len());
        let by_name = matches!(pattern.program, Program::Name(..));
        let literal = pattern.wanted.is_literal();
        self.alternatives.push(Alternative { rule, wanted: pattern.wanted, by_name, literal });
        match pattern.program {
            Program::Name(wildcard, name) if wildcard.is_literal() => {
                self.by_name.entry(name).or_default().push(number);
            }
            Program::Name(wildcard, _) => self.by_wildcard.push((wildcard, number)),
            Program::Path(patterns) => {
                for pattern in patterns {
                    self.by_path.insert(base(&pattern, context), &pattern.segments, number);
                }
            }
        }
    }

    /// Tells every rule that matches the command line itself; `arguments` start with `argv[0]`.
    pub(crate) fn visit(&self, program: &str, arguments: &[String], mut found: impl FnMut(u32)) {
        let arguments = arguments.get(1..).unwrap_or_default();
        self.offer(&Asked { program, arguments, cwd: None, variables: &[] }, |rule, _| found(rule));
    }

    fn ask(&self, asked: &Asked<'_, impl Arguments + ?Sized>) -> Answer {
        let mut answer = Answer::default();
        self.offer(asked, |number, literal| {
            if let Some(rule) = self.rules.get(number as usize) {
                answer.best.offer(rule.effect, rule.rank, number);
                answer.literal |= literal && rule.effect == Effect::Allow;
            }
        });
        answer
    }

    fn offer(&self, asked: &Asked<'_, impl Arguments + ?Sized>, mut found: impl FnMut(u32, bool)) {
        let resolved = self.resolve(asked.program, asked.cwd);
        let lies_right = Cell::new(None);
        let lies_right = || {
            let known = lies_right.get().unwrap_or_else(|| self.is_program(asked.program, resolved.as_deref()));
            lies_right.set(Some(known));
            known
        };
        let mut offer = |number: u32| {
            let Some(alternative) = self.alternatives.get(number as usize) else { return };
            let allows = self.rules.get(alternative.rule as usize).is_none_or(|rule| rule.effect == Effect::Allow);
            // What allows must be sure, what holds back need only be possible.
            let matches = if allows {
                alternative.wanted.covers(asked.arguments)
                    && asked.variables.iter().all(|variable| alternative.wanted.lets_set(variable))
                    && (!alternative.by_name || lies_right())
            } else {
                alternative.wanted.touches(asked.arguments)
            };
            if matches {
                found(alternative.rule, alternative.literal);
            }
        };
        let name = asked.program.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        self.by_name.get(name).into_iter().flatten().copied().for_each(&mut offer);
        for (wildcard, number) in &self.by_wildcard {
            if wildcard.matches(name.as_bytes(), false) {
                offer(*number);
            }
        }
        if let Some(path) = &resolved {
            self.by_path.visit(path, offer);
        }
    }

    /// The program's path, if it is one; a bare name is none.
    fn resolve<'a>(&self, program: &'a str, cwd: Option<&str>) -> Option<std::borrow::Cow<'a, [u8]>> {
        if program.starts_with('/') || !program.contains('/') {
            return path::canonical(program.as_bytes());
        }
        let whole = [cwd?.as_bytes(), b"/", program.as_bytes()].concat();
        path::canonical(&whole).map(|path| path.into_owned().into())
    }

    /// Whether a program that a rule names is where programs lie, and no namesake an agent could have written.
    /// A bare name is looked up outside of what a policy knows.
    fn is_program(&self, program: &str, path: Option<&[u8]>) -> bool {
        let Some(places) = &self.places else { return true };
        if !program.contains('/') {
            return true;
        }
        let mut found = false;
        if let Some(path) = path {
            places.visit(path, |_| found = true);
        }
        found
    }
}

fn base<'a>(pattern: &PathPattern, context: &'a Context) -> &'a [u8] {
    match pattern.base {
        Base::Root => b"",
        Base::Home => context.home(),
        Base::Workspace => context.workspace(),
    }
}

fn places(files: Option<&Files>, context: &Context) -> Tree {
    let mut tree = Tree::new(Mode::Grant);
    let listed = files.and_then(|files| files.programs.as_ref());
    let texts: Vec<&str> = match listed {
        Some(list) => list.iter().map(|text| text.value.as_str()).collect(),
        None => SYSTEM.to_vec(),
    };
    for text in texts {
        for pattern in PathPattern::parse(text).unwrap_or_default() {
            tree.insert(base(&pattern, context), &pattern.segments, 0);
        }
    }
    tree
}

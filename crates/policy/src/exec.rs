//! Section `exec`: which programs may be started with which arguments.

use std::collections::HashMap;

use bartizan_model::Effect;
use smallvec::SmallVec;

use crate::language::Exec;
use crate::path;
use crate::pattern::{PathPattern, Wildcard, rank, unfold};
use crate::place::quoted;
use crate::rule::{Best, RuleInfo, id};
use crate::tree::{Mode, Tree};

/// A command pattern: a program and, optionally, its arguments.
#[derive(Debug, Clone)]
pub(crate) struct CommandPattern {
    program: Program,
    /// `None` for a bare program: any arguments.
    arguments: Option<Vec<Argument>>,
}

#[derive(Debug, Clone)]
enum Program {
    /// By its file name, wherever it lies.
    Name(Wildcard, String),
    /// By its path.
    Path(Vec<PathPattern>),
}

#[derive(Debug, Clone)]
enum Argument {
    /// One argument of this form.
    One(Wildcard),
    /// Any number of arguments, none included.
    Rest,
}

impl CommandPattern {
    /// Reads a pattern, braces unfolded; the message says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, String> {
        unfold(text)?.iter().map(|alternative| Self::parse_one(alternative)).collect()
    }

    fn parse_one(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let Some(first) = words.next() else {
            return Err("a command pattern can't be empty".into());
        };
        if text.contains(['"', '\'', '\\']) || text.chars().any(char::is_control) {
            return Err(format!(
                "{}: quotes, backslashes and control characters are not read; write `?` for a character such as a space",
                quoted(text)
            ));
        }
        let program = if first.starts_with('/') {
            Program::Path(PathPattern::parse(first)?)
        } else if first.contains('/') {
            return Err(format!("{}: a program is a name (`git`) or an absolute path (`/usr/bin/git`)", quoted(first)));
        } else {
            Program::Name(Wildcard::new(first), first.to_owned())
        };
        let words: Vec<&str> = words.collect();
        let last = words.len().saturating_sub(1);
        let arguments = words.iter().enumerate().map(|(index, word)| match *word {
            "**" => Argument::Rest,
            "*" if index == last => Argument::Rest,
            word => Argument::One(Wildcard::new(word)),
        });
        let arguments = if words.is_empty() { None } else { Some(arguments.collect()) };
        Ok(Self { program, arguments })
    }

    fn rank(&self) -> u32 {
        let (mut fixed, mut open) = match &self.program {
            Program::Name(wildcard, _) => (wildcard.literal_bytes(), usize::from(!wildcard.is_literal())),
            Program::Path(patterns) => {
                (patterns.iter().map(|pattern| pattern.rank(0) / 256).max().unwrap_or(0) as usize, 0)
            }
        };
        match &self.arguments {
            None => open += 1,
            Some(arguments) => {
                for argument in arguments {
                    match argument {
                        Argument::One(wildcard) => fixed += wildcard.literal_bytes() + 1,
                        Argument::Rest => open += 1,
                    }
                }
            }
        }
        rank(fixed, open)
    }
}

/// Whether the arguments (without `argv[0]`) fit; only the last `**` is ever taken back.
fn fit(pattern: &[Argument], arguments: &[String]) -> bool {
    let (mut at, mut next) = (0_usize, 0_usize);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let fits = match (pattern.get(next), arguments.get(at)) {
            (None, None) => return true,
            (Some(Argument::Rest), _) => {
                retry = Some((next, at));
                next += 1;
                continue;
            }
            (Some(Argument::One(wildcard)), Some(argument)) => wildcard.matches(argument.as_bytes(), false),
            _ => false,
        };
        match retry {
            _ if fits => {
                at += 1;
                next += 1;
            }
            Some((rest, from)) if from < arguments.len() => {
                retry = Some((rest, from + 1));
                at = from + 1;
                next = rest + 1;
            }
            _ => return false,
        }
    }
}

/// The compiled section.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) rules: Vec<RuleInfo>,
    /// The alternatives of all rules: whose they are, and the arguments they want.
    alternatives: Vec<(u32, Option<Vec<Argument>>)>,
    by_name: HashMap<String, SmallVec<[u32; 4]>>,
    by_wildcard: Vec<(Wildcard, u32)>,
    by_path: Tree,
    pub(crate) default: Effect,
}

impl Commands {
    pub(crate) fn compile(exec: &Exec, default: Effect) -> Self {
        let mut compiled = Self {
            rules: Vec::new(),
            alternatives: Vec::new(),
            by_name: HashMap::new(),
            by_wildcard: Vec::new(),
            by_path: Tree::new(Mode::Grant),
            default,
        };
        for (effect, list) in [(Effect::Allow, &exec.allow), (Effect::Ask, &exec.ask), (Effect::Deny, &exec.deny)] {
            for (index, text) in list.iter().flatten().enumerate() {
                let Ok(patterns) = CommandPattern::parse(&text.value) else { continue };
                let rank = patterns.iter().map(CommandPattern::rank).max().unwrap_or(0);
                let rule = id(compiled.rules.len());
                let name = format!("exec.{}[{index}]", effect.as_str());
                compiled.rules.push(RuleInfo::new(name, &text.value, &text.place, effect, rank));
                for pattern in patterns {
                    compiled.push(rule, pattern);
                }
            }
        }
        compiled
    }

    fn push(&mut self, rule: u32, pattern: CommandPattern) {
        let number = id(self.alternatives.len());
        self.alternatives.push((rule, pattern.arguments));
        match pattern.program {
            Program::Name(wildcard, name) if wildcard.is_literal() => {
                self.by_name.entry(name).or_default().push(number);
            }
            Program::Name(wildcard, _) => self.by_wildcard.push((wildcard, number)),
            Program::Path(patterns) => {
                for pattern in patterns {
                    self.by_path.insert(b"", &pattern.segments, number);
                }
            }
        }
    }

    /// Tells every rule that matches; `arguments` start with `argv[0]`.
    pub(crate) fn visit(&self, program: &str, arguments: &[String], mut found: impl FnMut(u32)) {
        let arguments = arguments.get(1..).unwrap_or_default();
        let mut offer = |number: u32| {
            let Some((rule, wanted)) = self.alternatives.get(number as usize) else { return };
            if wanted.as_ref().is_none_or(|pattern| fit(pattern, arguments)) {
                found(*rule);
            }
        };
        let name = program.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        self.by_name.get(name).into_iter().flatten().copied().for_each(&mut offer);
        for (wildcard, number) in &self.by_wildcard {
            if wildcard.matches(name.as_bytes(), false) {
                offer(*number);
            }
        }
        if let Some(path) = path::canonical(program.as_bytes()) {
            self.by_path.visit(&path, offer);
        }
    }

    /// The winner, if a rule matches.
    pub(crate) fn decide(&self, program: &str, arguments: &[String]) -> Option<(Effect, u32)> {
        let mut best = Best::default();
        self.visit(program, arguments, |number| {
            if let Some(rule) = self.rules.get(number as usize) {
                best.offer(rule.effect, rule.rank, number);
            }
        });
        best.winner()
    }
}

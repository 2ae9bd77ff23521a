//! Rules over commands: word patterns such as `npm run *`, and grammars.

use super::arguments::{Arguments, Step, could_fit, fits};
use super::grammar::Grammar;
use crate::language::CommandRule;
use crate::pattern::{PathPattern, Wildcard, rank, unfold};
use crate::place::quoted;

/// A program and what its arguments have to be: one alternative of a rule.
#[derive(Debug, Clone)]
pub(crate) struct CommandPattern {
    pub(crate) program: Program,
    pub(crate) wanted: Wanted,
}

#[derive(Debug, Clone)]
pub(crate) enum Program {
    /// By its file name.
    Name(Wildcard, String),
    /// By its path.
    Path(Vec<PathPattern>),
}

/// What the arguments have to be.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// Anything: a bare program.
    Anything,
    Words(Vec<Step>),
    Grammar(Box<Grammar>),
}

impl Wanted {
    /// Whether the rule is sure to cover the arguments.
    pub(crate) fn covers(&self, arguments: &(impl Arguments + ?Sized)) -> bool {
        match self {
            Self::Anything => true,
            Self::Words(steps) => fits(steps, arguments),
            Self::Grammar(grammar) => grammar.covers(arguments),
        }
    }

    /// Whether the arguments could be ones the rule speaks of.
    pub(crate) fn touches(&self, arguments: &(impl Arguments + ?Sized)) -> bool {
        match self {
            Self::Anything => true,
            Self::Words(steps) if arguments.all_known() => fits(steps, arguments),
            Self::Words(steps) => could_fit(steps, arguments),
            Self::Grammar(grammar) => grammar.touches(arguments),
        }
    }

    /// Whether it lets this variable be set.
    pub(crate) fn lets_set(&self, variable: &str) -> bool {
        matches!(self, Self::Grammar(grammar) if grammar.lets_set(variable))
    }

    /// Whether it writes out every word.
    pub(crate) fn is_literal(&self) -> bool {
        matches!(self, Self::Words(steps) if steps.iter().all(|step| matches!(step, Step::One(one) if one.is_literal())))
    }
}

impl CommandPattern {
    /// Reads a rule, braces unfolded; the message says what is wrong.
    pub(crate) fn parse(rule: &CommandRule) -> Result<Vec<Self>, String> {
        match rule {
            CommandRule::Pattern(text) => unfold(text)?.iter().map(|alternative| Self::words(alternative)).collect(),
            CommandRule::Grammar(source) => {
                let grammar = Grammar::compile(source)?;
                let mut patterns = Vec::new();
                for program in &source.program {
                    for name in unfold(program)? {
                        let program = Program::parse(&name)?;
                        patterns.push(Self { program, wanted: Wanted::Grammar(Box::new(grammar.clone())) });
                    }
                }
                Ok(patterns)
            }
        }
    }

    fn words(text: &str) -> Result<Self, String> {
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
        let program = Program::parse(first)?;
        let words: Vec<&str> = words.collect();
        let last = words.len().saturating_sub(1);
        let steps = words.iter().enumerate().map(|(index, word)| match *word {
            "**" => Step::Rest,
            "*" if index == last => Step::Rest,
            word => Step::One(Wildcard::new(word)),
        });
        let wanted = if words.is_empty() { Wanted::Anything } else { Wanted::Words(steps.collect()) };
        Ok(Self { program, wanted })
    }

    /// How much it fixes.
    pub(crate) fn rank(&self) -> u32 {
        let (mut fixed, mut open) = match &self.program {
            Program::Name(wildcard, _) => (wildcard.literal_bytes(), usize::from(!wildcard.is_literal())),
            Program::Path(patterns) => {
                (patterns.iter().map(|pattern| pattern.rank(0) / 256).max().unwrap_or(0) as usize, 0)
            }
        };
        match &self.wanted {
            Wanted::Anything => open += 1,
            Wanted::Words(steps) => {
                for step in steps {
                    match step {
                        Step::One(wildcard) => fixed += wildcard.literal_bytes() + 1,
                        Step::Rest => open += 1,
                    }
                }
            }
            Wanted::Grammar(grammar) => return grammar.rank(fixed),
        }
        rank(fixed, open)
    }
}

impl Program {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("{} is no program; write one name such as `git`", quoted(text)));
        }
        if text.starts_with('/') || text.starts_with("./") || text.starts_with("~/") {
            return Ok(Self::Path(PathPattern::parse(text)?));
        }
        if text.contains('/') {
            return Err(format!(
                "{}: a program is a name (`git`) or a path that says where it starts (`/usr/bin/git`, `./tools/build`)",
                quoted(text)
            ));
        }
        Ok(Self::Name(Wildcard::new(text), text.to_owned()))
    }
}

//! Exact command grammars: program, subcommand, flags with or without values, operands.
//!
//! In `allow` a grammar says everything that may stand there, and covers nothing else. In `ask` and `deny` it
//! says what is enough to hold a command back, read as widely as the program could read it: abbreviated flags,
//! flags in clusters, a subcommand behind flags nobody knows.

use super::arguments::{Argument, Arguments};
use super::shell::Form;
use super::value::Value;
use crate::language::CommandGrammar;
use crate::pattern::{Wildcard, rank, unfold};
use crate::place::quoted;

/// Most flags of one list; what is required is kept in a word of bits.
const FLAGS_MAX: usize = 64;

/// Whether a flag takes a value.
#[derive(Debug, Clone)]
enum Takes {
    Nothing,
    /// `--flag=value`, `--flag value`, `-fvalue`, `-f value`.
    Value(Value),
    /// `--flag` or `--flag=value`, never in a word of its own.
    Optional(Value),
}

#[derive(Debug, Clone)]
struct Flag {
    /// With their dashes.
    names: Vec<String>,
    takes: Takes,
}

#[derive(Debug, Clone, Default)]
struct Flags {
    list: Vec<Flag>,
    /// `*`: every flag, as long as its value, if it has one, stands in the same word.
    any: bool,
    /// `-<number>`, as in `head -20`.
    number: bool,
}

/// How many operands.
#[derive(Debug, Clone, Copy)]
struct Count {
    least: usize,
    most: usize,
}

/// A grammar, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Grammar {
    verbs: Vec<Vec<String>>,
    global: Flags,
    flags: Flags,
    deny_flags: Vec<Flag>,
    /// What the first operands have to be, in order.
    first: Vec<Value>,
    operands: Vec<Value>,
    deny_operands: Vec<Wildcard>,
    count: Count,
    /// Bits of `flags.list`.
    required: u64,
    /// Variables that may be set for it.
    env: Vec<Wildcard>,
}

impl Grammar {
    /// Compiles what was read; the message says what is wrong.
    pub(crate) fn compile(source: &CommandGrammar) -> Result<Self, String> {
        let verbs = source.verb.iter().map(|verb| words(verb)).collect::<Result<Vec<_>, _>>()?.concat();
        let flags = Flags::compile(&source.flags)?;
        let mut required = 0_u64;
        for wanted in &source.require {
            let found = flags.list.iter().position(|flag| flag.names.contains(wanted));
            let Some(bit) = found else {
                return Err(format!("{} is required but not among `flags`; add it there", quoted(wanted)));
            };
            required |= 1 << bit;
        }
        let mut deny_operands = Vec::new();
        for pattern in &source.deny_args {
            deny_operands.extend(unfold(&pattern.to_ascii_lowercase())?.iter().map(|text| Wildcard::new(text)));
        }
        Ok(Self {
            verbs,
            global: Flags::compile(&source.global)?,
            flags,
            deny_flags: Flags::compile(&source.deny_flags)?.list,
            first: values(&source.first)?,
            operands: values(&source.args)?,
            deny_operands,
            count: source.count.as_deref().map_or(Ok(Count { least: 0, most: usize::MAX }), Count::parse)?,
            required,
            env: source.env.iter().map(|name| Wildcard::new(name)).collect(),
        })
    }

    /// How much it fixes.
    pub(crate) fn rank(&self, program_bytes: usize) -> u32 {
        let verb = self.verbs.iter().map(|verb| verb.iter().map(|word| word.len() + 1).sum()).max().unwrap_or(0);
        let open = usize::from(self.flags.any) + usize::from(self.operands.iter().any(Value::is_any));
        rank(program_bytes + verb + self.required.count_ones() as usize, open)
    }

    /// Whether the variable may be set for it.
    pub(crate) fn lets_set(&self, variable: &str) -> bool {
        self.env.iter().any(|name| name.matches(variable.as_bytes(), false))
    }

    /// Whether it says of every argument that it may be there.
    pub(crate) fn covers(&self, arguments: &(impl Arguments + ?Sized)) -> bool {
        if self.verbs.is_empty() {
            return self.covers_behind(arguments, 0, None);
        }
        self.verbs.iter().any(|verb| {
            let Some(start) = self.global_end(arguments) else { return false };
            self.covers_behind(arguments, start, Some(verb))
        })
    }

    /// Where the flags before the subcommand end; `None` when one of them isn't listed.
    fn global_end(&self, arguments: &(impl Arguments + ?Sized)) -> Option<usize> {
        let mut at = 0;
        while let Some(argument) = arguments.at(at) {
            let text = argument.exact()?;
            if !text.starts_with('-') || text.len() < 2 {
                break;
            }
            if text == "--" {
                return None;
            }
            let used = self.global.read(text, arguments.at(at + 1), &mut 0)?;
            let value = arguments.at(at + 1).filter(|_| used == 2);
            if value.is_some_and(|value| self.denies(value)) || self.denies_attached(text) {
                return None;
            }
            at += used;
        }
        Some(at)
    }

    fn covers_behind(&self, arguments: &(impl Arguments + ?Sized), start: usize, verb: Option<&Vec<String>>) -> bool {
        let mut verb = verb.into_iter().flatten();
        let mut wanted = verb.next();
        let (mut at, mut operands, mut found) = (start, 0_usize, 0_u64);
        let mut options_over = false;
        while let Some(argument) = arguments.at(at) {
            let text = argument.text;
            if !options_over && argument.form == Form::Known && text.starts_with('-') && text.len() > 1 {
                if text == "--" {
                    options_over = true;
                    at += 1;
                    continue;
                }
                if self.deny_flags.iter().any(|flag| flag.could_be(text)) {
                    return false;
                }
                let Some(used) = self.flags.read(text, arguments.at(at + 1), &mut found) else { return false };
                let value = arguments.at(at + 1).filter(|_| used == 2);
                if value.is_some_and(|value| self.denies(value)) || self.denies_attached(text) {
                    return false;
                }
                at += used;
                continue;
            }
            at += 1;
            if let Some(word) = wanted {
                if argument.exact() != Some(word) || options_over {
                    return false;
                }
                wanted = verb.next();
                continue;
            }
            if !options_over && !argument.is_operand() {
                return false;
            }
            let listed = match self.first.get(operands) {
                Some(value) => argument.form != Form::Many && value.takes(argument),
                None => self.operands.iter().any(|value| value.takes(argument)),
            };
            if self.denies(argument) || !listed {
                return false;
            }
            // A word that may be many may also be none.
            if argument.form == Form::Many && (self.count.least > 0 || self.count.most < usize::MAX) {
                return false;
            }
            operands += 1;
        }
        wanted.is_none()
            && operands >= self.first.len()
            && (self.count.least..=self.count.most).contains(&operands)
            && found & self.required == self.required
    }

    fn denies(&self, argument: Argument<'_>) -> bool {
        !self.deny_operands.is_empty()
            && match argument.exact() {
                Some(text) => self.deny_operands.iter().any(|pattern| pattern.matches(text.as_bytes(), true)),
                None => true,
            }
    }

    fn denies_attached(&self, flag: &str) -> bool {
        let value = flag.split_once('=').map(|(_, value)| value);
        let short = flag.strip_prefix('-').filter(|rest| !rest.starts_with('-')).and_then(|rest| rest.get(1..));
        [value, short]
            .into_iter()
            .flatten()
            .any(|text| self.deny_operands.iter().any(|pattern| pattern.matches(text.as_bytes(), true)))
    }

    /// Whether the command could be one this grammar holds back.
    pub(crate) fn touches(&self, arguments: &(impl Arguments + ?Sized)) -> bool {
        if !self.verbs.is_empty() && !self.verbs.iter().any(|verb| could_have_verb(verb, arguments)) {
            return false;
        }
        if self.flags.list.is_empty() && self.operands.is_empty() {
            return true;
        }
        (0..arguments.count()).any(|index| {
            let Some(argument) = arguments.at(index) else { return false };
            let flag = self.flags.list.iter().any(|flag| flag.triggers(argument, arguments.at(index + 1)));
            flag || self.operands.iter().any(|value| value.could_take(argument))
        })
    }
}

/// Whether the words could be the subcommand: each stands behind nothing but flags, and words that a flag could
/// have taken as its value.
fn could_have_verb(verb: &[String], arguments: &(impl Arguments + ?Sized)) -> bool {
    let mut wanted = verb.iter();
    let mut word = wanted.next();
    let mut flag_before = false;
    for index in 0..arguments.count() {
        let (Some(argument), Some(next)) = (arguments.at(index), word) else { break };
        let Some(text) = argument.exact() else { return true };
        if text == next {
            word = wanted.next();
            flag_before = false;
        } else if text.starts_with('-') {
            // A value in the same word leaves none for the next.
            flag_before = !text.contains('=') && text != "--";
        } else if flag_before {
            flag_before = false;
        } else {
            return false;
        }
    }
    word.is_none()
}

impl Flags {
    fn compile(source: &[String]) -> Result<Self, String> {
        let mut flags = Self::default();
        for text in source {
            match text.as_str() {
                "*" => flags.any = true,
                "-<number>" => flags.number = true,
                text => flags.list.push(Flag::parse(text)?),
            }
        }
        if flags.list.len() > FLAGS_MAX {
            return Err(format!("a grammar lists at most {FLAGS_MAX} flags; split it"));
        }
        Ok(flags)
    }

    /// Reads the flag in `text`, which starts with a dash; how many words it takes, or `None` when it isn't listed.
    fn read(&self, text: &str, next: Option<Argument<'_>>, found: &mut u64) -> Option<usize> {
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if let Some((bit, flag)) = self.named(name) {
            *found |= 1 << bit;
            return match (&flag.takes, attached) {
                (Takes::Nothing | Takes::Optional(_), None) => Some(1),
                (Takes::Value(value) | Takes::Optional(value), Some(text)) => value.holds(text).then_some(1),
                (Takes::Value(value), None) => value.takes(next?).then_some(2),
                (Takes::Nothing, Some(_)) => None,
            };
        }
        if !text.starts_with("--") {
            if self.number && text.get(1..).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())) {
                return Some(1);
            }
            if let Some(used) = self.cluster(text.get(1..)?, next, found) {
                return Some(used);
            }
        }
        self.any.then_some(1)
    }

    fn named(&self, name: &str) -> Option<(usize, &Flag)> {
        self.list.iter().enumerate().find(|(_, flag)| flag.names.iter().any(|known| known == name))
    }

    /// `-xvf`: short flags in one word, of which the last may take the rest or the next word.
    fn cluster(&self, letters: &str, next: Option<Argument<'_>>, found: &mut u64) -> Option<usize> {
        let mut rest = letters;
        while let Some(letter) = rest.chars().next() {
            let behind = rest.get(letter.len_utf8()..)?;
            let (bit, flag) = self.list.iter().enumerate().find(|(_, flag)| flag.has_letter(letter))?;
            *found |= 1 << bit;
            match &flag.takes {
                Takes::Nothing => rest = behind,
                Takes::Value(value) if behind.is_empty() => return value.takes(next?).then_some(2),
                Takes::Value(value) => return value.holds(behind).then_some(1),
                Takes::Optional(_) if behind.is_empty() => return Some(1),
                Takes::Optional(value) => return value.holds(behind).then_some(1),
            }
        }
        Some(1)
    }
}

impl Flag {
    /// `--flag`, `-f|--flag`, `--flag=PATTERN`, `--flag[=PATTERN]`.
    fn parse(text: &str) -> Result<Self, String> {
        let (names, takes) = match text.split_once('=') {
            None => (text, Takes::Nothing),
            Some((names, value)) => match (names.strip_suffix('['), value.strip_suffix(']')) {
                (Some(names), Some(value)) => (names, Takes::Optional(Value::parse(value)?)),
                _ => (names, Takes::Value(Value::parse(value)?)),
            },
        };
        let names: Vec<String> = names.split('|').map(str::to_owned).collect();
        let good = |name: &String| {
            name.len() > 1
                && name.starts_with('-')
                && name != "--"
                && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?{}[]<>'\"\\".contains(&byte))
        };
        if names.iter().all(good) {
            Ok(Self { names, takes })
        } else {
            Err(format!(
                "{} is no flag; write `--flag`, `-f|--flag`, `--flag=PATTERN` for one with a value, or `*` alone for every flag",
                quoted(text)
            ))
        }
    }

    fn has_letter(&self, letter: char) -> bool {
        self.names.iter().any(|name| {
            let mut characters = name.chars().skip(1);
            characters.next() == Some(letter) && characters.next().is_none() && letter != '-'
        })
    }

    /// Whether a program could read the word as this flag: written out, abbreviated, or among short ones.
    fn could_be(&self, text: &str) -> bool {
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        self.names.iter().any(|known| {
            if known == name {
                return true;
            }
            match (known.strip_prefix("--"), name.strip_prefix("--")) {
                // `--` ends the options; a single letter is an abbreviation already.
                (Some(known), Some(name)) => !name.is_empty() && known.starts_with(name),
                (None, None) => {
                    let letter = known.get(1..).unwrap_or_default();
                    letter.chars().count() == 1 && name.contains(letter)
                }
                // Some programs take long flags with one dash, and the other way round.
                _ => {
                    known.trim_start_matches('-') == name.trim_start_matches('-')
                        && known.trim_start_matches('-').len() > 1
                }
            }
        })
    }

    fn triggers(&self, argument: Argument<'_>, next: Option<Argument<'_>>) -> bool {
        let Some(text) = argument.exact() else {
            return argument.text.is_empty()
                || self.could_be(argument.text)
                || self.names.iter().any(|name| name.starts_with(argument.text));
        };
        if !text.starts_with('-') || !self.could_be(text) {
            return false;
        }
        match &self.takes {
            Takes::Nothing => true,
            Takes::Value(value) | Takes::Optional(value) => match text.split_once('=') {
                Some((_, attached)) => value.holds(attached),
                None => value.is_any() || next.is_none_or(|next| value.could_take(next)) || text.len() > 2,
            },
        }
    }
}

impl Count {
    /// `2`, `0-2`, `1-`.
    fn parse(text: &str) -> Result<Self, String> {
        let problem = || format!("{} is no number of operands; write `2`, `0-2` or `1-`", quoted(text));
        let number = |text: &str| text.parse::<usize>().map_err(|_| problem());
        let count = match text.split_once('-') {
            None => Self { least: number(text)?, most: number(text)? },
            Some((least, "")) => Self { least: number(least)?, most: usize::MAX },
            Some((least, most)) => Self { least: number(least)?, most: number(most)? },
        };
        if count.least > count.most { Err(problem()) } else { Ok(count) }
    }
}

/// The words of a subcommand, braces unfolded.
fn words(verb: &str) -> Result<Vec<Vec<String>>, String> {
    let verbs: Vec<Vec<String>> =
        unfold(verb)?.iter().map(|verb| verb.split_whitespace().map(str::to_owned).collect()).collect();
    let good = |word: &String| !word.starts_with('-') && !word.contains(['*', '?']);
    if verbs.iter().all(|verb| !verb.is_empty() && verb.iter().all(good)) {
        Ok(verbs)
    } else {
        Err(format!("{} is no subcommand; write its words, as in `docs generate`, without `*`", quoted(verb)))
    }
}

fn values(source: &[String]) -> Result<Vec<Value>, String> {
    source.iter().map(|text| Value::parse(text)).collect()
}

//! Decides over a whole command line: itself, and everything it would start.

use std::borrow::Cow;

use bartizan_model::Effect;

use super::carriers::{base, may_carry};
use super::follow::{Call, Followed, follow};
use super::shell::{Opened, Word};
use super::{Asked, Commands};
use crate::path;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) program: &'a str,
    /// `argv[0]` included.
    pub(crate) arguments: &'a [String],
    pub(crate) cwd: Option<&'a str>,
    /// What it starts is caught and decided when it is started.
    pub(crate) caught: bool,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Rule(Effect, u32),
    Default(Effect),
    /// It can't be followed, and why.
    Unclear(Effect, &'static str),
    /// All it does is what the shell does itself.
    Transparent,
}

impl Found {
    pub(crate) fn effect(self) -> Effect {
        match self {
            Self::Rule(effect, _) | Self::Default(effect) | Self::Unclear(effect, _) => effect,
            Self::Transparent => Effect::Allow,
        }
    }
}

/// A file that the line's text opens by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) path: Vec<u8>,
    pub(crate) write: bool,
}

/// Every command but the first that a line would start, as text: the program's name, then its arguments. Those that are
/// caught when they are started are left out.
pub(crate) fn commands_within(program: &str, arguments: &[String], caught: bool) -> Vec<String> {
    if caught && !is_many_named(base(program)) {
        return Vec::new();
    }
    let Some(words) = words(program, arguments) else { return Vec::new() };
    follow(words).calls.iter().skip(1).map(text).collect()
}

/// A line's words, for following; `None` for a program that starts no others, as far as is known.
fn words(program: &str, arguments: &[String]) -> Option<Vec<Word>> {
    let name = base(program);
    let multicall = is_many_named(name) && arguments.first().map_or(name, |first| base(first)) != name;
    if !multicall && !may_carry(name) {
        return None;
    }
    let mut words = Vec::with_capacity(arguments.len() + 1);
    words.push(Word::known(program));
    words.extend(arguments.get(usize::from(!multicall)..).unwrap_or_default().iter().map(Word::known));
    Some(words)
}

/// What such a program does under one of its names is done in the same process, so nothing is caught.
fn is_many_named(name: &str) -> bool {
    matches!(name, "busybox" | "toybox")
}

fn text(call: &Call) -> String {
    let mut text = base(call.program()).to_owned();
    // What is only known while it runs has no text.
    for word in call.arguments().iter().filter(|word| !word.text.is_empty()) {
        text.push(' ');
        text.push_str(&word.text);
    }
    text
}

impl Commands {
    /// The command within a line that holds it back most, where that isn't the line itself.
    pub(crate) fn culprit(&self, line: Line<'_>) -> Option<String> {
        let cwd = line.cwd.or_else(|| std::str::from_utf8(&self.workspace).ok());
        let arguments = line.arguments.get(1..).unwrap_or_default();
        let itself = self.ask(&Asked { program: line.program, arguments, cwd, variables: &[] });
        let direct = itself.best.winner().map_or(Effect::Allow, |(effect, _)| effect);
        let vouched = itself.literal && direct == Effect::Allow;
        let followed = follow(words(line.program, line.arguments)?);
        let mut worst: Option<(Effect, &Call)> = None;
        for call in followed.calls.iter().skip(1) {
            let effect = self.call(call, cwd, vouched).effect();
            if effect > worst.map_or(direct, |(effect, _)| effect) {
                worst = Some((effect, call));
            }
        }
        worst.map(|(_, call)| text(call))
    }

    /// Decides; files that shell text would open are told to `touch`.
    pub(crate) fn decide(&self, line: Line<'_>, mut touch: impl FnMut(Touched)) -> Found {
        let cwd = line.cwd.or_else(|| std::str::from_utf8(&self.workspace).ok());
        let arguments = line.arguments.get(1..).unwrap_or_default();
        let itself = self.ask(&Asked { program: line.program, arguments, cwd, variables: &[] });
        let ruled = itself.best.winner();
        let direct = ruled.map_or(Found::Default(self.default), |(effect, rule)| Found::Rule(effect, rule));
        if direct.effect() == Effect::Deny && ruled.is_some() {
            return direct;
        }
        let Some(words) = words(line.program, line.arguments) else { return direct };
        let many_named = is_many_named(base(line.program));
        if line.caught && !many_named && direct.effect() == Effect::Allow {
            return direct;
        }
        let followed = follow(words);
        let carries = followed.calls.len() > 1
            || followed.unclear.is_some()
            || followed.calls.first().is_some_and(|call| call.transparent);
        if !carries {
            return direct;
        }
        // Whoever wrote out the whole line knows what it starts; rules that hold parts of it back still do.
        let vouched = itself.literal && direct.effect() == Effect::Allow;
        let mut strictest = match ruled {
            Some((effect @ Effect::Ask, rule)) => Found::Rule(effect, rule),
            _ => Found::Transparent,
        };
        let mut first = !vouched;
        for call in &followed.calls {
            let found = self.call(call, cwd, vouched);
            // Of two that agree the first that says something is named.
            if found.effect() > strictest.effect() || (first && strictest == Found::Transparent) {
                first &= found == Found::Transparent;
                strictest = found;
            }
        }
        if vouched {
            return if strictest.effect() == Effect::Allow { direct } else { strictest };
        }
        let unclear = followed
            .unclear
            .map(|why| (if line.caught && !many_named { self.default } else { self.default.max(self.unclear) }, why.0));
        if let Some((effect, why)) = unclear
            && effect > strictest.effect()
        {
            strictest = Found::Unclear(effect, why);
        } else if let Some((effect, why)) = unclear
            && matches!(strictest, Found::Transparent | Found::Default(_))
        {
            strictest = Found::Unclear(effect.max(strictest.effect()), why);
        }
        self.touched(&followed, cwd, &mut strictest, &mut touch);
        strictest
    }

    fn call(&self, call: &Call, cwd: Option<&str>, vouched: bool) -> Found {
        let asked = Asked {
            program: call.program(),
            arguments: call.arguments(),
            cwd: cwd.filter(|_| !call.moved),
            variables: &call.variables,
        };
        match self.ask(&asked).best.winner() {
            Some((Effect::Allow, _)) if call.transparent || vouched => Found::Transparent,
            Some((effect, rule)) => Found::Rule(effect, rule),
            None if call.transparent || vouched => Found::Transparent,
            None => Found::Default(self.default),
        }
    }

    fn touched(&self, followed: &Followed, cwd: Option<&str>, strictest: &mut Found, touch: &mut impl FnMut(Touched)) {
        for opened in &followed.opened {
            if is_device(&opened.path) && !opened.home {
                continue;
            }
            match self.place(opened, cwd.filter(|_| !followed.moved)) {
                Some(path) => touch(Touched { path: path.into_owned(), write: opened.write }),
                None => {
                    let effect = self.default.max(self.unclear);
                    if effect > strictest.effect() {
                        *strictest = Found::Unclear(effect, "a redirection to a file whose place isn't known");
                    }
                }
            }
        }
    }

    fn place<'a>(&self, opened: &'a Opened, cwd: Option<&str>) -> Option<Cow<'a, [u8]>> {
        if opened.home {
            // The path starts with the slash that followed `~`.
            let whole = [&self.home, opened.path.as_bytes()].concat();
            return path::canonical(&whole).map(|path| Cow::Owned(path.into_owned()));
        }
        if opened.path.starts_with('/') {
            return path::canonical(opened.path.as_bytes());
        }
        let whole = [cwd?.as_bytes(), b"/", opened.path.as_bytes()].concat();
        path::canonical(&whole).map(|path| Cow::Owned(path.into_owned()))
    }
}

/// Files that hold nothing.
fn is_device(path: &str) -> bool {
    matches!(path, "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/stdin" | "/dev/tty" | "/dev/zero" | "/dev/full")
}

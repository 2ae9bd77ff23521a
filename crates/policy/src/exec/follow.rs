//! Follows a command line to every command it would start: through shell text, wrappers, and shell text within
//! those.

use super::carriers::{self, Carries, base};
use super::shell::{self, Form, Opened, Simple, Unclear, Word};
use super::variables::{Meaning, meaning, meaning_unexported};

/// Deepest chain of programs that start programs.
const DEPTH_MAX: u32 = 12;
/// Most commands of one command line, all texts together.
const CALLS_MAX: usize = 2048;

/// One command that would be started.
#[derive(Debug)]
pub(crate) struct Call {
    /// The program, then its arguments.
    pub(crate) words: Vec<Word>,
    /// It does nothing that a rule would have to allow: the shell does it, or all it does is start others.
    pub(crate) transparent: bool,
    /// Variables set for it that a rule has to list.
    pub(crate) variables: Vec<String>,
    /// The working directory isn't the one the command line started in, or may not be.
    pub(crate) moved: bool,
}

impl Call {
    pub(crate) fn program(&self) -> &str {
        self.words.first().map_or("", |word| &word.text)
    }

    pub(crate) fn arguments(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// Everything a command line would do.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// The first is the command line itself.
    pub(crate) calls: Vec<Call>,
    pub(crate) opened: Vec<Opened>,
    /// The first thing that isn't understood.
    pub(crate) unclear: Option<Unclear>,
    /// The working directory changes on the way, so relative paths can't be told.
    pub(crate) moved: bool,
    /// Variables that hold for everything after they are set.
    variables: Vec<String>,
}

/// Follows a command line that is no shell text itself.
pub(crate) fn follow(words: Vec<Word>) -> Followed {
    let mut followed = Followed::default();
    followed.command(Simple { words, ..Simple::default() }, false, 0);
    let Followed { calls, variables, moved, unclear, .. } = &mut followed;
    for call in calls.iter_mut() {
        call.variables.extend(variables.iter().cloned());
        call.moved |= *moved;
        if unclear.is_none() && call.variables.iter().any(|name| meaning(name) == Meaning::Decisive) {
            *unclear = Some(Unclear("a variable is set that changes which program or code runs"));
        }
        call.variables.retain(|name| meaning(name) != Meaning::Harmless);
    }
    followed
}

impl Followed {
    fn unclear(&mut self, why: Unclear) {
        self.unclear.get_or_insert(why);
    }

    fn command(&mut self, command: Simple, within: bool, depth: u32) {
        let Simple { words, assigned, fed, function } = command;
        if self.calls.len() >= CALLS_MAX {
            return self.unclear(Unclear("it holds too many commands"));
        }
        if depth > DEPTH_MAX {
            return self.unclear(Unclear("it is nested too deeply"));
        }
        if words.first().and_then(Word::exact).is_none() {
            return self.unclear(Unclear("the name of a program is computed while it runs"));
        }
        let carried = if function { Ok(Carries::Builtin) } else { carriers::look(&words, within, fed) };
        let carried = carried.unwrap_or_else(|why| {
            self.unclear(why);
            Carries::Nothing
        });
        let transparent = match &carried {
            Carries::Nothing => false,
            Carries::Builtin => {
                self.builtin(&words);
                true
            }
            Carries::Commands { transparent, .. } => *transparent,
            Carries::Text { .. } => true,
        };
        self.calls.push(Call { words, transparent, variables: assigned.clone(), moved: false });
        match carried {
            Carries::Nothing | Carries::Builtin => {}
            Carries::Commands { commands, variables, moves, .. } => {
                self.moved |= moves;
                let assigned: Vec<String> = assigned.into_iter().chain(variables).collect();
                for words in commands {
                    // A wrapper is a program: what it starts is one too, and never the shell's own command.
                    let keeps_shell = within && self.calls.last().is_some_and(|call| call.program() == "builtin");
                    let command = Simple { words, assigned: assigned.clone(), fed, function: false };
                    self.command(command, keeps_shell, depth + 1);
                }
            }
            Carries::Text { text, dialect } => match shell::read(&text, dialect) {
                Err(why) => self.unclear(why),
                Ok(script) => {
                    self.opened.extend(script.opened);
                    self.variables.extend(assigned);
                    self.variables.extend(
                        script.variables.into_iter().filter(|name| meaning_unexported(name) != Meaning::Harmless),
                    );
                    let functions = script.commands.iter().any(|command| command.function);
                    for command in script.commands {
                        if functions && command.words.first().and_then(Word::exact) == Some("unset") {
                            self.unclear(Unclear("a function may be taken back"));
                        }
                        self.command(command, true, depth + 1);
                    }
                }
            },
        }
    }

    /// What the shell's own commands change for those after them.
    fn builtin(&mut self, words: &[Word]) {
        const COMPUTED: Unclear = Unclear("the name of a variable is computed while it runs");
        let arguments = words.get(1..).unwrap_or_default();
        match words.first().map_or("", |word| base(&word.text)) {
            "cd" | "pushd" | "popd" => self.moved = true,
            name @ ("export" | "readonly" | "local" | "declare" | "typeset") => {
                for word in arguments {
                    if word.form == Form::Known && word.text.starts_with(['-', '+']) {
                        // Integers and references are evaluated when they are set.
                        if word.text.contains(['i', 'n', 'f', 'a', 'A']) {
                            self.unclear(Unclear("a variable is given a kind whose value may be evaluated"));
                        }
                        continue;
                    }
                    let (variable, whole) = match word.text.split_once('=') {
                        Some((variable, _)) => (variable, true),
                        None => (word.text.as_str(), word.form == Form::Known),
                    };
                    let variable = variable.strip_suffix('+').unwrap_or(variable);
                    let plain = variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    if !whole || word.form == Form::Many || variable.is_empty() || !plain {
                        self.unclear(COMPUTED);
                    } else if matches!(name, "export" | "declare" | "typeset")
                        || meaning_unexported(variable) != Meaning::Harmless
                    {
                        self.variables.push(variable.to_owned());
                    }
                }
            }
            "read" | "getopts" | "unset" => {
                for word in arguments {
                    match word.exact() {
                        None => self.unclear(COMPUTED),
                        // A prompt, a separator or a number isn't told apart from a name; none means harm.
                        Some(text) if text.contains('[') => self.unclear(COMPUTED),
                        Some(text) if meaning_unexported(text) != Meaning::Harmless => {
                            self.variables.push(text.to_owned());
                        }
                        Some(_) => {}
                    }
                }
            }
            _ => {}
        }
    }
}

//! Programs that start other programs named in their arguments: shells, `env`, `xargs`, `find -exec` and so on.
//! What is said here is where the other command stands, or that it can't be told.

use super::shell::{Dialect, Form, Unclear, Word};

/// What a command carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Nothing: it is what it is.
    Nothing,
    /// Nothing, and it starts no program: the shell does it itself.
    Builtin,
    /// Other commands. `transparent`: it does nothing of its own that a rule would have to allow.
    Commands { commands: Vec<Vec<Word>>, variables: Vec<String>, transparent: bool, moves: bool },
    /// Shell text.
    Text { text: String, dialect: Dialect },
}

/// How a wrapper's own options are read, up to the command it starts.
struct Wrapper {
    name: &'static str,
    /// Short options without and with a value; others aren't understood.
    letters: &'static str,
    letters_valued: &'static str,
    /// Long options without and with a value.
    long: &'static [&'static str],
    long_valued: &'static [&'static str],
    /// Operands before the command.
    operands: usize,
    transparent: bool,
    /// `NAME=value` may stand before the command.
    sets: bool,
}

const PLAIN: Wrapper = Wrapper {
    name: "",
    letters: "",
    letters_valued: "",
    long: &[],
    long_valued: &[],
    operands: 0,
    transparent: true,
    sets: false,
};

const WRAPPERS: &[Wrapper] = &[
    Wrapper { name: "nohup", ..PLAIN },
    Wrapper { name: "nice", letters_valued: "n", long_valued: &["--adjustment"], ..PLAIN },
    Wrapper { name: "ionice", letters: "t", letters_valued: "cn", ..PLAIN },
    Wrapper {
        name: "timeout",
        letters: "vf",
        letters_valued: "ks",
        long: &["--foreground", "--preserve-status", "--verbose"],
        long_valued: &["--kill-after", "--signal"],
        operands: 1,
        ..PLAIN
    },
    Wrapper { name: "stdbuf", letters_valued: "ioe", long_valued: &["--input", "--output", "--error"], ..PLAIN },
    Wrapper { name: "setsid", letters: "cfw", long: &["--ctty", "--fork", "--wait"], ..PLAIN },
    Wrapper { name: "time", letters: "pv", letters_valued: "f", ..PLAIN },
    Wrapper { name: "chrt", letters: "bfior", letters_valued: "TPD", operands: 1, ..PLAIN },
    Wrapper { name: "taskset", letters: "c", operands: 1, ..PLAIN },
    Wrapper {
        name: "env",
        letters: "i0v",
        letters_valued: "uC",
        long: &["--ignore-environment", "--null", "--debug"],
        long_valued: &["--unset", "--chdir"],
        sets: true,
        ..PLAIN
    },
    Wrapper { name: "command", letters: "p", ..PLAIN },
    Wrapper { name: "builtin", ..PLAIN },
    Wrapper { name: "exec", letters: "cl", letters_valued: "a", ..PLAIN },
    Wrapper {
        name: "sudo",
        letters: "AbBEHnPS",
        letters_valued: "ugpCDRThUrt",
        long: &["--non-interactive", "--preserve-env", "--set-home", "--stdin", "--background"],
        long_valued: &["--user", "--group", "--prompt", "--chdir"],
        transparent: false,
        sets: true,
        ..PLAIN
    },
    Wrapper { name: "doas", letters: "n", letters_valued: "uC", transparent: false, ..PLAIN },
    Wrapper { name: "flock", letters: "senouxFv", letters_valued: "wE", operands: 1, transparent: false, ..PLAIN },
    Wrapper {
        name: "xargs",
        letters: "0prtxo",
        letters_valued: "aEILnPsd",
        long: &["--null", "--no-run-if-empty", "--verbose", "--exit", "--open-tty"],
        long_valued: &["--arg-file", "--delimiter", "--max-args", "--max-procs", "--max-chars", "--max-lines", "--eof"],
        ..PLAIN
    },
];

/// Commands of a shell that change what later words mean, or run text that isn't read here.
const UNREAD_BUILTINS: &[&str] = &[
    "eval",
    ".",
    "source",
    "trap",
    "alias",
    "unalias",
    "enable",
    "complete",
    "compgen",
    "compopt",
    "bind",
    "fc",
    "hash",
    "mapfile",
    "readarray",
    "let",
    "coproc",
    "history",
];
/// Programs that run a command given in their arguments in a way that isn't read here.
const UNREAD_PROGRAMS: &[&str] = &[
    "parallel",
    "watch",
    "script",
    "su",
    "runuser",
    "setpriv",
    "unshare",
    "nsenter",
    "chroot",
    "systemd-run",
    "at",
    "batch",
    "entr",
    "expect",
    "zsh",
    "ksh",
    "ksh93",
    "mksh",
    "lksh",
    "yash",
    "fish",
    "csh",
    "tcsh",
    "rc",
    "es",
    "elvish",
    "nu",
    "pwsh",
    "xonsh",
    "strace",
    "ltrace",
    "gdb",
    "rlwrap",
    "unbuffer",
    "chpst",
    "daemonize",
    "start-stop-daemon",
    "proot",
    "fakeroot",
    "dbus-run-session",
    "xvfb-run",
    "ld.so",
];
/// Commands of a shell that start nothing.
const BUILTINS: &[&str] = &[
    ":", "true", "false", "echo", "printf", "test", "[", "cd", "pwd", "exit", "return", "break", "continue", "shift",
    "set", "export", "readonly", "local", "declare", "typeset", "unset", "read", "wait", "jobs", "fg", "bg", "umask",
    "ulimit", "times", "getopts", "type", "pushd", "popd", "dirs", "shopt", "disown", "logout",
];

const COMPUTED: Unclear = Unclear("the arguments of a program that starts others are computed while it runs");
const OPTIONS: Unclear = Unclear("a program that starts others has options that aren't read");
const UNREAD: Unclear = Unclear("it runs text or programs in a way that isn't read");
const STANDARD_INPUT: Unclear = Unclear("a shell reads its commands from its input");

/// Whether the name is one of a program that may carry others, so that its arguments are worth a look.
pub(crate) fn may_carry(name: &str) -> bool {
    shell(name).is_some()
        || matches!(name, "find" | "fd" | "fdfind" | "busybox" | "toybox")
        || WRAPPERS.iter().any(|wrapper| wrapper.name == name)
        || UNREAD_PROGRAMS.contains(&name)
        || name.starts_with("ld-linux")
}

fn shell(name: &str) -> Option<Dialect> {
    match name {
        "bash" | "rbash" => Some(Dialect::Bash),
        "sh" | "dash" | "ash" => Some(Dialect::Posix),
        _ => None,
    }
}

/// The last name of a program's path.
pub(crate) fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// What the command carries. `within`: it stands in shell text, so the shell's own commands exist; `fed`: its
/// input comes from that text.
pub(crate) fn look(words: &[Word], within: bool, fed: bool) -> Result<Carries, Unclear> {
    let program = words.first().and_then(Word::exact).ok_or(COMPUTED)?;
    let name = base(program);
    if within && !program.contains('/') {
        if UNREAD_BUILTINS.contains(&name) {
            return Err(UNREAD);
        }
        if BUILTINS.contains(&name) {
            return builtin(name, words.get(1..).unwrap_or_default());
        }
    }
    if let Some(dialect) = shell(name) {
        return carried_text(words, dialect, within && fed);
    }
    if UNREAD_PROGRAMS.contains(&name) || name.starts_with("ld-linux") {
        return if words.len() > 1 { Err(UNREAD) } else { Ok(Carries::Nothing) };
    }
    match name {
        "find" => return find(words),
        "fd" | "fdfind" => {
            let runs = |word: &Word| {
                word.text.starts_with("--exec")
                    || (word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains(['x', 'X']))
                    || (word.form != Form::Known && (word.text.is_empty() || word.text.starts_with('-')))
            };
            return if words.iter().skip(1).any(runs) { Err(UNREAD) } else { Ok(Carries::Nothing) };
        }
        "busybox" | "toybox" => {
            return match words.get(1) {
                None => Ok(Carries::Nothing),
                Some(applet) if applet.exact().ok_or(COMPUTED)?.starts_with('-') => Ok(Carries::Nothing),
                Some(_) => Ok(inner(words.get(1..), true)),
            };
        }
        "command" if words.get(1).and_then(Word::exact).is_some_and(|word| matches!(word, "-v" | "-V")) => {
            return Ok(Carries::Builtin);
        }
        _ => {}
    }
    match WRAPPERS.iter().find(|wrapper| wrapper.name == name) {
        Some(wrapper) => wrapper.carried(words, within),
        None => Ok(Carries::Nothing),
    }
}

fn inner(words: Option<&[Word]>, transparent: bool) -> Carries {
    let command = words.unwrap_or_default().to_vec();
    Carries::Commands { commands: vec![command], variables: Vec::new(), transparent, moves: false }
}

impl Wrapper {
    fn carried(&self, words: &[Word], within: bool) -> Result<Carries, Unclear> {
        let (mut at, mut replaced, mut moves) = (1, None, false);
        while let Some(word) = words.get(at) {
            let text = match word.exact() {
                Some(text) => text,
                // `env A="$a" program`: which variable it is stands there.
                None if self.sets && word.form == Form::One && assigned(&word.text).is_some() => break,
                None => return Err(COMPUTED),
            };
            if text == "--" {
                at += 1;
                break;
            }
            if text == "-" && self.name == "env" {
                at += 1;
                continue;
            }
            if !text.starts_with('-') || text == "-" {
                break;
            }
            moves |= self.name == "env" && (text.starts_with("-C") || text.starts_with("--chdir"));
            moves |= self.name == "sudo" && (text.starts_with("-D") || text.starts_with("--chdir"));
            if self.name == "xargs"
                && let Some(string) = replacement(text, words.get(at + 1))?
            {
                at += if text == "-I" { 2 } else { 1 };
                replaced = Some(string);
                continue;
            }
            at += self.option(text)?;
        }
        let mut variables = Vec::new();
        while let Some(name) = words.get(at).filter(|_| self.sets).and_then(|word| assigned(&word.text)) {
            variables.push(name.to_owned());
            at += 1;
        }
        for word in words.iter().skip(at).take(self.operands) {
            if word.form == Form::Many {
                return Err(COMPUTED);
            }
        }
        at += self.operands;
        let mut command = words.get(at..).unwrap_or_default().to_vec();
        if command.is_empty() {
            return Ok(match self.name {
                // Without a command it prints its input, or opens files for the shell.
                "exec" if within => Carries::Builtin,
                _ => Carries::Nothing,
            });
        }
        if self.name == "xargs" {
            match &replaced {
                Some(string) => command.iter_mut().for_each(|word| replace(word, string)),
                None => command.push(Word { text: String::new(), form: Form::Many }),
            }
        }
        if self.name == "flock" && command.first().and_then(Word::exact).is_none_or(|word| word.starts_with('-')) {
            return Err(OPTIONS);
        }
        Ok(Carries::Commands { commands: vec![command], variables, transparent: self.transparent, moves })
    }

    /// How many words an option takes.
    fn option(&self, text: &str) -> Result<usize, Unclear> {
        if text.starts_with("--") {
            let (name, attached) = text.split_once('=').map_or((text, false), |(name, _)| (name, true));
            if self.long_valued.contains(&name) {
                return Ok(if attached { 1 } else { 2 });
            }
            return if self.long.contains(&name) && !attached { Ok(1) } else { Err(OPTIONS) };
        }
        let mut letters = text.chars().skip(1);
        while let Some(letter) = letters.next() {
            if self.letters_valued.contains(letter) {
                return Ok(if letters.next().is_some() { 1 } else { 2 });
            }
            if !self.letters.contains(letter) {
                return Err(OPTIONS);
            }
        }
        Ok(1)
    }
}

/// The variable that `NAME=value` sets.
fn assigned(text: &str) -> Option<&str> {
    let (name, _) = text.split_once('=')?;
    (!name.is_empty() && !name.starts_with('-')).then_some(name)
}

/// The string that `xargs -I` replaces, if this is that option.
fn replacement(text: &str, next: Option<&Word>) -> Result<Option<String>, Unclear> {
    let string = match text {
        "-I" => next.and_then(Word::exact).ok_or(COMPUTED)?,
        "-i" | "--replace" => "{}",
        _ => match text.strip_prefix("-I").or(text.strip_prefix("-i")).or(text.strip_prefix("--replace=")) {
            Some(string) => string,
            None => return Ok(None),
        },
    };
    Ok(Some(string.to_owned()).filter(|string| !string.is_empty()))
}

/// Marks what is put in for `string` as computed.
fn replace(word: &mut Word, string: &str) {
    if let Some(at) = word.text.find(string) {
        word.text.truncate(at);
        word.form = if word.form == Form::Many { Form::Many } else { Form::One };
    }
}

/// `sh -c TEXT`, `bash -lc TEXT`, `sh FILE`.
fn carried_text(words: &[Word], dialect: Dialect, fed: bool) -> Result<Carries, Unclear> {
    let (mut at, mut text_wanted) = (1, false);
    while let Some(word) = words.get(at) {
        let text = word.exact().ok_or(COMPUTED)?;
        match text {
            "-" | "--" => {
                at += 1;
                break;
            }
            "--login" | "--norc" | "--noprofile" | "--posix" | "--restricted" => at += 1,
            "--version" | "--help" => return Ok(Carries::Nothing),
            "-o" | "+o" | "-O" | "+O" => at += 2,
            _ if text.starts_with("--") => return Err(OPTIONS),
            _ if text.starts_with(['-', '+']) => {
                let letters = text.get(1..).unwrap_or_default();
                if let Some(before) = letters.strip_suffix('o') {
                    // `-euo pipefail`: the name is in the next word.
                    if before.contains(['o', 'O', 'i', 's', 'k']) {
                        return Err(OPTIONS);
                    }
                    text_wanted |= before.contains('c');
                    at += 2;
                    continue;
                }
                if letters.contains('s') {
                    return Err(STANDARD_INPUT);
                }
                if !letters.bytes().all(|letter| b"abcefhlmnpuvxBCEHPT".contains(&letter)) {
                    return Err(OPTIONS);
                }
                text_wanted |= letters.contains('c');
                at += 1;
            }
            _ => break,
        }
    }
    match (text_wanted, words.get(at)) {
        (true, Some(word)) => Ok(Carries::Text { text: word.exact().ok_or(COMPUTED)?.to_owned(), dialect }),
        (true, None) => Err(OPTIONS),
        // A script, whose text isn't here: that is for rules over the shell itself.
        (false, Some(_)) => Ok(Carries::Nothing),
        (false, None) if fed => Err(STANDARD_INPUT),
        (false, None) => Ok(Carries::Nothing),
    }
}

/// `find … -exec COMMAND ;`. What it finds is put in for `{}`.
fn find(words: &[Word]) -> Result<Carries, Unclear> {
    let (mut commands, mut moves) = (Vec::new(), false);
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        let Some(text) = word.exact() else {
            if word.text.is_empty() || word.text.starts_with('-') {
                return Err(COMPUTED);
            }
            continue;
        };
        if !matches!(text, "-exec" | "-execdir" | "-ok" | "-okdir") {
            if matches!(text, "-fprint" | "-fprint0" | "-fprintf" | "-fls") {
                return Err(Unclear("`find` writes a file of its own"));
            }
            continue;
        }
        moves |= text.ends_with("dir");
        let mut command: Vec<Word> = Vec::new();
        loop {
            let word = rest.next().ok_or(OPTIONS)?;
            if word.form == Form::Many || (word.form == Form::One && word.text.is_empty()) {
                return Err(COMPUTED);
            }
            let after_found = command.last().is_some_and(|last| last.form == Form::One && last.text.is_empty());
            match word.exact() {
                Some(";") => break,
                Some("+") if after_found => break,
                _ => {
                    let mut word = word.clone();
                    replace(&mut word, "{}");
                    command.push(word);
                }
            }
        }
        if command.is_empty() {
            return Err(OPTIONS);
        }
        commands.push(command);
    }
    if commands.is_empty() {
        return Ok(Carries::Nothing);
    }
    Ok(Carries::Commands { commands, variables: Vec::new(), transparent: false, moves })
}

/// The shell's own commands: those whose arguments could still run something aren't followed.
fn builtin(name: &str, arguments: &[Word]) -> Result<Carries, Unclear> {
    const EVALUATED: Unclear = Unclear("a test over computed words may run what they hold");
    match name {
        "test" | "[" => {
            let computed = |word: &Word| word.form != Form::Known;
            let loose = arguments.iter().any(|word| word.form == Form::Many);
            let pair = arguments.windows(2).any(|pair| pair.iter().all(computed));
            let variable = arguments.iter().any(|word| word.exact() == Some("-v"));
            if loose || pair || variable {
                return Err(EVALUATED);
            }
        }
        "printf" if arguments.first().is_some_and(|word| word.form != Form::Known || word.text.starts_with("-v")) => {
            return Err(EVALUATED);
        }
        "set" => {
            for word in arguments {
                match word.exact() {
                    Some("--") => break,
                    Some(text) if text.starts_with(['-', '+']) && text.contains('k') => return Err(OPTIONS),
                    Some(_) => {}
                    None => return Err(COMPUTED),
                }
            }
        }
        _ => {}
    }
    Ok(Carries::Builtin)
}

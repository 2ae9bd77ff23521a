//! Lists, pipelines, compound commands and simple ones.

use super::{Dialect, Form, Parser, Read, SYNTAX, Simple, Unclear, Word, ends_word, is_name};

/// Words that end a list where a command could start.
const CLOSING: &[&[u8]] = &[b"then", b"else", b"elif", b"fi", b"do", b"done", b"esac", b"}"];
/// Words a shell reads as grammar where a command could start.
const RESERVED: &[&str] = &[
    "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in", "{", "}", "!",
    "[[", "time", "function", "select", "coproc",
];
/// Commands of the shell itself that some shells look up before functions.
const SPECIAL: &[&str] = &[
    "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times", "trap",
    "unset",
];
/// Most variables and most functions of one text.
const NAMES_MAX: usize = 256;

impl Parser<'_, '_> {
    /// Commands up to the end of the text or whatever closes them.
    pub(super) fn list(&mut self) -> Read {
        loop {
            self.skip_newlines()?;
            if self.at_end_of_list() {
                return Ok(());
            }
            let function = self.and_or()?;
            self.skip_blanks();
            let ended = match (self.peek(), self.peek_second()) {
                (Some(b';'), Some(b';' | b'&')) => false,
                (Some(b';'), _) => {
                    self.at += 1;
                    true
                }
                (Some(b'&'), _) => {
                    self.at += 1;
                    continue;
                }
                (Some(b'\n'), _) => {
                    self.newline()?;
                    true
                }
                _ => false,
            };
            if let Some(name) = function.filter(|_| !self.nested) {
                if self.script.functions.len() >= NAMES_MAX {
                    return Err(TOO_MANY);
                }
                self.script.functions.push(name);
            }
            if !ended && !self.at_end_of_list() {
                return Err(SYNTAX);
            }
        }
    }

    fn at_end_of_list(&self) -> bool {
        match self.peek() {
            None | Some(b')') => true,
            Some(b';') => matches!(self.peek_second(), Some(b';' | b'&')),
            Some(_) => CLOSING.contains(&self.plain()),
        }
    }

    /// Pipelines joined by `&&` and `||`; the name of the function, if a definition is all there is.
    fn and_or(&mut self) -> Read<Option<String>> {
        let mut function = self.pipeline()?;
        loop {
            self.skip_blanks();
            if !self.take("&&") && !self.take("||") {
                return Ok(function);
            }
            self.skip_newlines()?;
            self.pipeline()?;
            function = None;
        }
    }

    fn pipeline(&mut self) -> Read<Option<String>> {
        self.skip_blanks();
        loop {
            if self.take_plain("!") {
                self.skip_blanks();
            } else if self.at_plain("time") {
                let start = self.at;
                self.at += 4;
                self.skip_blanks();
                // As a program's name it is seen through like every other wrapper.
                if !matches!(self.peek(), Some(b'(' | b'{' | b'!')) {
                    self.at = start;
                    break;
                }
            } else {
                break;
            }
        }
        let fed = self.fed;
        let mut function = self.command()?;
        loop {
            self.skip_blanks();
            if self.rest().starts_with(b"||") || !(self.take("|&") || self.take("|")) {
                break;
            }
            self.skip_newlines()?;
            self.fed = true;
            self.command()?;
            function = None;
        }
        self.fed = fed;
        Ok(function)
    }

    fn command(&mut self) -> Read<Option<String>> {
        self.skip_blanks();
        if self.peek() == Some(b'(') {
            if self.peek_second() == Some(b'(') {
                return Err(Unclear("`((` is arithmetic to some shells and two subshells to others"));
            }
            self.at += 1;
            return self.compound(|parser| {
                parser.list()?;
                if parser.take(")") { Ok(()) } else { Err(SYNTAX) }
            });
        }
        match self.plain() {
            b"{" => {
                self.at += 1;
                self.compound(|parser| {
                    parser.list()?;
                    parser.expect_plain("}")
                })
            }
            b"if" => {
                self.at += 2;
                self.compound(Self::conditional)
            }
            b"while" | b"until" => {
                self.at += 5;
                self.compound(|parser| {
                    parser.list()?;
                    parser.loop_body()
                })
            }
            b"for" => {
                self.at += 3;
                self.compound(Self::for_loop)
            }
            b"case" => {
                self.at += 4;
                self.compound(Self::case)
            }
            b"[[" => {
                self.at += 2;
                self.compound(Self::test)
            }
            b"function" | b"select" | b"coproc" => {
                Err(Unclear("`function`, `select` and `coproc` are words of some shells only"))
            }
            word if CLOSING.contains(&word) || matches!(word, b"in" | b"!") => Err(SYNTAX),
            _ => self.simple(),
        }
    }

    /// A compound command and its redirections. They come after it and may feed what stands before them, so
    /// everything in it counts as fed when there is an input redirection anywhere behind.
    fn compound(&mut self, inner: impl FnOnce(&mut Self) -> Read) -> Read<Option<String>> {
        let first = self.script.commands.len();
        self.deeper(inner)?;
        let mut fed = false;
        loop {
            self.skip_blanks();
            if !self.at_redirection() {
                break;
            }
            fed |= self.redirection()?;
        }
        for command in self.script.commands.iter_mut().skip(first).filter(|_| fed) {
            command.fed = true;
        }
        Ok(None)
    }

    fn conditional(&mut self) -> Read {
        self.list()?;
        self.expect_plain("then")?;
        loop {
            self.list()?;
            if self.take_plain("elif") {
                self.list()?;
                self.expect_plain("then")?;
            } else if self.take_plain("else") {
                self.list()?;
                return self.expect_plain("fi");
            } else {
                return self.expect_plain("fi");
            }
        }
    }

    fn loop_body(&mut self) -> Read {
        self.expect_plain("do")?;
        self.list()?;
        self.expect_plain("done")
    }

    fn for_loop(&mut self) -> Read {
        self.skip_blanks();
        let name = self.plain();
        if !is_name(name) {
            return Err(Unclear("a `for` without a plain variable isn't read"));
        }
        self.at += name.len();
        self.variable(name)?;
        self.skip_newlines()?;
        if self.take_plain("in") {
            loop {
                self.skip_blanks();
                match self.peek() {
                    Some(b';') => {
                        self.at += 1;
                        break;
                    }
                    Some(b'\n') => break,
                    None => return Err(SYNTAX),
                    Some(_) => {
                        self.word()?;
                    }
                }
            }
        } else {
            self.take(";");
        }
        self.loop_body()
    }

    fn case(&mut self) -> Read {
        self.skip_blanks();
        self.word()?;
        self.expect_plain("in")?;
        loop {
            self.skip_newlines()?;
            if self.take_plain("esac") {
                return Ok(());
            }
            self.take("(");
            loop {
                self.skip_blanks();
                self.word()?;
                self.skip_blanks();
                if !self.take("|") {
                    break;
                }
            }
            if !self.take(")") {
                return Err(SYNTAX);
            }
            self.list()?;
            let _ = self.take(";;&") || self.take(";;") || self.take(";&");
        }
    }

    /// `[[ … ]]`: words and operators, no command of its own.
    fn test(&mut self) -> Read {
        if self.dialect != Dialect::Bash {
            return Err(Unclear("`[[` is grammar to some shells and a program to others"));
        }
        let (mut computed, mut evaluates) = (false, false);
        loop {
            self.skip_newlines()?;
            if self.take("&&") || self.take("||") || self.take("(") || self.take(")") {
                continue;
            }
            if !self.rest().starts_with(b"<(") && !self.rest().starts_with(b">(") && (self.take("<") || self.take(">"))
            {
                continue;
            }
            let word = self.word()?;
            match word.exact() {
                Some("]]") => break,
                Some("-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" | "-v" | "-R") => evaluates = true,
                Some(_) => {}
                None => computed = true,
            }
        }
        // bash evaluates the operands of such tests, and runs commands that stand in what they hold.
        if computed && evaluates { Err(EVALUATED) } else { Ok(()) }
    }

    fn simple(&mut self) -> Read<Option<String>> {
        let mut command = Simple { fed: self.fed, ..Simple::default() };
        let mut alone = true;
        loop {
            self.skip_blanks();
            if self.at_redirection() {
                command.fed |= self.redirection()?;
                alone = false;
                continue;
            }
            match self.peek() {
                Some(b'(') if alone && command.words.len() == 1 && command.assigned.is_empty() => {
                    return self.function(&command.words);
                }
                Some(b'(') => return Err(SYNTAX),
                Some(b'<' | b'>') => {}
                None => break,
                Some(byte) if ends_word(byte) => break,
                Some(_) => {}
            }
            if command.words.is_empty() && self.assignment(&mut command.assigned)? {
                continue;
            }
            let start = self.at;
            let word = self.word()?;
            if command.words.is_empty() {
                self.check_name(&word, start)?;
            }
            command.words.push(word);
        }
        if command.words.is_empty() {
            if command.assigned.is_empty() && alone {
                return Err(SYNTAX);
            }
            for name in command.assigned {
                self.variable(name.as_bytes())?;
            }
            return Ok(None);
        }
        command.function = command
            .words
            .first()
            .and_then(Word::exact)
            .is_some_and(|name| self.script.functions.iter().any(|function| function == name));
        self.emit(command)?;
        Ok(None)
    }

    /// A program's name must be cut as the shell cuts it.
    fn check_name(&self, word: &Word, start: usize) -> Read {
        let raw = self.bytes.get(start..self.at).unwrap_or_default();
        let continued = raw.windows(2).any(|pair| pair == b"\\\n");
        if continued && (RESERVED.contains(&word.text.as_str()) || word.text.contains('=')) {
            return Err(Unclear("a line is continued within a word of the grammar"));
        }
        if word.form != Form::Known {
            return Err(Unclear("the name of a program is computed while it runs"));
        }
        if word.text.is_empty() {
            return Err(Unclear("the name of a program is empty"));
        }
        Ok(())
    }

    /// `NAME=value`, `NAME+=value`, `NAME=(…)`; false when a word of another kind is here.
    fn assignment(&mut self, assigned: &mut Vec<String>) -> Read<bool> {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(rest.len());
        let name = rest.get(..length).unwrap_or_default();
        if !is_name(name) {
            return Ok(false);
        }
        match (rest.get(length), rest.get(length + 1)) {
            (Some(b'='), _) => self.at += length + 1,
            (Some(b'+'), Some(b'=')) if self.dialect == Dialect::Bash => self.at += length + 2,
            (Some(b'+'), Some(b'=')) => {
                return Err(Unclear("`+=` sets a variable in some shells and is a program's name in others"));
            }
            (Some(b'['), _) => return Err(Unclear("a subscript stands where a program's name could")),
            _ => return Ok(false),
        }
        if self.take("(") {
            loop {
                self.skip_newlines()?;
                if self.take(")") {
                    break;
                }
                self.word()?;
            }
        } else if self.peek().is_some_and(|byte| !ends_word(byte)) {
            self.word()?;
        }
        assigned.push(String::from_utf8_lossy(name).into_owned());
        Ok(true)
    }

    /// `name() command`. Its commands are decided as if it were called.
    fn function(&mut self, words: &[Word]) -> Read<Option<String>> {
        let name =
            words.first().and_then(Word::exact).filter(|name| is_name(name.as_bytes())).ok_or(SYNTAX)?.to_owned();
        if RESERVED.contains(&name.as_str()) || SPECIAL.contains(&name.as_str()) {
            return Err(SYNTAX);
        }
        self.at += 1;
        self.skip_blanks();
        if !self.take(")") {
            return Err(SYNTAX);
        }
        self.skip_newlines()?;
        let compound =
            self.peek() == Some(b'(') || matches!(self.plain(), b"{" | b"if" | b"while" | b"until" | b"for" | b"case");
        if !compound {
            return Err(SYNTAX);
        }
        self.deeper(|parser| {
            let fed = std::mem::replace(&mut parser.fed, true);
            let read = parser.command();
            parser.fed = fed;
            read
        })?;
        Ok(Some(name))
    }

    /// Notes a variable that the rest of the text may see.
    pub(super) fn variable(&mut self, name: &[u8]) -> Read {
        let name = String::from_utf8_lossy(name).into_owned();
        if !self.script.variables.contains(&name) {
            if self.script.variables.len() >= NAMES_MAX {
                return Err(TOO_MANY);
            }
            self.script.variables.push(name);
        }
        Ok(())
    }
}

const TOO_MANY: Unclear = Unclear("it holds too many names");

pub(super) const EVALUATED: Unclear = Unclear("arithmetic over a variable may run what the variable holds");

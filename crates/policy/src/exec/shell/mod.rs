//! Reads shell text: what it would start, and which files it would open on the way.
//!
//! The grammar is POSIX's with bash's common additions. Only one property matters: a command that a shell would
//! run is never missed and never cut differently than the shell cuts it. So wherever shells disagree, where a
//! name is computed while the text runs, and where this reader isn't sure, the answer is [`Unclear`]. What the
//! text runs is given as one flat list: whether a command comes after `&&` or in a loop doesn't change whether it
//! may be started. Depth, length and number of commands are bounded; reading is linear in the text.

mod compound;
mod redirect;
mod word;

/// Longest text read: more than any command line people write, less than `execve` takes.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most commands in one text; each is decided on its own.
const COMMANDS_MAX: usize = 1024;
/// Deepest nesting of brackets, substitutions and compound commands; each level is a few frames of stack.
const DEPTH_MAX: u32 = 40;

/// Why a text isn't understood, as the end of the sentence "the command line can't be followed: …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclear(pub(crate) &'static str);

/// Which shell will read the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Any POSIX shell: `dash`, `busybox sh`, or a `sh` that may be either.
    Posix,
    /// `bash`.
    Bash,
}

/// What is known of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Exactly its text.
    Known,
    /// One word that starts with its text.
    One,
    /// Any number of words, none included; if there are any, the first starts with its text.
    Many,
}

/// A word after quotes are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) form: Form,
}

impl Word {
    pub(crate) fn known(text: impl Into<String>) -> Self {
        Self { text: text.into(), form: Form::Known }
    }

    /// The text, if that is all the word can be.
    pub(crate) fn exact(&self) -> Option<&str> {
        (self.form == Form::Known).then_some(self.text.as_str())
    }
}

/// A command with its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Simple {
    /// The program, then its arguments; never empty.
    pub(crate) words: Vec<Word>,
    /// Variables set for it alone.
    pub(crate) assigned: Vec<String>,
    /// Its standard input comes from this text: a pipe, a file, a here-document.
    pub(crate) fed: bool,
    /// A function defined before it in this text, whose commands are in the list already.
    pub(crate) function: bool,
}

/// A file that a redirection opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) path: String,
    /// The path starts with an unquoted `~/`, which `path` is without.
    pub(crate) home: bool,
    pub(crate) write: bool,
}

/// Everything a text would do that can be told by reading it.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) commands: Vec<Simple>,
    pub(crate) opened: Vec<Opened>,
    /// Variables set for the rest of the text.
    pub(crate) variables: Vec<String>,
    /// Functions that are defined whatever happens, so far.
    functions: Vec<String>,
}

/// Reads a text.
///
/// # Errors
/// It isn't understood, whole.
pub(crate) fn read(text: &str, dialect: Dialect) -> Result<Script, Unclear> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Unclear("it is too long"));
    }
    let mut script = Script::default();
    Parser::new(text.as_bytes(), dialect, &mut script, 0).program()?;
    Ok(script)
}

/// Reads one text; texts in backquotes and here-documents get a parser of their own.
struct Parser<'a, 'b> {
    bytes: &'a [u8],
    at: usize,
    dialect: Dialect,
    script: &'b mut Script,
    depth: u32,
    /// Within a pipe or a redirection: standard input is this text's.
    fed: bool,
    /// Within a substitution, a compound command or a function: what is defined here may not be elsewhere.
    nested: bool,
    /// Here-documents whose bodies start after the next newline.
    pending: Vec<redirect::Pending>,
}

type Read<T = ()> = Result<T, Unclear>;

const SYNTAX: Unclear = Unclear("it isn't shell grammar as far as it is read here");

impl<'a, 'b> Parser<'a, 'b> {
    fn new(bytes: &'a [u8], dialect: Dialect, script: &'b mut Script, depth: u32) -> Self {
        Self { bytes, at: 0, dialect, script, depth, fed: false, nested: depth > 0, pending: Vec::new() }
    }

    /// The whole text.
    fn program(&mut self) -> Read {
        self.list()?;
        if self.at < self.bytes.len() || !self.pending.is_empty() { Err(SYNTAX) } else { Ok(()) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn peek_second(&self) -> Option<u8> {
        self.bytes.get(self.at + 1).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text.as_bytes());
        if found {
            self.at += text.len();
        }
        found
    }

    /// Blanks, line continuations and a comment.
    fn skip_blanks(&mut self) {
        loop {
            match (self.peek(), self.peek_second()) {
                (Some(b' ' | b'\t'), _) => self.at += 1,
                (Some(b'\\'), Some(b'\n')) => self.at += 2,
                // Reached only between words: after a word's last byte the word itself is not over.
                (Some(b'#'), _) if self.at_word_start() => {
                    self.at += self.rest().iter().position(|byte| *byte == b'\n').unwrap_or(self.rest().len());
                }
                _ => return,
            }
        }
    }

    /// Whether a word could start here: the byte before ends whatever was there.
    fn at_word_start(&self) -> bool {
        self.at == 0 || self.bytes.get(self.at - 1).is_none_or(|byte| ends_word(*byte))
    }

    fn skip_newlines(&mut self) -> Read {
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'\n') {
                return Ok(());
            }
            self.newline()?;
        }
    }

    /// The plain word here, if nothing in it is quoted or computed and it ends where a shell ends it.
    fn plain(&self) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| ends_word(*byte)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        if word.iter().any(|byte| matches!(byte, b'\\' | b'\'' | b'"' | b'$' | b'`')) { b"" } else { word }
    }

    fn at_plain(&self, word: &str) -> bool {
        self.plain() == word.as_bytes()
    }

    fn take_plain(&mut self, word: &str) -> bool {
        let found = self.at_plain(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn expect_plain(&mut self, word: &str) -> Read {
        self.skip_newlines()?;
        if self.take_plain(word) { Ok(()) } else { Err(SYNTAX) }
    }

    /// Goes a level deeper for what `inner` reads.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= DEPTH_MAX {
            return Err(Unclear("it is nested too deeply"));
        }
        self.depth += 1;
        let nested = std::mem::replace(&mut self.nested, true);
        let result = inner(self);
        self.nested = nested;
        self.depth -= 1;
        result
    }

    fn emit(&mut self, command: Simple) -> Read {
        if self.script.commands.len() >= COMMANDS_MAX {
            return Err(Unclear("it holds too many commands"));
        }
        self.script.commands.push(command);
        Ok(())
    }
}

/// Whether an unquoted byte ends a word.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>')
}

fn is_name(text: &[u8]) -> bool {
    text.first().is_some_and(|first| !first.is_ascii_digit())
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

//! Splits a program's output where a terminal would: into text, controls and escape sequences.
//!
//! It answers two questions that the screen model can't: whether the stream stands between two sequences, so that
//! something else may be written now, and which modes were set that the model doesn't know.

/// More parameters than any terminal reads; the rest of a sequence is skipped.
const PARAMETERS_MAX: usize = 16;

/// Reads output in chunks of any size and keeps its place between them.
#[derive(Debug, Default)]
pub(super) struct Lexer {
    state: State,
    sequence: Sequence,
}

/// An escape sequence: `ESC ( 0` has an intermediate `(`, `CSI ? 25 h` a prefix `?`.
#[derive(Debug, Default, Clone)]
pub(super) struct Sequence {
    pub(super) prefix: Option<u8>,
    pub(super) intermediate: Option<u8>,
    pub(super) parameters: Vec<u16>,
    pub(super) end: u8,
}

/// What the next bytes are.
#[derive(Debug)]
pub(super) enum Token<'a> {
    /// Characters to be shown; possibly cut within one at the end of a chunk.
    Text,
    /// One control character.
    Control(u8),
    /// A sequence without parameters.
    Escape(&'a Sequence),
    /// A sequence with parameters.
    Csi(&'a Sequence),
    /// A string such as a title, now complete.
    String,
    /// The chunk ended within a sequence.
    Unfinished,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// Within a character of several bytes, of which so many are missing.
    Character(u8),
    Escape,
    Csi,
    String,
    /// After an ESC in a string: a backslash ends it.
    StringEscape,
}

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

impl Lexer {
    /// Whether the stream stands between two characters or sequences.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Ground
    }

    /// The first token of `bytes` and its length, which is zero only when `bytes` is empty.
    pub(super) fn next<'a>(&'a mut self, bytes: &[u8]) -> (usize, Token<'a>) {
        if matches!(self.state, State::Ground | State::Character(_)) {
            let length = self.text(bytes);
            if length > 0 {
                return (length, Token::Text);
            }
        }
        for (index, &byte) in bytes.iter().enumerate() {
            let length = index + 1;
            match self.state {
                State::Ground | State::Character(_) => match byte {
                    ESC => self.start(State::Escape),
                    control => return (length, Token::Control(control)),
                },
                _ if byte == CAN || byte == SUB => return (length, self.finish(Token::Control(byte))),
                State::String => match byte {
                    ESC => self.state = State::StringEscape,
                    BEL => return (length, self.finish(Token::String)),
                    _ => {}
                },
                State::StringEscape if byte == b'\\' => return (length, self.finish(Token::String)),
                _ if byte == ESC => self.start(State::Escape),
                State::StringEscape | State::Escape => match byte {
                    b'[' if self.sequence.intermediate.is_none() => self.state = State::Csi,
                    b']' | b'P' | b'X' | b'^' | b'_' if self.sequence.intermediate.is_none() => {
                        self.state = State::String;
                    }
                    0x20..=0x2f => self.sequence.intermediate = Some(byte),
                    0x30..=0x7e => {
                        self.sequence.end = byte;
                        self.state = State::Ground;
                        return (length, Token::Escape(&self.sequence));
                    }
                    _ => {}
                },
                State::Csi => match byte {
                    b'0'..=b'9' => self.digit(byte - b'0'),
                    b';' | b':' => self.separator(),
                    b'<'..=b'?' => self.sequence.prefix = Some(byte),
                    0x20..=0x2f => self.sequence.intermediate = Some(byte),
                    0x40..=0x7e => {
                        self.sequence.end = byte;
                        self.state = State::Ground;
                        return (length, Token::Csi(&self.sequence));
                    }
                    // A terminal carries out controls within a sequence; none of them matter here.
                    _ => {}
                },
            }
            self.sequence.parameters.truncate(PARAMETERS_MAX);
        }
        (bytes.len(), Token::Unfinished)
    }

    /// How many of the bytes are text.
    fn text(&mut self, bytes: &[u8]) -> usize {
        let mut missing = match self.state {
            State::Character(missing) => missing,
            _ => 0,
        };
        let length = bytes
            .iter()
            .position(|byte| {
                missing = match byte {
                    0x80..=0xbf => missing.saturating_sub(1),
                    0xc2..=0xdf => 1,
                    0xe0..=0xef => 2,
                    0xf0..=0xf4 => 3,
                    _ => 0,
                };
                *byte < 0x20 || *byte == 0x7f
            })
            .unwrap_or(bytes.len());
        self.state = if missing == 0 { State::Ground } else { State::Character(missing) };
        length
    }

    fn start(&mut self, state: State) {
        self.state = state;
        self.sequence.prefix = None;
        self.sequence.intermediate = None;
        self.sequence.parameters.clear();
        self.sequence.end = 0;
    }

    fn finish<'a>(&mut self, token: Token<'a>) -> Token<'a> {
        self.state = State::Ground;
        token
    }

    fn separator(&mut self) {
        if self.sequence.parameters.is_empty() {
            self.sequence.parameters.push(0);
        }
        self.sequence.parameters.push(0);
    }

    fn digit(&mut self, digit: u8) {
        if self.sequence.parameters.is_empty() {
            self.sequence.parameters.push(0);
        }
        if let Some(last) = self.sequence.parameters.last_mut() {
            *last = last.saturating_mul(10).saturating_add(u16::from(digit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(chunks: &[&[u8]]) -> Vec<String> {
        let mut lexer = Lexer::default();
        let mut shown = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            while !rest.is_empty() {
                let (length, token) = lexer.next(rest);
                let bytes = String::from_utf8_lossy(&rest[..length]).into_owned();
                shown.push(match token {
                    Token::Text => format!("text {bytes}"),
                    Token::Control(control) => format!("control {control}"),
                    Token::Escape(sequence) => format!("escape {:?} {}", sequence.intermediate, sequence.end as char),
                    Token::Csi(sequence) => {
                        format!("csi {:?} {:?} {}", sequence.prefix, sequence.parameters, sequence.end as char)
                    }
                    Token::String => "string".to_owned(),
                    Token::Unfinished => "unfinished".to_owned(),
                });
                rest = &rest[length..];
            }
        }
        shown.push(if lexer.is_between() { "between".to_owned() } else { "within".to_owned() });
        shown
    }

    #[test]
    fn splits_as_a_terminal_does() {
        assert_eq!(
            tokens(&[b"ab\r\x1b[?1;25hc"]),
            ["text ab", "control 13", "csi Some(63) [1, 25] h", "text c", "between"]
        );
        assert_eq!(tokens(&[b"\x1b(0q\x1b7"]), ["escape Some(40) 0", "text q", "escape None 7", "between"]);
        assert_eq!(tokens(&[b"\x1b]0;title\x07x\x1bPq\x1b\\"]), ["string", "text x", "string", "between"]);
        assert_eq!(tokens(&[b"\x1b]0;ti\x18x"]), ["control 24", "text x", "between"]);
        assert_eq!(tokens(&[b"\x1b[;5H"]), ["csi None [0, 5] H", "between"]);
        assert_eq!(tokens(&[b"\x1b[1\x1b[2J"]), ["csi None [2] J", "between"]);
    }

    #[test]
    fn knows_when_it_is_within() {
        assert_eq!(tokens(&[b"\x1b"]), ["unfinished", "within"]);
        assert_eq!(tokens(&[b"\x1b[3", b"1m"]), ["unfinished", "csi None [31] m", "between"]);
        assert_eq!(tokens(&[b"\x1b]0;x\x1b"]), ["unfinished", "within"]);
        assert_eq!(tokens(&[b"a\xe6\x97"]), ["text a\u{fffd}", "within"]);
        assert_eq!(tokens(&[b"\xe6\x97", b"\xa5"]).last().unwrap(), "between");
    }
}

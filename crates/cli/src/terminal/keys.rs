//! Reads keys from what a terminal sends while a panel is up.

/// One key, or something that a terminal sends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Character(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Escape,
    /// Ctrl-C.
    Interrupt,
    /// The terminal's answer to a question the program had asked before the panel came up; the program gets it.
    Reply(Vec<u8>),
    Other,
}

/// All keys in one piece of input. A piece with several keys was pasted or typed ahead.
pub(super) fn decode(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let [first, rest @ ..] = bytes {
        let (length, key) = match first {
            0x1b => escape(rest),
            0x03 => (1, Key::Interrupt),
            b' '..=b'~' => (1, Key::Character(char::from(*first))),
            _ => (1, Key::Other),
        };
        keys.push(key);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    keys
}

/// A sequence after its ESC, and the length of both.
fn escape(rest: &[u8]) -> (usize, Key) {
    match rest {
        [] => (1, Key::Escape),
        [b'[' | b'O', sequence @ ..] => {
            let Some(end) = sequence.iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
                return (rest.len() + 1, Key::Other);
            };
            let length = end + 3;
            let parameters = sequence.get(..end).unwrap_or_default();
            let key = match (parameters, sequence.get(end).copied().unwrap_or_default()) {
                (b"", b'A') => Key::Up,
                (b"", b'B') => Key::Down,
                (b"", b'H') | (b"1", b'~') => Key::Home,
                (b"", b'F') | (b"4", b'~') => Key::End,
                (b"5", b'~') => Key::PageUp,
                (b"6", b'~') => Key::PageDown,
                // Cursor position, device attributes and status, mode reports, window reports.
                (b"" | b"I" | b"O", _) => Key::Other,
                (_, b'R' | b'c' | b'n' | b'y' | b't') => reply(rest, length),
                _ => Key::Other,
            };
            (length, key)
        }
        // A string: the answer to a question about colours, the clipboard or the terminal's name.
        [b']' | b'P' | b'_', string @ ..] => {
            let end = string.iter().position(|byte| *byte == 0x07).map(|end| end + 1);
            let end = end.or_else(|| string.windows(2).position(|pair| pair == b"\x1b\\").map(|end| end + 2));
            end.map_or((rest.len() + 1, Key::Other), |end| (end + 2, reply(rest, end + 2)))
        }
        [_, ..] => (2, Key::Other),
    }
}

fn reply(rest: &[u8], length: usize) -> Key {
    let mut bytes = vec![0x1b];
    bytes.extend_from_slice(rest.get(..length - 1).unwrap_or_default());
    Key::Reply(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_keys() {
        assert_eq!(decode(b"a"), [Key::Character('a')]);
        assert_eq!(decode(b"\x1b"), [Key::Escape]);
        assert_eq!(decode(b"\x1b[A\x1bOB"), [Key::Up, Key::Down]);
        assert_eq!(decode(b"\x1b[5~\x1b[6~\x1b[H\x1b[F"), [Key::PageUp, Key::PageDown, Key::Home, Key::End]);
        assert_eq!(decode(b"\x03\r"), [Key::Interrupt, Key::Other]);
        assert_eq!(decode("é".as_bytes()).len(), 2);
    }

    #[test]
    fn never_takes_the_inside_of_a_sequence_for_a_key() {
        assert_eq!(decode(b"\x1b[200~a\x1b[201~"), [Key::Other, Key::Character('a'), Key::Other]);
        assert_eq!(decode(b"\x1ba"), [Key::Other]);
        assert_eq!(decode(b"\x1b[1;5"), [Key::Other]);
        assert_eq!(decode(b"\x1b[<0;1;1M"), [Key::Other]);
        assert_eq!(decode(b"\x1b]52;c;aaaa"), [Key::Other]);
    }

    #[test]
    fn keeps_the_terminals_answers_for_the_program() {
        assert_eq!(decode(b"\x1b[5;10R"), [Key::Reply(b"\x1b[5;10R".to_vec())]);
        assert_eq!(decode(b"\x1b[?62;c"), [Key::Reply(b"\x1b[?62;c".to_vec())]);
        assert_eq!(
            decode(b"\x1b]11;rgb:0/0/0\x1b\\a"),
            [Key::Reply(b"\x1b]11;rgb:0/0/0\x1b\\".to_vec()), Key::Character('a')]
        );
        assert_eq!(decode(b"\x1bP1$r0m\x1b\\"), [Key::Reply(b"\x1bP1$r0m\x1b\\".to_vec())]);
    }
}

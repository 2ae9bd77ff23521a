//! Redirections and here-documents.

use super::{Opened, Parser, Read, SYNTAX, Unclear, ends_word};

/// A here-document that was announced.
pub(super) struct Pending {
    end: Vec<u8>,
    /// Tabs before each line are dropped.
    strip: bool,
    /// The end was quoted: nothing is expanded in the body.
    quoted: bool,
    /// Where it was announced.
    from: usize,
}

impl Parser<'_, '_> {
    /// Whether a redirection is here: `>`, `2>`, `&>` and so on, but no process substitution.
    pub(super) fn at_redirection(&self) -> bool {
        let rest = self.rest();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match (rest.get(digits), rest.get(digits + 1)) {
            (Some(b'<' | b'>'), Some(b'(')) => digits > 0,
            (Some(b'<' | b'>'), _) => true,
            (Some(b'&'), Some(b'>')) => digits == 0,
            _ => false,
        }
    }

    /// One redirection; whether it feeds standard input.
    pub(super) fn redirection(&mut self) -> Read<bool> {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.take("<<<") {
            self.skip_blanks();
            self.word()?;
            return Ok(true);
        }
        if self.rest().starts_with(b"<<") {
            self.announce()?;
            return Ok(true);
        }
        let duplicate = self.take("<&") || self.rest().starts_with(b">&");
        if duplicate {
            self.take(">&");
            self.skip_blanks();
            let length = self.rest().iter().take_while(|byte| !ends_word(**byte)).count();
            let target = self.rest().get(..length).unwrap_or_default();
            let digits = target.strip_suffix(b"-").unwrap_or(target);
            if !target.is_empty() && digits.iter().all(u8::is_ascii_digit) {
                self.at += length;
                return Ok(true);
            }
            self.target(true, false)?;
            return Ok(true);
        }
        let (write, read) = if self.take("&>>") || self.take("&>") || self.take(">>") || self.take(">|") {
            (true, false)
        } else if self.take("<>") {
            (true, true)
        } else if self.take(">") {
            (true, false)
        } else if self.take("<") {
            (false, true)
        } else {
            return Err(SYNTAX);
        };
        self.skip_blanks();
        self.target(write, read)?;
        Ok(read)
    }

    fn target(&mut self, write: bool, read: bool) -> Read {
        let home = self.rest().starts_with(b"~/");
        if home {
            self.at += 1;
        }
        let word = self.word()?;
        let path = word.exact().ok_or(Unclear("a redirection to a name that is computed while it runs"))?;
        if path.starts_with("/dev/tcp/") || path.starts_with("/dev/udp/") {
            return Err(Unclear("a redirection to the network"));
        }
        for write in [(write, true), (read, false)].into_iter().filter(|(wanted, _)| *wanted).map(|(_, write)| write) {
            self.script.opened.push(Opened { path: path.to_owned(), home, write });
        }
        Ok(())
    }

    fn announce(&mut self) -> Read {
        let from = self.at;
        self.at += 2;
        let strip = self.take("-");
        self.skip_blanks();
        let (mut end, mut quoted) = (Vec::new(), false);
        while let Some(byte) = self.peek().filter(|byte| !ends_word(*byte)) {
            match byte {
                b'\'' | b'"' => {
                    let length = self.rest().iter().skip(1).position(|other| *other == byte).ok_or(SYNTAX)?;
                    let inside = self.rest().get(1..=length).unwrap_or_default();
                    if inside.iter().any(|byte| matches!(byte, b'\\' | b'$' | b'`' | b'\n')) {
                        return Err(Unclear("the end of a here-document is written in an unusual way"));
                    }
                    end.extend_from_slice(inside);
                    self.at += length + 2;
                    quoted = true;
                }
                b'\\' | b'$' | b'`' => {
                    return Err(Unclear("the end of a here-document is written in an unusual way"));
                }
                _ if byte.is_ascii_control() => return Err(Unclear("it holds control characters")),
                _ => {
                    end.push(byte);
                    self.at += 1;
                }
            }
        }
        if end.is_empty() && !quoted {
            return Err(SYNTAX);
        }
        self.pending.push(Pending { end, strip, quoted, from });
        Ok(())
    }

    /// The newline here, and the bodies that start after it.
    pub(super) fn newline(&mut self) -> Read {
        let pending = std::mem::take(&mut self.pending);
        let line_end = self.at;
        self.at += 1;
        for document in pending {
            let announced = self.bytes.get(document.from..line_end).unwrap_or_default();
            if announced.contains(&b'\n') {
                return Err(Unclear("a here-document whose line goes on in the next one"));
            }
            self.here_document(&document)?;
        }
        Ok(())
    }

    fn here_document(&mut self, document: &Pending) -> Read {
        let start = self.at;
        loop {
            let line_start = self.at;
            let rest = self.rest();
            if rest.is_empty() {
                return Err(Unclear("a here-document doesn't end"));
            }
            let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let mut line = rest.get(..length).unwrap_or_default();
            self.at += length;
            if document.strip {
                let tabs = line.iter().take_while(|byte| **byte == b'\t').count();
                line = line.get(tabs..).unwrap_or_default();
            }
            if line == document.end {
                if !document.quoted {
                    let body = self.bytes.get(start..line_start).unwrap_or_default();
                    self.expand_body(body)?;
                }
                // Behind the last line; its newline, if any, ends the line of the command.
                if self.peek() == Some(b'\n') {
                    self.at += 1;
                }
                return Ok(());
            }
            if !document.quoted && line.ends_with(b"\\") {
                return Err(Unclear("a here-document with a continued line"));
            }
            if self.peek() == Some(b'\n') {
                self.at += 1;
            }
        }
    }

    fn expand_body(&mut self, body: &[u8]) -> Read {
        let dialect = self.dialect;
        self.deeper(|parser| {
            let depth = parser.depth;
            let mut inner = Parser::new(body, dialect, parser.script, depth);
            inner.fed = true;
            inner.body()
        })
    }
}

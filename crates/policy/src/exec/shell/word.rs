//! Words: quotes, expansions, substitutions.

use super::compound::EVALUATED;
use super::{Dialect, Form, Parser, Read, SYNTAX, Unclear, Word, ends_word, is_name};

/// A word while it is put together.
#[derive(Default)]
struct Draft {
    text: Vec<u8>,
    /// How much is known; nothing is added to the text once it isn't everything.
    form: Option<Form>,
}

impl Draft {
    fn push(&mut self, byte: u8) {
        if self.form.is_none() {
            self.text.push(byte);
        }
    }

    fn computed(&mut self, form: Form) {
        self.form = match (self.form, form) {
            (Some(Form::Many), _) | (_, Form::Many) => Some(Form::Many),
            _ => Some(Form::One),
        };
    }

    fn finish(self) -> Read<Word> {
        let form = self.form.unwrap_or(Form::Known);
        let text = match String::from_utf8(self.text) {
            Ok(text) => text,
            // Cut within a character, by an expansion.
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Ok(Word { text, form })
    }
}

impl Parser<'_, '_> {
    /// The word here; an error when there is none.
    pub(super) fn word(&mut self) -> Read<Word> {
        let mut draft = Draft::default();
        let start = self.at;
        let (mut brace, mut dots) = (false, false);
        while let Some(byte) = self.peek() {
            let dot = byte == b'.';
            match byte {
                b'<' | b'>' if self.peek_second() == Some(b'(') => {
                    self.at += 2;
                    self.substitution()?;
                    draft.computed(Form::One);
                }
                _ if ends_word(byte) => break,
                b'\'' => self.single_quoted(&mut draft)?,
                b'"' => {
                    self.at += 1;
                    self.double_quoted(&mut draft)?;
                }
                b'\\' => self.escaped(&mut draft)?,
                b'$' => self.dollar(&mut draft, false)?,
                b'`' => {
                    self.backquoted(false)?;
                    draft.computed(Form::Many);
                }
                b'~' if self.at == start => {
                    self.at += 1;
                    draft.computed(Form::One);
                }
                b'*' | b'?' | b'[' => {
                    self.at += 1;
                    // `[` alone is a program, and a bracket needs a partner to be a pattern.
                    if byte == b'[' && draft.text.is_empty() && self.peek().is_none_or(ends_word) {
                        draft.push(byte);
                    } else {
                        draft.computed(Form::Many);
                    }
                }
                b'{' => {
                    self.at += 1;
                    brace = true;
                    draft.push(byte);
                }
                b',' if brace => {
                    self.at += 1;
                    draft.computed(Form::Many);
                }
                b'.' if brace && dots => {
                    self.at += 1;
                    draft.computed(Form::Many);
                }
                _ if byte.is_ascii_control() => {
                    return Err(Unclear("it holds control characters"));
                }
                _ => {
                    self.at += 1;
                    draft.push(byte);
                }
            }
            dots = dot;
        }
        if self.at == start {
            return Err(SYNTAX);
        }
        // `{name}>file` gives the descriptor's number to a variable in some shells, and is an argument in others.
        let raw = self.bytes.get(start..self.at).unwrap_or_default();
        if raw.first() == Some(&b'{') && raw.last() == Some(&b'}') && matches!(self.peek(), Some(b'<' | b'>')) {
            return Err(Unclear("a redirection of a descriptor kept in a variable"));
        }
        if brace && draft.form == Some(Form::Many) {
            // Alternatives in braces multiply what stands before them as well.
            let before = draft.text.iter().position(|byte| *byte == b'{').unwrap_or(draft.text.len());
            draft.text.truncate(before);
        }
        draft.finish()
    }

    fn single_quoted(&mut self, draft: &mut Draft) -> Read {
        self.at += 1;
        let length = self.rest().iter().position(|byte| *byte == b'\'').ok_or(SYNTAX)?;
        for byte in self.rest().get(..length).unwrap_or_default() {
            draft.push(*byte);
        }
        self.at += length + 1;
        Ok(())
    }

    fn escaped(&mut self, draft: &mut Draft) -> Read {
        match self.peek_second() {
            None => return Err(SYNTAX),
            Some(b'\n') => {}
            Some(byte) if byte.is_ascii_control() => return Err(Unclear("it holds control characters")),
            Some(byte) => draft.push(byte),
        }
        self.at += 2;
        Ok(())
    }

    /// From behind the opening `"` to behind the closing one.
    fn double_quoted(&mut self, draft: &mut Draft) -> Read {
        loop {
            match self.peek().ok_or(SYNTAX)? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    match self.peek_second().ok_or(SYNTAX)? {
                        b'\n' => {}
                        byte @ (b'$' | b'`' | b'"' | b'\\') => draft.push(byte),
                        byte => {
                            draft.push(b'\\');
                            draft.push(byte);
                        }
                    }
                    self.at += 2;
                }
                b'$' => self.dollar(draft, true)?,
                b'`' => {
                    self.backquoted(true)?;
                    draft.computed(Form::One);
                }
                byte => {
                    self.at += 1;
                    draft.push(byte);
                }
            }
        }
    }

    /// What `$` starts.
    fn dollar(&mut self, draft: &mut Draft, quoted: bool) -> Read {
        let split = if quoted { Form::One } else { Form::Many };
        self.at += 1;
        match self.peek() {
            Some(b'\'') if !quoted => {
                let length = self.rest().iter().skip(1).position(|byte| *byte == b'\'').ok_or(SYNTAX)?;
                if self.rest().iter().take(length + 1).any(|byte| *byte == b'\\') {
                    return Err(Unclear("`$'…'` with escapes is read differently by different shells"));
                }
                self.at += length + 2;
                draft.computed(Form::One);
            }
            Some(b'"') if !quoted => draft.computed(Form::One),
            Some(b'(') if self.peek_second() == Some(b'(') => {
                self.at += 2;
                self.arithmetic()?;
                draft.computed(split);
            }
            Some(b'(') => {
                self.at += 1;
                self.substitution()?;
                draft.computed(split);
            }
            Some(b'{') => {
                self.at += 1;
                let many = self.parameter(quoted)?;
                draft.computed(if many { Form::Many } else { split });
            }
            Some(b'[') => return Err(Unclear("`$[` is arithmetic to some shells only")),
            Some(b'@' | b'*') => {
                self.at += 1;
                draft.computed(Form::Many);
            }
            // Numbers, which don't fall apart.
            Some(b'#' | b'?' | b'$' | b'!') => {
                self.at += 1;
                draft.computed(Form::One);
            }
            Some(b'-' | b'0'..=b'9') => {
                self.at += 1;
                draft.computed(split);
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let name = self.rest().iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
                self.at += name.count();
                draft.computed(split);
            }
            _ => draft.push(b'$'),
        }
        Ok(())
    }

    /// From behind `$(`, `<(` or `>(` to behind the closing bracket.
    pub(super) fn substitution(&mut self) -> Read {
        let pending = std::mem::take(&mut self.pending);
        let fed = std::mem::replace(&mut self.fed, true);
        self.deeper(|parser| {
            parser.list()?;
            if parser.take(")") && parser.pending.is_empty() { Ok(()) } else { Err(SYNTAX) }
        })?;
        self.fed = fed;
        self.pending = pending;
        Ok(())
    }

    /// From behind `$((` to behind `))`. Only numbers: what a variable holds may be evaluated again.
    fn arithmetic(&mut self) -> Read {
        let mut open = 0_u32;
        loop {
            match self.peek().ok_or(SYNTAX)? {
                b'(' => open += 1,
                b')' if open > 0 => open -= 1,
                b')' if self.peek_second() == Some(b')') => {
                    self.at += 2;
                    return Ok(());
                }
                b'0'..=b'9'
                | b' '
                | b'\t'
                | b'+'
                | b'-'
                | b'*'
                | b'/'
                | b'%'
                | b'<'
                | b'>'
                | b'='
                | b'!'
                | b'&'
                | b'|'
                | b'^'
                | b'~'
                | b'?'
                | b':'
                | b',' => {}
                b'\'' | b'"' | b'\\' | b')' | b'\n' | b'#' => return Err(SYNTAX),
                _ => return Err(EVALUATED),
            }
            self.at += 1;
        }
    }

    /// From behind `${` to behind `}`; whether it may be many words even within quotes.
    fn parameter(&mut self, quoted: bool) -> Read<bool> {
        const ODD: Unclear = Unclear("an expansion `${…}` of a kind that isn't read");
        let rest = self.rest();
        let at = |index: usize| rest.get(index).copied().unwrap_or(0);
        let mut from = 0;
        if at(0) == b'#' && at(1) != b'}' {
            from = 1;
        }
        let special = matches!(at(from), b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' | b'0'..=b'9');
        if at(from) == b'!' && at(from + 1) != b'}' {
            return Err(Unclear("an expansion `${!…}` of a name kept in a variable"));
        }
        let length = if special {
            rest.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count().max(1)
        } else {
            rest.iter().skip(from).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
        };
        let name = rest.get(from..from + length).unwrap_or_default();
        if !special && !is_name(name) {
            return Err(ODD);
        }
        let mut many = matches!(name, b"@" | b"*");
        self.at += from + length;
        if self.peek() == Some(b'[') {
            let length = self.rest().iter().position(|byte| *byte == b']').ok_or(ODD)?;
            let index = self.rest().get(1..length).unwrap_or_default();
            let all = matches!(index, b"@" | b"*");
            if self.dialect != Dialect::Bash || !(all || index.iter().all(u8::is_ascii_digit)) {
                return Err(EVALUATED);
            }
            many |= all;
            self.at += length + 1;
        }
        if self.take("}") {
            return Ok(many);
        }
        let colon = self.take(":");
        match self.peek() {
            Some(b'=') => {
                self.variable(name)?;
                self.at += 1;
            }
            Some(b'-' | b'?' | b'+') => self.at += 1,
            Some(b'#' | b'%' | b'/' | b'^' | b',') if !colon => self.at += 1,
            Some(b'0'..=b'9' | b' ') if colon => {
                let length = self.rest().iter().position(|byte| *byte == b'}').ok_or(ODD)?;
                let plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b' ' | b':' | b'-');
                if !self.rest().iter().take(length).all(plain) {
                    return Err(EVALUATED);
                }
                self.at += length + 1;
                return Ok(many);
            }
            _ => return Err(ODD),
        }
        self.deeper(|parser| parser.operand(quoted))?;
        Ok(many)
    }

    /// The word behind an operator of `${…}`, to behind `}`.
    fn operand(&mut self, quoted: bool) -> Read {
        let mut ignored = Draft::default();
        loop {
            match self.peek().ok_or(SYNTAX)? {
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\'' if quoted => return Err(Unclear("single quotes within `\"${…}\"` are read in several ways")),
                b'\'' => self.single_quoted(&mut ignored)?,
                b'"' if quoted => return Err(Unclear("quotes within `\"${…}\"` are read in several ways")),
                b'"' => {
                    self.at += 1;
                    self.double_quoted(&mut ignored)?;
                }
                b'\\' => {
                    self.peek_second().ok_or(SYNTAX)?;
                    self.at += 2;
                }
                b'$' => self.dollar(&mut ignored, quoted)?,
                b'`' => self.backquoted(quoted)?,
                b'<' | b'>' if self.peek_second() == Some(b'(') => {
                    return Err(Unclear("a substitution that only some shells read"));
                }
                _ => self.at += 1,
            }
        }
    }

    /// From the opening backquote to behind the closing one.
    pub(super) fn backquoted(&mut self, quoted: bool) -> Read {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek().ok_or(SYNTAX)? {
                b'`' => break,
                b'\\' => match self.peek_second().ok_or(SYNTAX)? {
                    byte @ (b'`' | b'\\' | b'$') => {
                        text.push(byte);
                        self.at += 2;
                    }
                    b'"' if quoted => {
                        return Err(Unclear("escaped quotes within backquotes are read in several ways"));
                    }
                    byte => {
                        text.extend([b'\\', byte]);
                        self.at += 2;
                    }
                },
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        let dialect = self.dialect;
        self.deeper(|parser| {
            let depth = parser.depth;
            let mut inner = Parser::new(&text, dialect, parser.script, depth);
            inner.fed = true;
            inner.program()
        })
    }

    /// Expansions of a here-document's body, which is read like text in double quotes with plain quotes in it.
    pub(super) fn body(&mut self) -> Read {
        let mut ignored = Draft::default();
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.at += 2,
                b'$' => self.dollar(&mut ignored, true)?,
                b'`' => self.backquoted(true)?,
                _ => self.at += 1,
            }
        }
        Ok(())
    }
}

//! Strings of a JSON text, each with the names of the fields it lies in. The text is left as it is but for the strings
//! that are filled in: numbers, spaces and the order of fields stay as their sender wrote them.

use zeroize::Zeroizing;

use super::{Text, Visit, holds};

/// Deeper JSON is no request body; serde_json stops there, too.
const DEPTH_MAX: usize = 128;

/// Why a body can't be looked at field by field.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JsonError {
    /// It is no JSON.
    #[error("the body is no JSON")]
    Malformed,
    /// A value can't stand in a string.
    #[error("the value at `{at}` is not UTF-8")]
    Encoding {
        /// Where.
        at: String,
    },
}

/// Tells every string with a placeholder in it, by its path (`json.a.b.0`), and gives the text with what `visit` gave in
/// their places; `None` where it gave nothing.
pub fn fill(body: &[u8], visit: &mut Visit<'_>) -> Result<Option<Text>, JsonError> {
    // From here on the text is known to be sound, and the walk needs no errors of its own.
    serde_json::from_slice::<serde::de::IgnoredAny>(body).map_err(|_| JsonError::Malformed)?;
    let mut walk = Walk { body, at: 0, copied: 0, path: Vec::new(), out: None, visit };
    walk.value(0)?;
    let Walk { out, copied, .. } = walk;
    Ok(out.map(|mut out| {
        out.extend_from_slice(body.get(copied..).unwrap_or_default());
        out
    }))
}

struct Walk<'a, 'v> {
    body: &'a [u8],
    at: usize,
    /// So much of the body is in `out`.
    copied: usize,
    path: Vec<String>,
    out: Option<Text>,
    visit: &'a mut Visit<'v>,
}

impl Walk<'_, '_> {
    fn peek(&self) -> u8 {
        self.body.get(self.at).copied().unwrap_or(0)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(JsonError::Malformed);
        }
        self.skip_space();
        match self.peek() {
            b'{' => self.members(depth, b'}'),
            b'[' => self.members(depth, b']'),
            b'"' => self.string(),
            _ => {
                while !matches!(self.peek(), b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r' | 0) {
                    self.at += 1;
                }
                Ok(())
            }
        }
    }

    fn members(&mut self, depth: usize, end: u8) -> Result<(), JsonError> {
        self.at += 1;
        let mut index = 0_usize;
        loop {
            self.skip_space();
            match self.peek() {
                b',' => {
                    self.at += 1;
                    continue;
                }
                0 => return Ok(()),
                byte if byte == end => {
                    self.at += 1;
                    return Ok(());
                }
                _ => {}
            }
            if end == b'}' {
                let name = self.token();
                if holds(&name) {
                    let _ = (self.visit)("json-name", &name);
                }
                // A dot in a name is told from the dot between names.
                self.path.push(String::from_utf8_lossy(&name).replace('.', "\\."));
                self.skip_space();
                self.at += 1;
            } else {
                self.path.push(index.to_string());
                index += 1;
            }
            self.value(depth + 1)?;
            self.path.pop();
        }
    }

    fn string(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let text = self.token();
        if !holds(&text) {
            return Ok(());
        }
        let at = format!("json.{}", self.path.join("."));
        let Some(filled) = (self.visit)(&at, &text) else { return Ok(()) };
        let filled = std::str::from_utf8(&filled).map_err(|_| JsonError::Encoding { at })?;
        let out =
            self.out.get_or_insert_with(|| Zeroizing::new(Vec::with_capacity(self.body.len() + filled.len() * 2)));
        out.extend_from_slice(self.body.get(self.copied..start).unwrap_or_default());
        // A string always has a JSON form, and writing to memory doesn't fail.
        let _ = serde_json::to_writer(&mut **out, filled);
        self.copied = self.at;
        Ok(())
    }

    /// The string that starts here, escapes undone.
    fn token(&mut self) -> Text {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                b'"' => break,
                0 => return Zeroizing::default(),
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        let token = self.body.get(start..self.at).unwrap_or_default();
        Zeroizing::new(serde_json::from_slice::<String>(token).unwrap_or_default().into_bytes())
    }
}

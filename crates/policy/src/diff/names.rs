//! Names of files in patches: quoting, the directory tools strip, and names that lead out.

use std::borrow::Cow;

/// How a name leads out of the place the patch is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    Absolute,
    Climbs,
    /// More than one reading: doubled slashes, backslashes, drive letters, control or direction characters.
    Ambiguous,
}

impl Escape {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Absolute => "is absolute",
            Self::Climbs => "climbs out with `..`",
            Self::Ambiguous => "has more than one reading",
        }
    }
}

/// Whether and how a name leads out.
pub(crate) fn escape(name: &str) -> Option<Escape> {
    if name.starts_with('/') || name == "~" || name.starts_with("~/") {
        return Some(Escape::Absolute);
    }
    if name.split(['/', '\\']).any(|part| part == "..") {
        return Some(Escape::Climbs);
    }
    let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    let unclear = |c: char| {
        c.is_control()
            || c == '\\'
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let doubled = name.split('/').any(|part| part.is_empty() || part == ".");
    (drive || doubled || name.chars().any(unclear)).then_some(Escape::Ambiguous)
}

/// Without the first directory; `None` for a bare name.
pub(crate) fn stripped(name: &str) -> Option<&str> {
    name.split_once('/').map(|(_, rest)| rest).filter(|rest| !rest.is_empty())
}

/// Whether the first directory is one git writes: `a/` and `b/`, or the mnemonic ones.
pub(crate) fn has_git_prefix(name: &str) -> bool {
    matches!(name.as_bytes(), [b'a' | b'b' | b'c' | b'i' | b'o' | b'w', b'/', ..])
}

/// The name after `---`, `+++`, `rename from` and the like, quoted or plain; `None` when it makes no sense.
pub(crate) fn parse(text: &[u8]) -> Option<Cow<'_, str>> {
    let name = match text.strip_prefix(b"\"") {
        Some(quoted) => {
            let (name, rest) = unquote(quoted)?;
            (rest.is_empty() || rest.first() == Some(&b'\t')).then_some(name)?
        }
        None => {
            let end = text.iter().position(|byte| *byte == b'\t').unwrap_or(text.len());
            Cow::Borrowed(std::str::from_utf8(text.get(..end)?).ok()?.trim_end())
        }
    };
    (!name.is_empty() && !name.contains(['\0', '\r', '\n'])).then_some(name)
}

/// The names of `diff --git X Y`, where they can be told apart.
pub(crate) fn of_git_header(text: &[u8]) -> Option<[Cow<'_, str>; 2]> {
    if text.contains(&b'"') {
        let (first, rest) = token(text)?;
        let (second, rest) = token(rest.strip_prefix(b" ")?)?;
        return rest.is_empty().then_some([first, second]);
    }
    let text = std::str::from_utf8(text).ok()?;
    // Unquoted names may hold spaces: the split that makes both halves the same file is the right one.
    let half = text.len().checked_sub(1)? / 2;
    let (first, second) = (text.get(..half)?, text.get(half + 1..)?);
    let same = first == second
        || has_git_prefix(first)
            && has_git_prefix(second)
            && stripped(first).is_some()
            && stripped(first) == stripped(second);
    (text.as_bytes().get(half) == Some(&b' ') && same).then_some([Cow::Borrowed(first), Cow::Borrowed(second)])
}

fn token(text: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        return unquote(quoted);
    }
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let name = std::str::from_utf8(text.get(..end)?).ok()?;
    (!name.is_empty()).then_some((Cow::Borrowed(name), text.get(end..)?))
}

/// Git's C-style quoting, after the opening quote; what follows the closing one comes back too.
fn unquote(text: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let mut name = Vec::new();
    let mut at = 0_usize;
    loop {
        let byte = *text.get(at)?;
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                let escaped = *text.get(at)?;
                at += 1;
                name.push(match escaped {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'"' | b'\\' => escaped,
                    b'0'..=b'3' => {
                        let digits = text.get(at - 1..at + 2)?;
                        at += 2;
                        u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?
                    }
                    _ => return None,
                });
            }
            byte => name.push(byte),
        }
    }
    Some((Cow::Owned(String::from_utf8(name).ok()?), text.get(at..)?))
}

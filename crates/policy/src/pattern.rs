//! Patterns over paths, words and names: `*`, `**`, `?` and `{a,b}`, parsed once into pieces that match
//! without regular expressions and without allocation.

use crate::place::quoted;

/// Most alternatives braces may unfold to in one pattern.
const ALTERNATIVES_MAX: usize = 64;
/// Longest pattern; the kernel's own limit for a path.
const PATTERN_BYTES_MAX: usize = 4096;

/// A wildcard over one word or path component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wildcard {
    tokens: Box<[Token]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    One,
    Run,
}

impl Wildcard {
    pub(crate) fn new(text: &str) -> Self {
        let mut tokens = Vec::with_capacity(text.len());
        for byte in text.bytes() {
            match byte {
                b'*' if tokens.last() == Some(&Token::Run) => {}
                b'*' => tokens.push(Token::Run),
                b'?' => tokens.push(Token::One),
                byte => tokens.push(Token::Byte(byte)),
            }
        }
        Self { tokens: tokens.into() }
    }

    /// Whether it holds no wildcard at all.
    pub(crate) fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Byte(_)))
    }

    /// Whether it matches every text.
    pub(crate) fn is_any(&self) -> bool {
        matches!(*self.tokens, [Token::Run])
    }

    /// How many bytes it fixes.
    pub(crate) fn literal_bytes(&self) -> usize {
        self.tokens.iter().filter(|token| matches!(token, Token::Byte(_))).count()
    }

    /// Linear in the text for each run: only the last `*` is ever taken back.
    pub(crate) fn matches(&self, text: &[u8], fold_case: bool) -> bool {
        let tokens = &*self.tokens;
        let (mut at, mut token) = (0_usize, 0_usize);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let step = match (tokens.get(token), text.get(at)) {
                (None, None) => return true,
                (Some(Token::Run), _) => {
                    retry = Some((token, at));
                    token += 1;
                    continue;
                }
                (Some(Token::One), Some(_)) => Some(char_end(text, at)),
                (Some(Token::Byte(wanted)), Some(found))
                    if wanted == found || (fold_case && wanted.eq_ignore_ascii_case(found)) =>
                {
                    Some(at + 1)
                }
                _ => None,
            };
            match (step, retry) {
                (Some(next), _) => {
                    at = next;
                    token += 1;
                }
                (None, Some((run, from))) if from < text.len() => {
                    retry = Some((run, from + 1));
                    at = from + 1;
                    token = run + 1;
                }
                (None, _) => return false,
            }
        }
    }
}

/// Where the character that starts at `at` ends, so that `?` stands for one character of UTF-8.
fn char_end(text: &[u8], at: usize) -> usize {
    let tail = text.get(at + 1..).unwrap_or_default();
    at + 1 + tail.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count()
}

/// One step of a path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This very component.
    Literal(Box<str>),
    /// A component of this form.
    Wild(Wildcard, Box<str>),
    /// Any number of components, none included.
    AnyDepth,
}

/// Where a pattern starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Root,
    Home,
    Workspace,
}

/// A path pattern without braces. Patterns that match anywhere start with [`Segment::AnyDepth`] at the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern {
    pub(crate) base: Base,
    pub(crate) segments: Vec<Segment>,
}

/// What a pattern grants when the box has to turn it into mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A directory with everything beneath.
    Tree,
    /// One path.
    Single,
    /// Anything else.
    Mixed,
}

impl PathPattern {
    /// Reads a pattern, braces unfolded.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, String> {
        if text.is_empty() {
            return Err("a path pattern can't be empty".into());
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("a path pattern has at most {PATTERN_BYTES_MAX} bytes"));
        }
        if text.contains('\\') || text.chars().any(char::is_control) {
            return Err(format!(
                "pattern {} holds a backslash or control character; none can be matched",
                quoted(text)
            ));
        }
        unfold(text)?.iter().map(|alternative| Self::parse_one(alternative, text)).collect()
    }

    fn parse_one(text: &str, whole: &str) -> Result<Self, String> {
        let (base, rest) = if text == "~" {
            (Base::Home, "")
        } else if let Some(rest) = text.strip_prefix("~/") {
            (Base::Home, rest)
        } else if text.starts_with('~') {
            return Err(format!("{}: other people's homes have to be written out", quoted(whole)));
        } else if text == "." {
            (Base::Workspace, "")
        } else if let Some(rest) = text.strip_prefix("./") {
            (Base::Workspace, rest)
        } else if let Some(rest) = text.strip_prefix('/') {
            (Base::Root, rest)
        } else if text.starts_with("**/") || !text.contains('/') {
            (Base::Root, text)
        } else {
            return Err(format!(
                "{} doesn't say where it starts; write `./{text}` for the workspace or `**/{text}` for anywhere",
                quoted(whole)
            ));
        };
        let anywhere = base == Base::Root && !text.starts_with(['/', '*']) || text.starts_with('*') && text != "**";
        let mut segments = Vec::new();
        if anywhere {
            segments.push(Segment::AnyDepth);
        }
        for component in rest.split('/') {
            match component {
                "" | "." => {}
                ".." => return Err(format!("{}: `..` can't stand in a pattern", quoted(whole))),
                "**" if segments.last() == Some(&Segment::AnyDepth) => {}
                "**" => segments.push(Segment::AnyDepth),
                component if component.contains("**") => {
                    return Err(format!("{}: `**` must stand alone between slashes", quoted(whole)));
                }
                component => {
                    let wildcard = Wildcard::new(component);
                    segments.push(if wildcard.is_literal() {
                        Segment::Literal(component.into())
                    } else {
                        Segment::Wild(wildcard, component.into())
                    });
                }
            }
        }
        Ok(Self { base, segments })
    }

    /// Whether it is a whole tree, a single path or neither.
    pub(crate) fn shape(&self) -> Shape {
        let literal = self.segments.iter().take_while(|segment| matches!(segment, Segment::Literal(_))).count();
        match self.segments.get(literal..) {
            Some([]) => Shape::Single,
            Some([Segment::AnyDepth]) => Shape::Tree,
            _ => Shape::Mixed,
        }
    }

    /// The leading components that are fixed, joined.
    pub(crate) fn literal_prefix(&self) -> String {
        let mut prefix = String::new();
        for segment in &self.segments {
            let Segment::Literal(component) = segment else { break };
            prefix.push('/');
            prefix.push_str(component);
        }
        prefix
    }

    /// How much it fixes: the longer its fixed text and the fewer its wildcards, the more specific.
    pub(crate) fn rank(&self, base_bytes: usize) -> u32 {
        let mut fixed = base_bytes;
        let mut open = 0_usize;
        for segment in &self.segments {
            match segment {
                Segment::Literal(component) => fixed += component.len() + 1,
                Segment::Wild(wildcard, _) => {
                    fixed += wildcard.literal_bytes() + 1;
                    open += 1;
                }
                Segment::AnyDepth => open += 1,
            }
        }
        rank(fixed, open)
    }
}

/// Orders rules by how much they fix, then by how little they leave open.
pub(crate) fn rank(fixed_bytes: usize, open: usize) -> u32 {
    let fixed = u32::try_from(fixed_bytes).unwrap_or(u32::MAX).min(1 << 20);
    fixed * 256 + 255 - u32::try_from(open.min(255)).unwrap_or(255)
}

/// The alternatives `{a,b}` stand for.
pub(crate) fn unfold(text: &str) -> Result<Vec<String>, String> {
    let mut done = vec![String::new()];
    let mut rest = text;
    while let Some(start) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(start);
        let Some((inside, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}')) else {
            return Err(format!("{}: a brace is open or stands alone; write `{{a,b}}`", quoted(text)));
        };
        if inside.contains('{') {
            return Err(format!("{}: braces can't stand within braces", quoted(text)));
        }
        let alternatives: Vec<&str> = inside.split(',').collect();
        if done.len() * alternatives.len() > ALTERNATIVES_MAX {
            return Err(format!("{}: more than {ALTERNATIVES_MAX} alternatives", quoted(text)));
        }
        done = done
            .iter()
            .flat_map(|start| alternatives.iter().map(move |alternative| format!("{start}{before}{alternative}")))
            .collect();
        rest = after;
    }
    for alternative in &mut done {
        alternative.push_str(rest);
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_whole_words() {
        let matches = |pattern: &str, text: &str| Wildcard::new(pattern).matches(text.as_bytes(), false);
        assert!(
            matches("a*c", "abbbc") && matches("*", "") && matches("a?c", "aéc") && matches("*.tar.*", "x.tar.tar.gz")
        );
        assert!(!matches("a*c", "abcd") && !matches("a?c", "ac") && !matches("", "a") && !matches("ABC", "abc"));
        assert!(Wildcard::new(".Env*").matches(b".ENV.local", true));
    }

    #[test]
    fn stars_stay_linear() {
        let pattern = Wildcard::new(&"*a".repeat(200));
        assert!(!pattern.matches(&[b'a'; 20_000][..], false) || pattern.matches(&[b'a'; 20_000][..], false));
        assert!(!pattern.matches(&[b'b'; 20_000][..], false));
    }

    #[test]
    fn shapes_follow_the_text() {
        let shape = |text| PathPattern::parse(text).unwrap()[0].shape();
        assert_eq!(shape("~/src/**"), Shape::Tree);
        assert_eq!(shape("/**"), Shape::Tree);
        assert_eq!(shape("**"), Shape::Tree);
        assert_eq!(shape("/etc/hosts"), Shape::Single);
        assert_eq!(shape("."), Shape::Single);
        for mixed in ["~/src/**/*.rs", "~/src/*", "**/.env", ".env", "*.pem", "/a/*/b/**"] {
            assert_eq!(shape(mixed), Shape::Mixed, "{mixed}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        for bad in ["", "src/**", "../x", "/a/../b", "~bob/x", "/a/b**", "/{a", "/a}", "/{a,{b}}", "a\\b", "/a\0b"] {
            assert!(PathPattern::parse(bad).is_err(), "{bad}");
        }
        assert!(PathPattern::parse(&"{a,b}".repeat(10)).is_err());
        assert_eq!(PathPattern::parse("~/.cargo/{bin,registry}/**").unwrap().len(), 2);
    }
}

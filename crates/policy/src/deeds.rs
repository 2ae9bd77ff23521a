//! Patterns over deeds, as `flow` writes them: a class of deeds, and perhaps what they are done to.

use std::borrow::Cow;

use bartizan_model::Deed;

use crate::context::Context;
use crate::pattern::{Base, PathPattern, Wildcard};
use crate::place::{did_you_mean, quoted};
use crate::tree::{Mode, Tree};

/// The classes of deeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeedClass {
    Any,
    Outgoing,
    FileRead,
    FileWrite,
    Exec,
    Net,
    Http,
    HttpRead,
    HttpWrite,
    Tool,
    Secret,
    Content,
    Model,
    Browser,
    Computer,
    Message,
}

const CLASSES: [(&str, DeedClass); 16] = [
    ("any", DeedClass::Any),
    ("outgoing", DeedClass::Outgoing),
    ("file.read", DeedClass::FileRead),
    ("file.write", DeedClass::FileWrite),
    ("exec", DeedClass::Exec),
    ("net", DeedClass::Net),
    ("http", DeedClass::Http),
    ("http.read", DeedClass::HttpRead),
    ("http.write", DeedClass::HttpWrite),
    ("tool", DeedClass::Tool),
    ("secret", DeedClass::Secret),
    ("content", DeedClass::Content),
    ("model", DeedClass::Model),
    ("browser", DeedClass::Browser),
    ("computer", DeedClass::Computer),
    ("message", DeedClass::Message),
];

/// Methods that ask for something and change nothing (RFC 9110, 9.2.1).
const SAFE_METHODS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];

/// A pattern as it is written.
#[derive(Debug, Clone)]
pub(crate) struct DeedPattern {
    class: DeedClass,
    target: Target,
}

#[derive(Debug, Clone)]
enum Target {
    Any,
    Word(Wildcard),
    Path(Vec<PathPattern>),
}

impl DeedPattern {
    /// Reads a pattern; the message says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let Some((_, class)) = CLASSES.iter().find(|(name, _)| *name == word) else {
            let hint = did_you_mean(word, CLASSES.iter().map(|(name, _)| *name));
            let hint = if hint.is_empty() {
                format!("; write one of {}", CLASSES.map(|(name, _)| name).join(", "))
            } else {
                hint
            };
            return Err(format!("{} is no class of actions{hint}", quoted(word)));
        };
        let rest = rest.trim();
        let target = match class {
            _ if rest.is_empty() => Target::Any,
            DeedClass::FileRead | DeedClass::FileWrite => Target::Path(PathPattern::parse(rest)?),
            _ => Target::Word(Wildcard::new(rest)),
        };
        Ok(Self { class: *class, target })
    }

    pub(crate) fn compile(&self, context: &Context) -> CompiledPattern {
        let target = match &self.target {
            Target::Any => CompiledTarget::Any,
            Target::Word(word) => CompiledTarget::Word(word.clone()),
            Target::Path(patterns) => CompiledTarget::Path(path_tree(patterns, context)),
        };
        CompiledPattern { class: self.class, target }
    }
}

/// Path patterns as one tree, matching as restrictions do.
pub(crate) fn path_tree(patterns: &[PathPattern], context: &Context) -> Tree {
    let mut tree = Tree::new(Mode::Restrict);
    for pattern in patterns {
        tree.insert(base(pattern, context), &pattern.segments, 0);
    }
    tree
}

/// What a pattern starts at.
pub(crate) fn base<'a>(pattern: &PathPattern, context: &'a Context) -> &'a [u8] {
    match pattern.base {
        Base::Root => &[],
        Base::Home => context.home(),
        Base::Workspace => context.workspace(),
    }
}

/// Whether a tree holds this path; what is no path is held.
pub(crate) fn holds(tree: &Tree, path: &str) -> bool {
    let Some(path) = crate::path::canonical(path.as_bytes()) else { return true };
    let mut found = false;
    tree.visit(&path, |_| found = true);
    found
}

/// A pattern ready to match.
#[derive(Debug)]
pub(crate) struct CompiledPattern {
    class: DeedClass,
    target: CompiledTarget,
}

#[derive(Debug)]
enum CompiledTarget {
    Any,
    Word(Wildcard),
    Path(Tree),
}

impl CompiledPattern {
    /// Whether the deed is meant. `seen` says that a connection's requests are decided one by one; one whose requests
    /// nobody sees may write. `caught` says that what a command line starts is decided when it is started.
    pub(crate) fn matches(&self, deed: &Deed, seen: bool, caught: bool) -> bool {
        self.class.holds(deed, seen)
            && match &self.target {
                CompiledTarget::Any => true,
                CompiledTarget::Word(word) => {
                    names(deed).any(|name| word.matches(name.as_bytes(), true))
                        || commands_within(deed, caught).any(|command| {
                            let name = command.split(' ').next().unwrap_or_default();
                            word.matches(name.as_bytes(), true) || word.matches(command.as_bytes(), true)
                        })
                }
                CompiledTarget::Path(tree) => match deed {
                    Deed::FileRead { path } | Deed::FileWrite { path, .. } | Deed::FilePatch { path, .. } => {
                        holds(tree, path)
                    }
                    _ => false,
                },
            }
    }
}

impl DeedClass {
    fn holds(self, deed: &Deed, seen: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Outgoing => matches!(
                deed,
                Deed::NetConnect { .. }
                    | Deed::HttpRequest { .. }
                    | Deed::ToolCall { .. }
                    | Deed::LlmRequest { .. }
                    | Deed::BrowserAct { .. }
                    | Deed::MessageSend { .. }
            ),
            Self::FileRead => matches!(deed, Deed::FileRead { .. }),
            Self::FileWrite => matches!(deed, Deed::FileWrite { .. } | Deed::FilePatch { .. }),
            Self::Exec => matches!(deed, Deed::ExecRun { .. }),
            Self::Net => matches!(deed, Deed::NetConnect { .. } | Deed::HttpRequest { .. } | Deed::DnsQuery { .. }),
            Self::Http => match deed {
                Deed::HttpRequest { .. } => true,
                Deed::NetConnect { .. } => !seen,
                _ => false,
            },
            Self::HttpRead => matches!(deed, Deed::HttpRequest { method, .. } if is_safe(method)),
            Self::HttpWrite => match deed {
                Deed::HttpRequest { method, .. } => !is_safe(method),
                Deed::NetConnect { .. } => !seen,
                _ => false,
            },
            Self::Tool => matches!(deed, Deed::ToolCall { .. }),
            Self::Secret => matches!(deed, Deed::SecretUse { .. }),
            Self::Content => matches!(deed, Deed::ContentReceive { .. }),
            Self::Model => matches!(deed, Deed::LlmRequest { .. }),
            Self::Browser => matches!(deed, Deed::BrowserAct { .. }),
            Self::Computer => matches!(deed, Deed::ComputerAct { .. }),
            Self::Message => matches!(deed, Deed::MessageSend { .. }),
        }
    }
}

fn is_safe(method: &str) -> bool {
    SAFE_METHODS.contains(&method)
}

/// What a deed is done to, as `except` and targets of patterns name it. Several where people name it in several ways.
pub(crate) fn names(deed: &Deed) -> impl Iterator<Item = Cow<'_, str>> {
    let borrowed = |text| (Some(Cow::Borrowed(text)), None);
    let (first, second) = match deed {
        Deed::FileRead { path } | Deed::FileWrite { path, .. } | Deed::FilePatch { path, .. } => {
            borrowed(path.as_str())
        }
        Deed::ExecRun { program, args, .. } => {
            let name = program.rsplit('/').next().unwrap_or(program);
            let mut line = name.to_owned();
            for argument in args.iter().skip(1) {
                line.push(' ');
                line.push_str(argument);
            }
            (Some(Cow::Borrowed(name)), Some(Cow::Owned(line)))
        }
        Deed::NetConnect { host, .. } | Deed::HttpRequest { host, .. } => borrowed(host.as_str()),
        Deed::DnsQuery { name, .. } | Deed::SecretUse { name, .. } => borrowed(name.as_str()),
        Deed::ToolCall { server, name, .. } => (Some(Cow::Owned(format!("{server}/{name}"))), None),
        Deed::ContentReceive { source, .. } => borrowed(source.as_str()),
        Deed::LlmRequest { provider, model, .. } => (
            Some(Cow::Borrowed(model.as_str())),
            provider.as_ref().map(|provider| Cow::Owned(format!("{provider}/{model}"))),
        ),
        Deed::BrowserAct { operation, url, .. } => {
            (Some(Cow::Borrowed(url_host(url).unwrap_or(url))), Some(Cow::Borrowed(operation.as_str())))
        }
        Deed::ComputerAct { operation, target, .. } => {
            (Some(Cow::Borrowed(operation.as_str())), target.as_deref().map(Cow::Borrowed))
        }
        Deed::MessageSend { channel, recipient, .. } => {
            (Some(Cow::Borrowed(recipient.as_str())), Some(Cow::Owned(format!("{channel}/{recipient}"))))
        }
        _ => (None, None),
    };
    first.into_iter().chain(second)
}

/// The commands that a command line would start, beside itself: `sh -c "git push"` is `git push` as well.
fn commands_within(deed: &Deed, caught: bool) -> impl Iterator<Item = String> {
    let within = match deed {
        Deed::ExecRun { program, args, .. } => crate::exec::commands_within(program, args, caught),
        _ => Vec::new(),
    };
    within.into_iter()
}

/// The host of a URL, as a rule names it; `None` for what has none.
pub(crate) fn url_host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn matches(pattern: &str, deed: &str) -> bool {
        let context = Context::new(Path::new("/home/me"), Path::new("/work")).unwrap();
        let deed = crate::cases::parse_case(deed, &context).unwrap();
        DeedPattern::parse(pattern).unwrap().compile(&context).matches(&deed, false, false)
    }

    #[test]
    fn class_and_target_must_fit() {
        assert!(matches("exec", "exec git push") && matches("exec git*", "exec git push"));
        assert!(matches("exec git*", "exec sh -c 'cd x && /usr/bin/git push'"), "what a line starts counts");
        assert!(matches("exec git push*", "exec env A=b xargs -n1 git push -f"));
        assert!(
            !matches("exec git push*", "exec sh -c 'git status'") && matches("exec sh*", "exec sh -c 'git status'")
        );
        assert!(!matches("exec git*", "exec cargo build") && !matches("tool", "exec git"));
        assert!(matches("file.read ~/finance/**", "file.read ~/finance/a/b"));
        assert!(!matches("file.read ~/finance/**", "file.read ~/other"));
        assert!(
            matches("http.write", "http POST https://a.test/x") && !matches("http.write", "http GET https://a.test/")
        );
        assert!(matches("outgoing *.test", "connect a.test:443") && !matches("outgoing *.test", "connect a.org:443"));
        assert!(matches("http.write", "connect a.test:443"), "nobody sees what a connection carries");
        assert!(matches("tool github/*", "tool github/search") && !matches("tool github/*", "tool gitlab/search"));
    }

    #[test]
    fn unknown_classes_are_errors() {
        assert!(DeedPattern::parse("exce").unwrap_err().contains("did you mean `exec`"));
        assert!(DeedPattern::parse("").is_err());
    }

    #[test]
    fn hosts_of_urls() {
        assert_eq!(url_host("https://user:pw@a.test:8443/x?y"), Some("a.test"));
        assert_eq!(url_host("http://[::1]:80/"), Some("::1"));
        assert_eq!(url_host("https://good.test\\@evil.test/"), Some("good.test"));
        assert_eq!(url_host("about:blank"), None);
    }
}

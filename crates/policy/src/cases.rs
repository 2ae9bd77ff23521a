//! Actions in words, as tests beside a policy and `bartizan policy explain` write them.

use bartizan_model::{Content, Deed, Origin, RequestHeader};
use serde_json::Value;

use crate::context::Context;
use crate::place::{did_you_mean, quoted};
use crate::request::CONTENT_TYPE;

/// Why a text is no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CaseError(String);

const KINDS: [&str; 14] = [
    "file.read",
    "file.write",
    "file.patch",
    "exec",
    "connect",
    "dns",
    "http",
    "tool",
    "secret",
    "content",
    "model",
    "message",
    "browser",
    "computer",
];
const EXAMPLES: &str = "`file.read ~/notes.txt`, `file.write ./x`, `exec git push origin`, `connect example.com:443`, \
    `dns example.com`, `http GET https://example.com/x`, `tool server/name`, `secret NAME`, `content retrieved https://example.com words`, \
    `model openai/gpt-5`, `message email/bob@example.com words`, `browser click https://example.com/cart Pay`, `computer type`";

/// Reads an action in words.
///
/// # Errors
/// What is wrong with it, with examples.
pub fn parse_case(text: &str, context: &Context) -> Result<Deed, CaseError> {
    let (kind, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    let needs = |what: &str| CaseError(format!("{}: `{kind}` needs {what}", quoted(text)));
    Ok(match kind {
        "file.read" => Deed::FileRead {
            path: file_path(rest, context).ok_or_else(|| needs("a path starting with `/`, `~/` or `./`"))?,
        },
        "file.write" => {
            let path = file_path(rest, context).ok_or_else(|| needs("a path starting with `/`, `~/` or `./`"))?;
            Deed::FileWrite { path, operation: None, content: None }
        }
        "exec" | "exec.run" => {
            let args = words(rest).ok_or_else(|| needs("its quotes closed"))?;
            let program = args.first().ok_or_else(|| needs("a program, then its arguments"))?.clone();
            Deed::ExecRun { program, args, cwd: None }
        }
        "connect" | "net.connect" => {
            let (host, port) = rest.rsplit_once(':').ok_or_else(|| needs("`host:port`"))?;
            let port = port.parse().map_err(|_| needs("`host:port`"))?;
            Deed::NetConnect { host: unbracketed(host).to_owned(), port }
        }
        "dns" | "dns.query" => {
            let mut words = rest.split_whitespace();
            let name = words.next().ok_or_else(|| needs("a name, and perhaps a record type"))?;
            Deed::DnsQuery { name: name.to_owned(), record_type: words.next().unwrap_or("A").to_owned() }
        }
        "http" | "http.request" => {
            request(rest).ok_or_else(|| needs("a method and a URL, as in `http GET https://example.com/x`, and perhaps `header.NAME=VALUE` and a body"))?
        }
        "tool" | "tool.call" => {
            let (server, name) = rest.split_once('/').ok_or_else(|| needs("`server/name`"))?;
            Deed::ToolCall { server: server.to_owned(), name: name.to_owned(), arguments: Value::Null }
        }
        "file.patch" => {
            let path = file_path(rest, context).ok_or_else(|| needs("a path starting with `/`, `~/` or `./`"))?;
            Deed::FilePatch { path, patch: Content::from("") }
        }
        "content" | "content.receive" => {
            let (origin, rest) = word(rest);
            let origin = match origin {
                "user" => Origin::User,
                "retrieved" => Origin::Retrieved,
                "tool" => Origin::Tool,
                "model" => Origin::Model,
                _ => {
                    return Err(needs(
                        "`user`, `retrieved`, `tool` or `model`, then where it comes from, then its words",
                    ));
                }
            };
            let (source, text) = word(rest);
            Deed::ContentReceive { origin, source: source.to_owned(), content: text.into() }
        }
        "model" | "llm.request" if !rest.is_empty() => {
            let (name, text) = word(rest);
            let (provider, model) = match name.split_once('/') {
                Some((provider, model)) => (Some(provider.to_owned()), model),
                None => (None, name),
            };
            let (model, content) = (model.to_owned(), text.into());
            Deed::LlmRequest { provider, model, content, input_tokens: None, output_tokens_max: None }
        }
        "message" | "message.send" => {
            let (to, text) = word(rest);
            let (channel, recipient) = to.split_once('/').ok_or_else(|| needs("`channel/recipient`"))?;
            Deed::MessageSend { channel: channel.to_owned(), recipient: recipient.to_owned(), content: text.into() }
        }
        "browser" | "browser.act" => {
            let (operation, rest) = word(rest);
            let (url, label) = word(rest);
            if url.is_empty() {
                return Err(needs("what is done, a URL, and perhaps a label"));
            }
            let label = (!label.is_empty()).then(|| label.to_owned());
            Deed::BrowserAct { operation: operation.to_owned(), url: url.to_owned(), label, content: None }
        }
        "computer" | "computer.act" if !rest.is_empty() => {
            let (operation, target) = word(rest);
            let target = (!target.is_empty()).then(|| target.to_owned());
            Deed::ComputerAct { operation: operation.to_owned(), target, content: None }
        }
        "model" | "llm.request" | "computer" | "computer.act" => return Err(needs("a name")),
        "secret" | "secret.use" if !rest.is_empty() => Deed::SecretUse { name: rest.to_owned(), destination: None },
        "secret" | "secret.use" => return Err(needs("a name")),
        kind => {
            let hint = did_you_mean(kind, KINDS);
            return Err(CaseError(format!("{} is no action{hint}; write one such as {EXAMPLES}", quoted(text))));
        }
    })
}

/// The first word, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// Whether the text can be read, whatever home and workspace are.
pub(crate) fn check_syntax(text: &str) -> Result<(), CaseError> {
    let root = std::path::Path::new("/");
    let context = Context::new(root, root).map_err(|error| CaseError(error.to_string()))?;
    parse_case(text, &context).map(|_| ())
}

/// Words separated by blanks; quotes of either kind keep blanks in a word, and nothing in them is read.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if matches!(c, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

fn file_path(text: &str, context: &Context) -> Option<String> {
    let joined = |base: &[u8], rest: &str| format!("{}/{rest}", String::from_utf8_lossy(base));
    let whole = match text {
        "~" => joined(context.home(), ""),
        "." => joined(context.workspace(), ""),
        text => match (text.strip_prefix("~/"), text.strip_prefix("./")) {
            (Some(rest), _) => joined(context.home(), rest),
            (_, Some(rest)) => joined(context.workspace(), rest),
            _ => text.to_owned(),
        },
    };
    let canonical = crate::path::canonical(whole.as_bytes())?;
    String::from_utf8(canonical.into_owned()).ok()
}

/// `METHOD URL [header.NAME=VALUE ...] [BODY]`. A body is JSON where no `header.content-type` says otherwise.
pub(crate) fn request(text: &str) -> Option<Deed> {
    let (method, rest) = word(text);
    let (url, mut rest) = word(rest);
    let mut headers = Vec::new();
    while let Some((name, value)) = word(rest).0.strip_prefix("header.").and_then(|header| header.split_once('=')) {
        let header = RequestHeader { name: name.to_ascii_lowercase(), value: value.to_owned() };
        headers.push(header);
        rest = word(rest).1;
    }
    if !rest.is_empty() && headers.iter().all(|header| header.name != CONTENT_TYPE) {
        headers.push(RequestHeader { name: CONTENT_TYPE.to_owned(), value: "application/json".to_owned() });
    }
    let body = (!rest.is_empty()).then(|| Content::from(rest));
    let (scheme, rest) = url.split_once("://")?;
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let (authority, target) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, default_port),
    };
    if host.is_empty() || host.contains('@') {
        return None;
    }
    Some(Deed::HttpRequest {
        method: method.to_owned(),
        scheme: scheme.to_owned(),
        host: unbracketed(host).to_owned(),
        port,
        path: path.to_owned(),
        query,
        body,
        placeholders: Vec::new(),
        headers,
        upgrade: None,
    })
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

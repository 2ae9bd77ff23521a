//! How much harm a deed could do, with the reason: one table for every kind of deed. It says nothing about who
//! may do it; a rule that allows a dangerous deed stays an allowing rule, and the person who is asked sees why
//! it is dangerous. What no row speaks of is MEDIUM, never LOW.

mod table;
mod words;

use std::sync::LazyLock;

use bartizan_model::{Deed, Risk};

use crate::diff::kinds::{self, Sort};
pub(crate) use words::{Words, each as each_word};

/// A row of the table that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Assessed {
    pub(crate) risk: Risk,
    /// The row's name, e.g. `browser.payment`.
    pub(crate) row: &'static str,
    /// Why, to follow "because": `it pays, buys or orders`.
    pub(crate) reason: &'static str,
}

const fn row(risk: Risk, row: &'static str, reason: &'static str) -> Assessed {
    Assessed { risk, row, reason }
}

/// Looks the deed up.
pub(crate) fn assess(deed: &Deed) -> Assessed {
    match deed {
        Deed::FileRead { .. } => row(Risk::Low, "file.read", "it only reads a file"),
        Deed::FileWrite { path, operation, .. } => file(path, operation.as_deref()),
        Deed::FilePatch { .. } => row(Risk::Medium, "file.patch", "it changes files"),
        Deed::ExecRun { program, .. } => program_row(program),
        Deed::NetConnect { .. } => row(Risk::Medium, "net.connect", "bytes may leave"),
        Deed::DnsQuery { .. } => row(Risk::Low, "dns.query", "it only asks for an address"),
        Deed::HttpRequest { method, .. } => match method.as_str() {
            "GET" | "HEAD" | "OPTIONS" => {
                row(Risk::Medium, "http.read", "it fetches, and its address may carry data away")
            }
            "DELETE" => row(Risk::High, "http.delete", "it deletes something elsewhere"),
            _ => row(Risk::Medium, "http.write", "it sends data"),
        },
        Deed::ToolCall { name, .. } => tool(name),
        Deed::SecretUse { .. } => row(Risk::High, "secret.use", "it uses a secret"),
        Deed::ContentReceive { .. } => row(Risk::Low, "content.receive", "it only takes text in"),
        Deed::LlmRequest { .. } => row(Risk::Medium, "llm.request", "text goes to a model"),
        Deed::MessageSend { .. } => row(Risk::High, "message.send", "a message can't be taken back"),
        Deed::BrowserAct { operation, url, label, .. } => browser(operation, url, label.as_deref()),
        Deed::ComputerAct { operation, target, .. } => computer(operation, target.as_deref()),
        _ => row(Risk::Medium, "unknown", "this kind of deed is not in the table"),
    }
}

fn file(path: &str, operation: Option<&str>) -> Assessed {
    if kinds::is(path, Sort::Hook) {
        return row(Risk::High, "file.hook", "the file runs by itself on a developer's machine");
    }
    if kinds::is(path, Sort::Ci) {
        return row(Risk::High, "file.ci", "the file runs by itself on a build server");
    }
    match operation {
        Some("remove") => row(Risk::Medium, "file.remove", "it removes a file"),
        Some("symlink" | "link") => row(Risk::Medium, "file.link", "it makes another way to a file"),
        _ => row(Risk::Medium, "file.write", "it changes a file"),
    }
}

fn program_row(program: &str) -> Assessed {
    let name = program.rsplit('/').next().unwrap_or_default();
    if table::DESTROYING_PROGRAMS.contains(&name) {
        return row(Risk::High, "exec.destroy", "the program removes, overwrites or rules over the system");
    }
    if table::REACHING_PROGRAMS.contains(&name) {
        return row(Risk::High, "exec.reach", "the program carries data or commands elsewhere");
    }
    row(Risk::Medium, "exec.run", "it starts a program")
}

/// A tool's name is what its server calls it, so it may raise the risk and never lowers it. Calls are frequent:
/// nothing is allocated, and words are looked up, not searched for.
fn tool(name: &str) -> Assessed {
    static VERBS: LazyLock<Vec<(&str, usize)>> = LazyLock::new(|| {
        let deeds = table::DEEDS_IN_WORDS.iter().enumerate().filter(|(_, deed)| deed.names_tools);
        let words = deeds.flat_map(|(index, deed)| deed.words.iter().map(move |word| (*word, index)));
        let mut verbs: Vec<(&str, usize)> = words.filter(|(word, _)| !word.contains([' ', '*'])).collect();
        verbs.sort_unstable();
        verbs
    });
    let known = |word: &str| {
        let at = VERBS.partition_point(|(verb, _)| *verb < word);
        VERBS.get(at).filter(|(verb, _)| *verb == word).map(|(_, index)| *index)
    };
    words::each(name, known)
        .and_then(|index| table::DEEDS_IN_WORDS.get(index))
        .map_or(row(Risk::Medium, "tool.call", "what a tool does is known to its server only"), |deed| {
            row(deed.risk, deed.tool_row, deed.reason)
        })
}

/// The sixteen browser rules; the gravest that matches holds.
fn browser(operation: &str, url: &str, label: Option<&str>) -> Assessed {
    let operation = operation.to_ascii_lowercase();
    let operation = operation.trim_start_matches("browser_").trim_start_matches("browser.");
    let looks = table::LOOKING.contains(&operation);
    let types = table::TYPING.contains(&operation);
    let label = Words::new(label.unwrap_or_default());
    let place = Words::of_url(url);
    let scheme = scheme(url);

    if table::SCRIPTING.contains(&operation)
        || matches!(scheme.as_deref(), Some("javascript" | "vbscript" | "data" | "blob"))
    {
        return row(
            Risk::Critical,
            "browser.script",
            "it runs a script in the page, with the rights of whoever is signed in",
        );
    }
    if types && label.any(table::SECRET_FIELDS) {
        return row(Risk::Critical, "browser.password", "it types into a field for passwords or codes");
    }
    if has_credentials(url) {
        return row(Risk::High, "browser.credentials", "the address carries a name and password");
    }
    let web = match scheme.as_deref() {
        Some("https" | "http") => true,
        Some("about") => url.eq_ignore_ascii_case("about:blank"),
        None => url.is_empty(),
        Some(_) => false,
    };
    if !web {
        return row(
            Risk::High,
            "browser.scheme",
            "the address is not on the web: files, settings or extensions of the browser",
        );
    }
    if operation == "upload" || operation.contains("file") && !looks {
        return row(Risk::High, "browser.upload", "a file leaves");
    }
    if looks {
        return row(Risk::Low, "browser.look", "it only looks at the page");
    }
    // Where the deed is a step of its own (a click, a key), its words decide; where it only goes to a page, the
    // words that harm by being opened do.
    let acts = operation != "navigate";
    let said = |words: &[&str]| label.any(words) || place.any(words);
    if let Some(deed) = table::DEEDS_IN_WORDS.iter().find(|deed| (acts || deed.by_opening) && said(deed.words)) {
        return row(deed.risk, deed.browser_row, deed.reason);
    }
    if operation == "download" {
        return row(Risk::Medium, "browser.download", "a file comes in");
    }
    if types && scheme.as_deref() == Some("http") {
        return row(Risk::High, "browser.insecure", "what is typed goes over the network unencrypted");
    }
    row(Risk::Medium, "browser.unknown", "nothing says what it does")
}

fn computer(operation: &str, target: Option<&str>) -> Assessed {
    let operation = operation.to_ascii_lowercase();
    let operation = operation.strip_prefix("remote.").unwrap_or(&operation);
    if let Some((_, assessed)) = table::COMPUTER.iter().find(|(names, _)| names.contains(&operation)) {
        let target = Words::new(target.unwrap_or_default());
        if assessed.risk >= Risk::Medium {
            if operation.starts_with("key") && target.any(table::SYSTEM_KEYS) {
                return row(Risk::High, "computer.system_key", "the keys reach the system, not just one window");
            }
            if let Some(deed) = table::DEEDS_IN_WORDS.iter().find(|deed| target.any(deed.words)) {
                return row(deed.risk.max(assessed.risk), deed.computer_row, deed.reason);
            }
        }
        return *assessed;
    }
    row(Risk::Medium, "computer.unknown", "nothing says what it does")
}

/// The scheme in lower case; `None` where there is none. Blanks and controls that browsers skip are skipped.
fn scheme(url: &str) -> Option<String> {
    let clean: String = url.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let (scheme, _) = clean.split_once(':')?;
    (!scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)))
        .then(|| scheme.to_ascii_lowercase())
}

fn has_credentials(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("//") else { return false };
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    authority.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn browse(operation: &str, url: &str, label: Option<&str>) -> (Risk, &'static str) {
        let deed = Deed::BrowserAct {
            operation: operation.into(),
            url: url.into(),
            label: label.map(str::to_owned),
            content: None,
        };
        let assessed = assess(&deed);
        (assessed.risk, assessed.row)
    }

    #[test]
    fn sixteen_browser_rules() {
        let page = "https://example.com/";
        for (operation, url, label, expected) in [
            ("click", page, Some("Yes, pay $500"), (Risk::High, "browser.payment")),
            ("click", page, Some("Display all"), (Risk::Medium, "browser.unknown")),
            ("click", "https://shop.example/checkout/2", Some("Continue"), (Risk::High, "browser.payment")),
            ("navigate", "https://example.com/%70ay", None, (Risk::High, "browser.payment")),
            ("click", page, Some("Wire transfer"), (Risk::High, "browser.money")),
            ("click", page, Some("Delete repository"), (Risk::High, "browser.delete")),
            ("click", page, Some("Undeleted items"), (Risk::Medium, "browser.unknown")),
            ("navigate", "https://example.com/account/security", None, (Risk::High, "browser.account")),
            ("click", page, Some("Authorize application"), (Risk::High, "browser.grant")),
            ("click", page, Some("Post reply"), (Risk::High, "browser.publish")),
            ("navigate", "https://blog.example/post/1", None, (Risk::Medium, "browser.unknown")),
            ("click", page, Some("I agree"), (Risk::High, "browser.agree")),
            ("click", page, Some("Add to Chrome"), (Risk::High, "browser.install")),
            ("upload", page, None, (Risk::High, "browser.upload")),
            ("download", page, None, (Risk::Medium, "browser.download")),
            ("evaluate", page, None, (Risk::Critical, "browser.script")),
            ("navigate", "java\tscript:alert(1)", None, (Risk::Critical, "browser.script")),
            ("type", page, Some("Password"), (Risk::Critical, "browser.password")),
            ("type", page, Some("Search"), (Risk::Medium, "browser.unknown")),
            ("type", "http://example.com/", Some("Search"), (Risk::High, "browser.insecure")),
            ("navigate", "https://me:secret@example.com/", None, (Risk::High, "browser.credentials")),
            ("navigate", "file:///etc/passwd", None, (Risk::High, "browser.scheme")),
            ("read", page, None, (Risk::Low, "browser.look")),
            ("screenshot", "https://shop.example/checkout", None, (Risk::Low, "browser.look")),
            ("read", "file:///etc/passwd", None, (Risk::High, "browser.scheme")),
            ("navigate", page, None, (Risk::Medium, "browser.unknown")),
            ("frobnicate", page, None, (Risk::Medium, "browser.unknown")),
        ] {
            assert_eq!(browse(operation, url, label), expected, "{operation} {url} {label:?}");
        }
    }

    #[test]
    fn disguised_words_are_words() {
        for label in
            ["ＰＡＹ now", "Pаy now", "p\u{200b}ay", "PayNow", "pay_now", "Bezahlen", "Acheter maintenant", "购买"]
        {
            assert_eq!(browse("click", "https://x.example/", Some(label)).0, Risk::High, "{label}");
        }
        for label in ["Payload", "Repay attention span", "orderly", "Prepay"] {
            assert_eq!(browse("click", "https://x.example/", Some(label)).0, Risk::Medium, "{label}");
        }
    }

    #[test]
    fn computers_and_the_rest() {
        let act = |operation: &str, target: Option<&str>| {
            let deed =
                Deed::ComputerAct { operation: operation.into(), target: target.map(str::to_owned), content: None };
            let assessed = assess(&deed);
            (assessed.risk, assessed.row)
        };
        assert_eq!(act("mouse_move", None), (Risk::Low, "computer.look"));
        assert_eq!(act("click", Some("OK")), (Risk::Medium, "computer.input"));
        assert_eq!(act("click", Some("Send payment")), (Risk::High, "computer.payment"));
        assert_eq!(act("key", Some("ctrl+alt+t")), (Risk::High, "computer.system_key"));
        assert_eq!(act("key", Some("ctrl+c")), (Risk::Medium, "computer.input"));
        assert_eq!(act("clipboard.read", None), (Risk::High, "computer.clipboard"));
        assert_eq!(act("remote.file.transfer.out", None), (Risk::High, "computer.transfer"));
        assert_eq!(act("drive_map", None).0, Risk::High);
        assert_eq!(act("dance", None), (Risk::Medium, "computer.unknown"));

        let tool = |name: &str| {
            assess(&Deed::ToolCall { server: "s".into(), name: name.into(), arguments: serde_json::Value::Null }).risk
        };
        assert_eq!(tool("delete_repository"), Risk::High);
        assert_eq!(tool("list_issues"), Risk::Medium);
        let write = |path: &str| assess(&Deed::FileWrite { path: path.into(), operation: None, content: None }).risk;
        assert_eq!(write("/w/.git/hooks/pre-commit"), Risk::High);
        assert_eq!(write("/w/src/main.rs"), Risk::Medium);
        let exec = |program: &str| assess(&Deed::ExecRun { program: program.into(), args: vec![], cwd: None }).risk;
        assert_eq!(exec("/usr/bin/sudo"), Risk::High);
        assert_eq!(exec("/usr/bin/ls"), Risk::Medium);
    }
}

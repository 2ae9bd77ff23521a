//! Guards, each with an allow beside its nearest deny.

use bartizan_model::{Deed, Sighting, SightingClass};
use bartizan_policy::{Look, PolicySet};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::support::{narrowed, set};

fn decide(set: &PolicySet, deed: Value, sightings: &[Sighting]) -> String {
    let deed: Deed = serde_json::from_value(deed).unwrap();
    let verdict = set.decide_with(&deed, &Look { sightings, ..Look::default() }).to_verdict();
    format!("{} {}", verdict.effect.as_str(), verdict.rule.rule)
}

const FILES: &str = "files: { write: [./**], deny: ['**/.env'], protect: ['**/.git/**'], ask: ['**/ci.yml'] }\n";

fn patch(policy: &str, patch: &str, expected: Expect) {
    let set = set(&format!("{FILES}{policy}"));
    let deed = json!({ "kind": "file.patch", "path": "/home/me/work", "patch": patch });
    expected.assert_eq(&decide(&set, deed, &[]));
}

fn diff(name: &str, lines: &str) -> String {
    let count = |sign: char| lines.lines().filter(|line| line.starts_with(sign)).count();
    format!("--- a/{name}\n+++ b/{name}\n@@ -1,{} +1,{} @@\n{lines}\n", count('-'), count('+'))
}

#[test]
fn every_path_of_a_patch_is_decided_as_a_write() {
    patch("", &diff("src/main.rs", "-a\n+b"), expect!["allow files.write[0]"]);
    patch("", &diff("x/.env", "-a\n+b"), expect!["deny files.deny[0]"]);
    patch("", &diff(".git/hooks/pre-commit", "+x"), expect!["deny files.protect[0]"]);
    patch("", &diff("ci.yml", "+x"), expect!["ask files.ask[0]"]);
    let both = format!("{}{}", diff("src/a.rs", "+x"), diff("src/.ENV", "+x"));
    patch("", &both, expect!["deny files.deny[0]"]);
    patch("", &diff("../outside", "+x"), expect!["deny patches.outside"]);
    patch("", &diff("/etc/passwd", "+x").replace("a//", "/").replace("b//", "/"), expect!["deny patches.outside"]);
    let rename = "diff --git a/x b/.env\nsimilarity index 100%\nrename from x\nrename to .env\n";
    patch("", rename, expect!["deny files.deny[0]"]);
    // A narrowing policy without `patches` still has its say about paths in a patch.
    let set = narrowed(FILES, "files: { protect: ['**/*.lock'] }\n");
    let deed = |name: &str| json!({ "kind": "file.patch", "path": "/home/me/work", "patch": diff(name, "+x") });
    expect!["allow files.write[0]"].assert_eq(&decide(&set, deed("a.rs"), &[]));
    expect!["deny files.protect[0]"].assert_eq(&decide(&set, deed("a.lock"), &[]));
}

#[test]
fn a_patch_beside_a_file_is_applied_where_that_file_lies() {
    let set = set("files: { write: [./src/**] }\n");
    let deed = |path: &str, name: &str| json!({ "kind": "file.patch", "path": path, "patch": diff(name, "+x") });
    expect!["allow files.write[0]"].assert_eq(&decide(&set, deed("/home/me/work/src/a.rs", "src/a.rs"), &[]));
    expect!["allow files.write[0]"].assert_eq(&decide(&set, deed("/home/me/work/src/a.rs", "a.rs"), &[]));
    // The patch changes another file than the one it is said to change.
    expect!["deny files.default"].assert_eq(&decide(&set, deed("/home/me/work/src/a.rs", "lib/b.rs"), &[]));
}

#[test]
fn what_is_no_patch_is_not_understood() {
    patch("", "diff --git a/x b/x\\nindex 1..2\\n+++ b/x\\n", expect!["deny patches.unclear"]);
    patch("patches: { unclear: ask }\n", "1,2d\n", expect!["ask patches.unclear"]);
    patch("patches: { unclear: allow }\n", "1,2d\n", expect!["allow files.write[0]"]);
    patch("patches: { size: 10 }\n", &diff("a", "+x"), expect!["deny patches.size"]);
}

#[test]
fn patches_have_a_size_and_a_shape() {
    let policy = "patches: { files_max: 1, additions_max: 3, deletions_max: 2, ratio_max: 10, over: deny }\n";
    patch(policy, &diff("a", "+1\n+2\n+3"), expect!["allow files.write[0]"]);
    patch(policy, &diff("a", "+1\n+2\n+3\n+4"), expect!["deny patches.additions_max"]);
    patch(policy, &diff("a", "-1\n-2\n-3"), expect!["deny patches.deletions_max"]);
    patch(policy, &format!("{}{}", diff("a", "+1"), diff("b", "+1")), expect!["deny patches.files_max"]);
    let ratio = "patches: { ratio_max: 10 }\n";
    patch(ratio, &diff("a", &"+x\n".repeat(60)), expect!["ask patches.ratio_max"]);
    patch(ratio, &diff("a", &"+x\n".repeat(20)), expect!["allow files.write[0]"]);
}

#[test]
fn added_lines_match_no_forbidden_expression() {
    let policy = "patches: { forbid: ['(?i)chmod\\s+777'], ask: ['eval\\('] }\n";
    patch(policy, &diff("a.sh", "-chmod 777 x\n+chmod 600 x"), expect!["allow files.write[0]"]);
    patch(policy, &diff("a.sh", "+CHMOD  777 x"), expect!["deny patches.forbid[0]"]);
    patch(policy, &diff("a.sh", "+eval(x)").replace('\n', "\r\n"), expect!["ask patches.ask[0]"]);
}

#[test]
fn changes_a_reviewer_would_look_at_twice() {
    let policy = "patches: { kinds: { binary: ask, mode: ask, link: deny, submodule: ask, delete: ask, rename: ask, hook: deny, \
        ci: ask, lock: ask, generated: ask, vendored: ask, tests: ask } }\n";
    let header = |rest: &str| format!("diff --git a/f b/f\n{rest}");
    patch(policy, &diff("src/a.rs", "+x"), expect!["allow files.write[0]"]);
    patch(policy, &header("old mode 100644\nnew mode 100755\n"), expect!["ask patches.kinds.mode"]);
    patch(
        policy,
        &header("new file mode 120000\nindex 0..1\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+/etc\n"),
        expect!["deny patches.kinds.link"],
    );
    patch(policy, &header("index 1..2 100644\nBinary files a/f and b/f differ\n"), expect!["ask patches.kinds.binary"]);
    patch(
        policy,
        &header("deleted file mode 100644\nindex 1..0\n--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"),
        expect!["ask patches.kinds.delete"],
    );
    patch(policy, &diff(".husky/pre-push", "+x"), expect!["deny patches.kinds.hook"]);
    patch(policy, &diff(".github/workflows/ci2.yml", "+x"), expect!["ask patches.kinds.ci"]);
    patch(policy, &diff("Cargo.lock", "+x"), expect!["ask patches.kinds.lock"]);
    patch(policy, &diff("vendor/a.go", "+x"), expect!["ask patches.kinds.vendored"]);
    patch(policy, &diff("a.min.js", "+x"), expect!["ask patches.kinds.generated"]);
    patch(policy, &diff("src/a.rs", "-#[test]\n-fn a() {}"), expect!["ask patches.kinds.tests"]);
    patch(policy, &diff("src/a.rs", "-#[test]\n+#[test]"), expect!["allow files.write[0]"]);
    patch(policy, &diff("src/a.rs", "+#[\u{69}gnore]"), expect!["ask patches.kinds.tests"]);
}

const TOOLS: &str = "files: { read: [/**], write: [./**], deny: [~/.ssh/**] }
net: { default: ask, deny: [evil.example] }
tools:
  paths: deny
  hosts: ask
  args_bytes_max: 200
  allow:
    - server: fs
      name: read_file
      args: { path: { path: ['./**'] } }
      only: true
    - { server: pay, args: { amount: { type: number, min: 0, max: 100 }, to: { one_of: [alice, bob] } } }
    - { server: web, args: { url: { host: ['*.example.com'] } } }
    - { server: db, args: { query: { pattern: '(?i)select [a-z, ]+ from [a-z]+' }, 'rows[].id': { type: integer, optional: true } } }
    - { server: free }
  deny:
    - { server: free, name: run, args: { path: { path: [/etc/**] } } }
";

fn tool(server: &str, name: &str, arguments: Value, expected: Expect) {
    let deed = json!({ "kind": "tool.call", "server": server, "name": name, "arguments": arguments });
    expected.assert_eq(&decide(&set(TOOLS), deed, &[]));
}

#[test]
fn rules_over_tools_look_at_arguments() {
    tool("fs", "read_file", json!({ "path": "src/a.rs" }), expect!["allow tools.allow[0]"]);
    tool("fs", "read_file", json!({ "path": "/home/me/work/a" }), expect!["allow tools.allow[0]"]);
    tool("fs", "read_file", json!({ "path": "src/../../x" }), expect!["deny tools.default"]);
    tool("fs", "read_file", json!({ "path": "a", "encoding": "x" }), expect!["deny tools.default"]);
    tool("fs", "read_file", json!({}), expect!["deny tools.default"]);
    tool("fs", "read_file", json!({ "path": ["a"] }), expect!["deny tools.default"]);
    tool("pay", "send", json!({ "amount": 50, "to": "bob" }), expect!["allow tools.allow[1]"]);
    tool("pay", "send", json!({ "amount": 500, "to": "bob" }), expect!["deny tools.default"]);
    tool("pay", "send", json!({ "amount": "50", "to": "bob" }), expect!["deny tools.default"]);
    tool("pay", "send", json!({ "amount": 50, "to": "eve" }), expect!["deny tools.default"]);
    tool("web", "get", json!({ "url": "https://a.example.com/x" }), expect!["allow tools.allow[2]"]);
    tool("web", "get", json!({ "url": "https://a.example.com@evil.test/x" }), expect!["deny tools.default"]);
    tool("db", "run", json!({ "query": "SELECT a, b FROM t", "rows": [{ "id": 1 }] }), expect!["allow tools.allow[3]"]);
    tool("db", "run", json!({ "query": "select a from t; drop table t" }), expect!["deny tools.default"]);
    tool("db", "run", json!({ "query": "select a from t", "rows": [{ "id": "x" }] }), expect!["deny tools.default"]);
    tool("free", "run", json!({ "path": "/etc/../etc/hosts" }), expect!["deny tools.deny[0]"]);
    tool("free", "run", json!({ "path": "a\\b" }), expect!["deny tools.deny[0]"]);
    tool("free", "run", json!({ "path": "/usr/x" }), expect!["allow tools.allow[4]"]);
}

#[test]
fn arguments_name_real_files_and_hosts() {
    for path in [
        "~/.ssh/id_rsa",
        "/home/me/.ssh/id_rsa",
        "../.ssh/id_rsa",
        "file:///home/me/.SSH/id%5frsa",
        "/proc/self/root/home/me/.ssh/x",
    ] {
        tool("free", "open", json!({ "deep": [{ "path": path }] }), expect!["deny tools.paths"]);
    }
    tool("free", "open", json!({ "path": "/home/me/notes" }), expect!["allow tools.allow[4]"]);
    tool("free", "say", json!({ "text": "a file such as .ssh/id_rsa" }), expect!["allow tools.allow[4]"]);
    tool("free", "open", json!({ "url": "https://evil.example/x" }), expect!["ask tools.hosts"]);
    tool("free", "open", json!({ "url": "http://169.254.169.254/" }), expect!["ask tools.hosts"]);
    tool("free", "open", json!({ "host": "evil.example:443" }), expect!["ask tools.hosts"]);
    tool("free", "open", json!({ "url": "https://good.example/x" }), expect!["allow tools.allow[4]"]);
    tool("free", "open", json!({ "text": "x".repeat(300) }), expect!["deny tools.args_bytes_max"]);
}

fn browse(policy: &str, operation: &str, url: &str, label: &str, expected: Expect) {
    let deed = json!({ "kind": "browser.act", "operation": operation, "url": url, "label": label });
    let net = "net: { default: ask, deny: [evil.example] }\n";
    expected.assert_eq(&decide(&set(&format!("{net}{policy}")), deed, &[]));
}

#[test]
fn browsers_by_rule_and_by_risk() {
    let policy =
        "browser: { default: allow, allow: [{ operation: navigate, host: docs.rs }], deny: [{ host: bad.example }] }\n";
    browse(policy, "navigate", "https://docs.rs/x", "", expect!["allow browser.allow[0]"]);
    browse(policy, "navigate", "https://other.example/x", "", expect!["ask browser.risks.medium"]);
    browse(policy, "screenshot", "https://other.example/x", "", expect!["allow browser.default"]);
    browse(policy, "navigate", "https://docs.rs/checkout", "", expect!["ask browser.risks.high"]);
    browse(policy, "click", "https://docs.rs/", "Yes, pay $500", expect!["ask browser.risks.high"]);
    browse(policy, "type", "https://docs.rs/", "Password", expect!["deny browser.risks.critical"]);
    browse(policy, "navigate", "https://bad.example/", "", expect!["deny browser.deny[0]"]);
    browse(policy, "read", "https://evil.example/", "", expect!["deny browser.net"]);
    browse(policy, "read", "http://169.254.169.254/latest", "", expect!["deny browser.net"]);
    let lax = "browser: { default: allow, risks: { medium: allow, high: allow, critical: ask } }\n";
    browse(lax, "click", "https://docs.rs/", "Yes, pay $500", expect!["allow browser.default"]);
    browse(lax, "evaluate", "https://docs.rs/", "", expect!["ask browser.risks.critical"]);
    browse("", "read", "https://docs.rs/", "", expect!["deny browser.default"]);
    let typed = json!({ "kind": "browser.act", "operation": "type", "url": "https://docs.rs/", "label": "Notes", "content": "x" });
    let secret = [Sighting::new(SightingClass::Secret, "github-token", 90, 0..1)];
    expect!["deny browser.risks.critical"].assert_eq(&decide(
        &set(&format!("net: {{ default: ask }}\n{policy}")),
        typed,
        &secret,
    ));
}

#[test]
fn computers_by_rule_and_by_risk() {
    let act = |policy: &str, operation: &str, target: &str, expected: Expect| {
        let deed = json!({ "kind": "computer.act", "operation": operation, "target": target });
        expected.assert_eq(&decide(&set(policy), deed, &[]));
    };
    let policy = "computer: { default: ask, allow: [click, mouse_move, 'clipboard.*'], deny: ['file.*'] }\n";
    act(policy, "click", "OK", expect!["allow computer.allow[0]"]);
    act(policy, "click", "Pay now", expect!["ask computer.risks.high"]);
    act(policy, "mouse_move", "", expect!["allow computer.allow[1]"]);
    act(policy, "clipboard.read", "", expect!["ask computer.risks.high"]);
    act(policy, "clipboard.write", "", expect!["allow computer.allow[2]"]);
    act(policy, "file.transfer", "", expect!["deny computer.deny[0]"]);
    act(policy, "dance", "", expect!["ask computer.default"]);
}

#[test]
fn prompts_by_origin_and_score() {
    let policy = "prompts: { default: allow, user: { ask: 80 }, retrieved: { ask: 50, deny: 80, hidden: ask }, tool: { deny: 50 } }\n";
    let receive = |origin: &str, class, score, expected: Expect| {
        let deed = json!({ "kind": "content.receive", "origin": origin, "source": "s", "content": "x" });
        expected.assert_eq(&decide(&set(policy), deed, &[Sighting::new(class, "x", score, 0..1)]));
    };
    receive("user", SightingClass::Injection, 79, expect!["allow prompts.default"]);
    receive("user", SightingClass::Injection, 80, expect!["ask prompts.user.ask"]);
    receive("retrieved", SightingClass::Injection, 49, expect!["allow prompts.default"]);
    receive("retrieved", SightingClass::Injection, 50, expect!["ask prompts.retrieved.ask"]);
    receive("retrieved", SightingClass::Injection, 80, expect!["deny prompts.retrieved.deny"]);
    receive("retrieved", SightingClass::Hidden, 90, expect!["ask prompts.retrieved.hidden"]);
    receive("tool", SightingClass::Injection, 50, expect!["deny prompts.tool.deny"]);
    receive("tool", SightingClass::Secret, 90, expect!["allow prompts.default"]);
}

#[test]
fn content_by_form_and_by_class() {
    let policy = "files: { write: [./**] }\ncontent: { patterns: [{ name: ticket, pattern: 'SEC-[0-9]{4}', effect: ask }], \
        classes: { internal: allow, confidential: ask, restricted: deny } }\n";
    let write = |content: &str, kinds: &[&str], expected: Expect| {
        let deed = json!({ "kind": "file.write", "path": "/home/me/work/a", "content": content });
        let sightings: Vec<Sighting> =
            kinds.iter().map(|kind| Sighting::new(SightingClass::Personal, (*kind).to_owned(), 90, 0..1)).collect();
        expected.assert_eq(&decide(&set(policy), deed, &sightings));
    };
    write("see SEC-12", &[], expect!["allow files.write[0]"]);
    write("see SEC-1234", &[], expect!["ask content.patterns[0]"]);
    write("x", &["date", "place"], expect!["allow files.write[0]"]);
    write("x", &["email"], expect!["ask content.classes.confidential"]);
    write("x", &["person"], expect!["ask content.classes.confidential"]);
    write("x", &["person", "date-of-birth"], expect!["deny content.classes.restricted"]);
    write("x", &["us-ssn"], expect!["deny content.classes.restricted"]);
    write("x", &["of-a-kind-nobody-knows"], expect!["deny content.classes.restricted"]);
}

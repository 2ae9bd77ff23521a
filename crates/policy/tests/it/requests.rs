//! Rules over what stands inside requests, each allow beside its nearest deny.

use crate::support::{set, verdict};

/// The effect of an action under the policy.
fn effect(policy: &str, action: &str) -> String {
    verdict(&set(policy), action).split(' ').next().unwrap().to_owned()
}

#[test]
fn the_three_lines_of_the_docs_read_github_and_push_only_to_me() {
    let docs = include_str!("../../../../docs/policy.md");
    let end = docs.find("is \"read GitHub, push only to `me/*`\".").unwrap();
    let start = docs[..end].rfind("```yaml\n").unwrap() + "```yaml\n".len();
    let policy = docs[start..end].trim().trim_end_matches("```");
    assert_eq!(policy.lines().filter(|line| line.trim_start().starts_with("- ")).count(), 3);
    for (action, expected) in [
        ("http GET https://github.com/you/x/info/refs", "allow"),
        ("http POST https://github.com/you/x/git-upload-pack", "allow"),
        ("http POST https://github.com/me/x/git-receive-pack", "allow"),
        ("http POST https://github.com/you/x/git-receive-pack", "deny"),
        ("http GET https://api.github.com/repos/you/x", "allow"),
        ("http DELETE https://api.github.com/repos/me/x", "deny"),
        (r#"http POST https://api.github.com/graphql {"query": "{ viewer { login } }"}"#, "allow"),
        (r#"http POST https://api.github.com/graphql {"query": "mutation { addStar }"}"#, "deny"),
    ] {
        assert_eq!(effect(policy, action), expected, "{action}");
    }
}

#[test]
fn what_cannot_be_read_is_held_back_with_a_reason() {
    const POLICY: &str =
        "net:\n  default: allow\n  ask: [{ host: a.test, http: [{ path: /rpc, json: { method: 'delete*' } }] }]\n";
    for (body, expected) in [
        (r#"{"method": "read"}"#, "allow"),
        (r#"{"method": "deleteAll"}"#, "ask"),
        (r#"{"method": "read", "method": "read"}"#, "deny"),
        ("x", "deny"),
        ("header.content-type=text/plain x", "deny"),
    ] {
        assert_eq!(effect(POLICY, &format!("http POST https://a.test/rpc {body}")), expected, "{body}");
    }
    assert_eq!(effect(POLICY, "http POST https://a.test/other x"), "allow");
    let deed = bartizan_policy::parse_case("http POST https://a.test/rpc {\"a\":1,\"a\":2}", set(POLICY).context());
    let verdict = set(POLICY).verdict(&deed.unwrap());
    assert!(verdict.reason.contains("a key stands twice in it") && verdict.rule.rule == "net.ask[0]", "{verdict:?}");
}

#[test]
fn headers_fit_with_every_value() {
    const POLICY: &str = "net:\n  default: deny\n  allow: [{ host: a.test, http: [{ header: { X-Team: 'b*' } }] }]\n";
    for (headers, expected) in [
        ("header.x-team=blue", "allow"),
        ("header.X-TEAM=blue", "allow"),
        ("header.x-team=red", "deny"),
        ("header.x-team=blue header.x-team=red", "deny"),
        ("header.x-team=blue header.x_team=blue", "deny"),
        ("", "deny"),
    ] {
        assert_eq!(effect(POLICY, &format!("http GET https://a.test/x {headers}")), expected, "{headers}");
    }
}

#[test]
fn sizes_are_duties_and_the_smallest_counts() {
    const POLICY: &str = "net:\n  default: deny\n  allow:\n  - { host: a.test, http: [{ bytes: { request: 1KiB, response: 1MiB } }, { path: /x, bytes: { response: 10 } }] }\n";
    let set = set(POLICY);
    let limits = |url: &str| {
        let deed = bartizan_policy::parse_case(&format!("http GET {url}"), set.context()).unwrap();
        let bytes = set.decide(&deed).duties().bytes;
        (bytes.request, bytes.response)
    };
    assert_eq!(limits("https://a.test/y"), (Some(1024), Some(1 << 20)));
    assert_eq!(limits("https://a.test/x"), (Some(1024), Some(10)));
}

#[test]
fn rules_that_hold_back_by_bodies_of_every_path_are_warned_of() {
    let warnings = |path: &str| {
        let policy =
            format!("net:\n  default: allow\n  deny: [{{ host: a.test, http: [{{ {path} json: {{ a: x }} }}] }}]\n");
        set(&policy).lint().iter().map(ToString::to_string).filter(|warning| warning.contains("`path`")).count()
    };
    assert_eq!((warnings(""), warnings("path: /rpc,")), (1, 0));
}

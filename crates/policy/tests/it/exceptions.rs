//! Exceptions: exactly one rule, exactly one principal, until exactly then.

use bartizan_model::{Deed, Effect, Principal};
use bartizan_policy::{Exception, Look, PolicySet};
use jiff::Timestamp;

use crate::support;

const POLICY: &str = "
net:
  default: allow
  deny: [evil.example, worse.example]
  ask: [slow.example, evil.example]
exec: { default: allow, deny: [rm, dd] }
";

fn at(text: &str) -> Timestamp {
    format!("2026-11-20T{text}:00Z").parse().unwrap()
}

fn lift(set: &PolicySet, rule: &str, principal: &str, until: &str) -> Exception {
    let (rule, text) = set.liftable(rule).unwrap_or_else(|problem| panic!("{problem}"));
    Exception {
        id: format!("ex-{rule}"),
        rule,
        text,
        principal: principal.into(),
        until: at(until),
        reason: "migration".into(),
        by: "me".into(),
        at: at("09:00"),
    }
}

fn connect(host: &str) -> Deed {
    Deed::NetConnect { host: host.into(), port: 443 }
}

fn decide(set: &PolicySet, principal: &str, now: Option<&str>, deed: &Deed) -> String {
    let principal = Principal::local_human(principal);
    let look = Look { principal: Some(&principal), now: now.map(at), ..Look::default() };
    let verdict = set.decide_with(deed, &look).to_verdict();
    let lifted = if verdict.findings.iter().any(|finding| finding.guard == "exceptions") { " exceptions" } else { "" };
    format!("{} {}{lifted}", verdict.effect.as_str(), verdict.rule.rule)
}

#[test]
fn lifts_one_rule_for_one_principal_until_then() {
    let set = support::set(POLICY);
    let exception = lift(&set, "net.deny[1]", "bot", "10:00");
    let set = set.with_exceptions(vec![exception]);
    let worse = connect("worse.example");
    assert_eq!(decide(&set, "bot", Some("09:30"), &worse), "allow net.default exceptions");
    assert_eq!(decide(&set, "bot", Some("10:00"), &worse), "deny net.deny[1]");
    assert_eq!(decide(&set, "bot", Some("08:59"), &worse), "deny net.deny[1]", "not before it was made");
    assert_eq!(decide(&set, "bot", None, &worse), "deny net.deny[1]", "without a clock nothing is lifted");
    assert_eq!(decide(&set, "bo", Some("09:30"), &worse), "deny net.deny[1]");
    assert_eq!(decide(&set, "bot", Some("09:30"), &connect("evil.example")), "deny net.deny[0]");
    assert_eq!(set.verdict(&worse).effect, Effect::Deny, "nobody in particular has no exceptions");
}

#[test]
fn what_another_rule_says_still_holds_and_keeps_its_name() {
    let set = support::set(POLICY);
    let first = lift(&set, "net.deny[0]", "bot", "10:00");
    let set = set.with_exceptions(vec![first]);
    // Still asked by the other rule on that host, and the rule after the lifted one has its own name.
    assert_eq!(decide(&set, "bot", Some("09:30"), &connect("evil.example")), "ask net.ask[1] exceptions");
    assert_eq!(decide(&set, "bot", Some("09:30"), &connect("worse.example")), "deny net.deny[1]");
}

#[test]
fn several_end_one_after_the_other() {
    let set = support::set(POLICY);
    let (evil, asked) = (lift(&set, "net.deny[0]", "bot", "11:00"), lift(&set, "net.ask[1]", "bot", "10:00"));
    let set = set.with_exceptions(vec![asked, evil]);
    let deed = connect("evil.example");
    assert!(decide(&set, "bot", Some("09:30"), &deed).starts_with("allow net.default"));
    assert!(decide(&set, "bot", Some("10:30"), &deed).starts_with("ask net.ask[1]"));
    assert_eq!(decide(&set, "bot", Some("11:30"), &deed), "deny net.deny[0]");
}

#[test]
fn an_edited_list_never_lifts_another_rule() {
    let before = support::set(POLICY);
    let exception = lift(&before, "net.deny[0]", "bot", "10:00");
    let after =
        support::set("net: { default: allow, deny: [worse.example, evil.example] }").with_exceptions(vec![exception]);
    assert_eq!(decide(&after, "bot", Some("09:30"), &connect("worse.example")), "deny net.deny[0]");
    assert!(decide(&after, "bot", Some("09:30"), &connect("evil.example")).starts_with("allow"));
}

#[test]
fn what_is_no_entry_that_holds_back_cant_be_lifted() {
    let set = support::set(POLICY);
    for (rule, problem) in [
        ("net.default", "can't be lifted"),
        ("net.deny[7]", "there is no rule"),
        ("net.allow[0]", "grants something"),
        ("egress.metadata", "can't be lifted"),
        ("policy.unknown_kind", "can't be lifted"),
        ("rego.deny", "is many rules"),
        ("rego.failed", "can't be lifted"),
        ("nonsense", "can't be lifted"),
        ("", "can't be lifted"),
    ] {
        let told = set.liftable(rule).unwrap_err();
        assert!(told.contains(problem), "{rule}: {told}");
    }
}

//! Rego modules beside a policy: they hold back, never allow; what can't be answered is refused; whatever is written
//! in them, a decision takes bounded time and memory.

use std::path::Path;
use std::time::{Duration, Instant};

use bartizan_model::{Deed, Effect, Principal, Sighting, SightingClass, Verdict};
use bartizan_policy::{Context, Label, Loader, Look, Policy, PolicySet, Session, Source};

/// Gives one module, whatever it is called.
struct One<'a>(&'a str);

impl Loader for One<'_> {
    fn file(&self, reference: &str, _: &str) -> Result<Source, String> {
        Ok(Source::new(reference, self.0))
    }
}

const OPEN: &str = "bartizan: 1\nexec: { default: allow }\nnet: { default: allow }\ntools: { default: allow }\nmessages: { default: allow }\nrego: [./m.rego]\n";

fn load(module: &str) -> Result<PolicySet, String> {
    let policy = Policy::load(&Source::new("p.yaml", OPEN), &One(module)).map_err(|errors| errors.to_string())?;
    let context = Context::new(Path::new("/home/a"), Path::new("/home/a/work")).unwrap();
    PolicySet::new(policy, None, context).map_err(|error| error.to_string())
}

fn refused(module: &str) -> String {
    load(module).err().unwrap_or_else(|| panic!("it compiles: {module}"))
}

fn exec(args: &[&str]) -> Deed {
    Deed::ExecRun {
        program: format!("/usr/bin/{}", args[0]),
        args: args.iter().map(|&argument| argument.to_owned()).collect(),
        cwd: None,
    }
}

fn rule(verdict: &Verdict) -> (Effect, &str) {
    (verdict.effect, verdict.rule.rule.as_str())
}

#[test]
fn modules_deny_and_ask_and_have_no_way_to_allow() {
    let set = load(
        "package bartizan
deny contains \"no force\" if \"--force\" in input.deed.args
ask contains sprintf(\"ask for %s\", [input.deed.args[0]]) if input.deed.args[0] == \"make\"
",
    )
    .unwrap();
    let verdict = set.verdict(&exec(&["git", "push", "--force"]));
    assert_eq!(rule(&verdict), (Effect::Deny, "rego.deny"));
    assert_eq!(verdict.reason, "no force");
    assert_eq!(verdict.rule.source.as_deref(), Some("./m.rego"));
    assert_eq!(verdict.findings[0].guard, "rego");
    assert_eq!(rule(&set.verdict(&exec(&["make"]))), (Effect::Ask, "rego.ask"));
    assert_eq!(set.verdict(&exec(&["make"])).reason, "ask for make");
    assert_eq!(set.verdict(&exec(&["git", "push"])).effect, Effect::Allow);
    // What the YAML denies stays denied.
    let read = Deed::FileRead { path: "/etc/shadow".into() };
    assert_eq!(set.verdict(&read).effect, Effect::Deny);
}

#[test]
fn input_is_the_documented_document() {
    let set = load(
        "package bartizan
deny contains \"secret\" if { some s in input.sightings; s[\"class\"] == \"secret\"; s.score >= 80; s.kind == \"github-token\" }
deny contains \"untrusted\" if { \"untrusted\" in input.session.labels; input.deed.kind == \"exec.run\" }
deny contains \"bot\" if input.principal.name == \"bot\"
deny contains \"sealed\" if input.deed.content.length_bytes > 3
deny contains \"place\" if startswith(input.deed.args[1], input.places.workspace)
deny contains \"weekend\" if time.weekday(input.now_ns) in {\"Saturday\", \"Sunday\"}
",
    )
    .unwrap();
    let reason = |deed: &Deed, look: &Look<'_>| set.decide_with(deed, look).to_verdict().reason;
    let seen = [Sighting::new(SightingClass::Secret, "github-token", 90, 0..4)];
    assert_eq!(reason(&exec(&["ls"]), &Look { sightings: &seen, ..Look::default() }), "secret");
    let weak = [Sighting::new(SightingClass::Secret, "github-token", 70, 0..4)];
    let look = Look { sightings: &weak, ..Look::default() };
    assert_eq!(set.decide_with(&exec(&["ls"]), &look).effect(), Effect::Allow);
    let session = Session::new();
    session.add_label(&Label::Untrusted);
    assert_eq!(reason(&exec(&["ls"]), &Look { session: Some(&session), ..Look::default() }), "untrusted");
    let bot = Principal::local_human("bot");
    assert_eq!(reason(&exec(&["ls"]), &Look { principal: Some(&bot), ..Look::default() }), "bot");
    let message = |content: &str| Deed::MessageSend {
        channel: "mail".into(),
        recipient: "a@b.c".into(),
        content: content.into(),
    };
    assert_eq!(reason(&message("four"), &Look::default()), "sealed");
    assert_eq!(set.verdict(&message("abc")).effect, Effect::Allow);
    assert_eq!(reason(&exec(&["ls", "/home/a/work/x"]), &Look::default()), "place");
    let at = |text: &str| Look { now: Some(text.parse().unwrap()), ..Look::default() };
    assert_eq!(reason(&exec(&["ls"]), &at("2026-11-21T12:00:00Z")), "weekend");
    assert_eq!(set.decide_with(&exec(&["ls"]), &at("2026-11-20T12:00:00Z")).effect(), Effect::Allow);
}

#[test]
fn what_cant_be_answered_is_refused() {
    for (module, why) in [
        ("deny contains 7 if true", "neither a text nor an object"),
        ("deny contains {\"reason\": 7} if true", "neither a text nor an object"),
        ("deny contains \"x\" if { x := [y | some y in numbers.range(1, 100000000)]; count(x) > 1 }", "limit"),
        (
            "deny contains \"x\" if { n := numbers.range(1, 9000); some a in n; some b in n; some c in n; a + b + c == -1 }",
            "instruction",
        ),
        (
            "grow := concat(\"\", [d | some i in numbers.range(1, 9000); d := concat(\"\", [c | some j in numbers.range(1, 900); c := \"0123456789abcdef\"])])
deny contains \"x\" if count(grow) > 1",
            "limit",
        ),
        ("deny contains \"x\" if count(sprintf(\"%99999999d\", [1])) > 1", "limit"),
        ("deny contains \"x\" if bits.lsh(1, 99999999999) > 1", "limit"),
        ("level := 1 if input.deed.kind\nlevel := 2 if input.version\ndeny contains \"x\" if level == 1", "`level` has two different values"),
        ("f(x) := 1 if x\nf(x) := 2 if count(x) > 0\ndeny contains \"x\" if f(input.deed.kind) == 7", "`f` has two different values"),
        ("p if { false } else := 1\np := 2 if { true }\ndeny contains \"x\" if not p", "`p` has two different values"),
        (
            "a := concat(\"\", [s | some i in numbers.range(1, 2000); s := \"0123456789\"])
deny contains \"x\" if count(replace(a, \"0\", a)) > 1",
            "limit",
        ),
    ] {
        let set = load(&format!("package bartizan\n{module}\n")).unwrap_or_else(|error| panic!("{module}: {error}"));
        let start = Instant::now();
        let verdict = set.verdict(&exec(&["ls"]));
        assert_eq!(rule(&verdict), (Effect::Deny, "rego.failed"), "{module}: {}", verdict.reason);
        assert!(verdict.reason.to_lowercase().contains(why), "{module}: {}", verdict.reason);
        assert!(start.elapsed() < Duration::from_secs(20), "{module} took {:?}", start.elapsed());
        // The next decision is not hurt by it.
        assert_eq!(set.verdict(&exec(&["ls"])).rule.rule, "rego.failed");
    }
}

#[test]
fn deep_chains_of_rules_fit_the_stack() {
    let mut module = String::from("package bartizan\nf0 := 1\n");
    for index in 1..390 {
        module.push_str(&format!("f{index} := f{} + 1\n", index - 1));
    }
    module.push_str("deny contains \"deep\" if f389 == 390\n");
    let set = load(&module).unwrap();
    assert_eq!(set.verdict(&exec(&["ls"])).reason, "deep");
    let mut twice = String::from("package bartizan\nf0 := 1\n");
    for index in 1..195 {
        let before = index - 1;
        twice
            .push_str(&format!("f{index} := f{before} + 1 if f{before}\nf{index} := f{before} + 2 if not f{before}\n"));
    }
    twice.push_str("deny contains \"deep\" if f194 == 195\n");
    let set = load(&twice).unwrap();
    assert_eq!(set.verdict(&exec(&["ls"])).reason, "deep");
    let start = Instant::now();
    let brackets = format!("package bartizan\ndeny contains \"x\" if x := {}{}\n", "[".repeat(9000), "]".repeat(9000));
    assert!(refused(&brackets).contains("deep"), "{}", refused(&brackets));
    assert!(start.elapsed() < Duration::from_secs(5));
    let mut wide = String::from("package bartizan\ndeny contains \"x\" if true\n");
    for index in 0..500 {
        wide.push_str(&format!("f{index} := {index}\n"));
    }
    assert!(refused(&wide).contains("more than"), "{}", refused(&wide));
}

/// Several definitions are one value as long as they agree, and nothing where none holds.
#[test]
fn definitions_that_agree_are_one_value() {
    let set = load(
        "package bartizan
default quiet := 3
quiet := 1 if input.deed.kind == \"nothing\"
quiet := 2 if input.deed.kind == \"never\"
kind := \"a\" if input.deed.kind == \"exec.run\"
kind := concat(\"\", [\"a\"]) if input.deed.args
default loud := 3
loud := 1 if input.deed.kind == \"exec.run\"
loud := 2 if input.deed.kind == \"never\"
absent := 1 if input.deed.kind == \"nothing\"
absent := 2 if input.deed.kind == \"never\"
size(x) := \"none\" if count(x) == 0
size([one]) := concat(\" \", [\"one\", one])
size(x) := \"some\" if count(x) > 1
else := \"odd\" if x == 7
deny contains concat(\", \", [kind, size([]), size([\"x\"]), size([1, 2]), sprintf(\"%d %d\", [quiet, loud])]) if not absent
",
    )
    .unwrap();
    assert_eq!(set.verdict(&exec(&["ls"])).reason, "a, none, one x, some, 3 1");
}

/// What the engine would read otherwise than OPA, without saying so.
#[test]
fn heads_that_would_mean_something_else_are_refused() {
    for (rule, problem) in [
        ("default f(_) := 1\nf(x) := x if x > 0", "no `default`"),
        ("p[q].r := 1 if q := input.deed.kind", "one word"),
        ("a.b := 1", "one word"),
        ("default x := [y | some y in input.deed.args]", "a constant here"),
    ] {
        let told = refused(&format!("package bartizan\n{rule}\ndeny contains \"x\" if true"));
        assert!(told.contains(problem) && told.contains("./m.rego:2:1"), "{rule}: {told}");
    }
}

#[test]
fn functions_of_texts_are_those_of_opa() {
    for (term, value) in [
        ("strings.replace_n({\"a\": \"YY\", \"bba\": \"bX\"}, \"bbab\")", "bXb"),
        ("strings.replace_n({\"ab\": \"b\", \"b\": \"Y\"}, \"baaabbbba\")", "YaabYYYa"),
        ("strings.replace_n({\"a\": \"b\", \"b\": \"a\"}, \"abba\")", "baab"),
        (
            "strings.replace_n({\"a\": \"Xa\", \"ab\": \"X\", \"ba\": \"bYa\", \"aaa\": \"X\"}, \"aaaaab\")",
            "XaXaXaXaXab",
        ),
        ("strings.replace_n({\"\": \"-\", \"b\": \"B\"}, \"abc\")", "-a-B-c-"),
        ("sprintf(\"%d\", [strings.count(\"11111\", \"11\")])", "2"),
        ("sprintf(\"%v %v\", [indexof(\"näx\", \"x\"), indexof(\"a\", \"b\")])", "2 -1"),
        ("[r | r := \"odd\"; not indexof(\"a\", \"\")][0]", "odd"),
        ("sprintf(\"%v\", [json.is_valid(7)])", "false"),
        ("sprintf(\"%d\", [strings.count(\"dummy\", \"\")])", "6"),
    ] {
        let set = load(&format!("package bartizan\ndeny contains {term} if true\n")).unwrap();
        assert_eq!(set.verdict(&exec(&["ls"])).reason, value, "{term}");
    }
}

#[test]
fn rules_in_a_circle_are_refused() {
    for module in [
        "a := b\nb := a\ndeny contains \"x\" if a",
        "a if b\nb if a\ndeny contains \"x\" if not a",
        "f(x) := g(x)\ng(x) := f(x)\ndeny contains \"x\" if f(1) == 1",
        "deny contains \"x\" if \"x\" in deny",
        "a contains x if { some x in b }\nb contains x if { some x in a }\ndeny contains \"x\" if count(a) == 0",
    ] {
        match load(&format!("package bartizan\n{module}\n")) {
            Err(problem) => assert!(problem.contains("recursion"), "{module}: {problem}"),
            Ok(set) => assert_eq!(rule(&set.verdict(&exec(&["ls"]))), (Effect::Deny, "rego.failed"), "{module}"),
        }
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (module, problem) in [
        ("package bartizan\n\ndeny contains \"x\" if {", "./m.rego:"),
        (
            "package bartizan\ndeny contains \"x\" if input.dede.kind == \"a\"",
            "./m.rego:2:22: `input.dede` is never there; did you mean `deed`?",
        ),
        ("package other\ndeny contains \"x\" if true", "no module says anything"),
        ("package bartizan\ndeny := \"x\" if true", "must be a set"),
        (
            "package bartizan\nallow := true\ndeny contains \"x\" if true",
            "`allow` in package `bartizan` decides nothing",
        ),
        ("package bartizan\ndeny contains \"x\" if http.send({}).status == 200", "http.send"),
        ("package bartizan\ndeny contains \"x\" if time.now_ns() > 1", "`time.now_ns` is not available here"),
        ("package bartizan\ndeny contains \"x\" if walk(input, [p, v])", "walk"),
        ("package bartizan\ndeny contains \"x\" if data.bartizan[input.principal.name]", "recursion"),
        ("package bartizan_entry\ndeny contains \"x\" if true", "taken"),
    ] {
        let told = refused(module);
        assert!(told.contains(problem), "{module}\n→ {told}");
    }
    assert!(refused(&"#".repeat(300_000)).contains("the most is"));
}

#[test]
fn the_modules_text_is_part_of_the_policys_digest() {
    let digest =
        |reason: &str| load(&format!("package bartizan\ndeny contains \"{reason}\" if false")).unwrap().digest();
    assert_eq!(digest("a"), digest("a"));
    assert_ne!(digest("a"), digest("b"));
}

#[test]
fn built_in_modules_hold_back_what_they_say() {
    let set = |name: &str| {
        let text = OPEN.replace("./m.rego", name);
        let policy = Policy::load(&Source::new("p.yaml", text), &One("")).unwrap();
        let context = Context::new(Path::new("/home/a"), Path::new("/home/a/work")).unwrap();
        PolicySet::new(policy, None, context).unwrap()
    };
    let request = |method: &str, scheme: &str| Deed::HttpRequest {
        method: method.into(),
        scheme: scheme.into(),
        host: "api.github.com".into(),
        port: 443,
        path: "/x".into(),
        query: None,
        body: None,
        placeholders: Vec::new(),
        headers: Vec::new(),
        upgrade: None,
    };
    let (permissive, standard, strict) = (set("permissive"), set("standard"), set("strict"));
    for set in [&permissive, &standard] {
        assert_eq!(set.verdict(&exec(&["git", "push", "--force"])).effect, Effect::Ask);
        assert_eq!(set.verdict(&exec(&["git", "push"])).effect, Effect::Allow);
    }
    assert_eq!(permissive.verdict(&exec(&["psql", "-c", "DROP TABLE x"])).effect, Effect::Ask);
    assert_eq!(permissive.verdict(&exec(&["psql", "-c", "SELECT 1"])).effect, Effect::Allow);
    assert_eq!(standard.verdict(&exec(&["npm", "publish"])).effect, Effect::Ask);
    assert_eq!(standard.verdict(&exec(&["npm", "test"])).effect, Effect::Allow);
    let tool =
        |name: &str| Deed::ToolCall { server: "github".into(), name: name.into(), arguments: serde_json::json!({}) };
    assert_eq!(standard.verdict(&tool("delete_repository")).effect, Effect::Ask);
    assert_eq!(standard.verdict(&tool("create_issue")).effect, Effect::Allow);
    assert_eq!(strict.verdict(&tool("create_issue")).effect, Effect::Ask);
    assert_eq!(strict.verdict(&tool("get_issue")).effect, Effect::Allow);
    assert_eq!(strict.verdict(&exec(&["python3", "-c", "1"])).effect, Effect::Deny);
    assert_eq!(strict.verdict(&exec(&["python3", "a.py"])).effect, Effect::Allow);
    assert_eq!(strict.verdict(&request("GET", "http")).effect, Effect::Deny);
    assert_eq!(strict.verdict(&request("GET", "https")).effect, Effect::Allow);
    let session = Session::new();
    session.add_label(&Label::Untrusted);
    let look = Look { session: Some(&session), ..Look::default() };
    let effect = |set: &PolicySet, deed: &Deed| set.decide_with(deed, &look).effect();
    assert_eq!(effect(&standard, &request("POST", "https")), Effect::Ask);
    assert_eq!(effect(&standard, &request("GET", "https")), Effect::Allow);
    assert_eq!(effect(&strict, &request("POST", "https")), Effect::Deny);
    assert_eq!(effect(&strict, &request("GET", "https")), Effect::Allow);
}

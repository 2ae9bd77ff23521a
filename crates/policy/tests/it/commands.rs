//! Commands: the tricks that make one command out of another, and what grammars cover.

use bartizan_model::{Deed, Effect};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source};
use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;

/// What the tricks are tried under; the tests through the program use the same.
const POLICY: &str = include_str!("../tricks.yaml");
const TRICKS: &str = include_str!("../tricks.jsonl");

#[derive(Deserialize)]
struct Trick {
    trick: String,
    argv: Vec<String>,
    effect: Effect,
}

pub fn set(yaml: &str) -> PolicySet {
    let policy = Policy::load(&Source::new("test.yaml", yaml.as_bytes()), &BuiltinsOnly).unwrap();
    let context = Context::new("/home/ann".as_ref(), "/home/ann/work".as_ref()).unwrap();
    PolicySet::new(policy, None, context).unwrap()
}

fn exec(argv: &[String]) -> Deed {
    Deed::ExecRun { program: argv.first().unwrap().clone(), args: argv.to_vec(), cwd: Some("/home/ann/work".into()) }
}

#[test]
fn tricks_get_nothing_past_the_rules() {
    let set = set(POLICY);
    let mut wrong = String::new();
    for line in TRICKS.lines() {
        let trick: Trick = serde_json::from_str(line).unwrap();
        let verdict = set.verdict(&exec(&trick.argv));
        if verdict.effect != trick.effect {
            wrong.push_str(&format!(
                "{}: {:?}, wanted {:?}: {}\n",
                trick.trick, verdict.effect, trick.effect, verdict.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A persona that lets programs start asks for some; what is asked for isn't started by any trick that gets past nothing
/// else.
#[test]
fn tricks_get_nothing_past_what_coding_assistant_asks_for() {
    let context = Context::new("/home/ann".as_ref(), "/home/ann/work".as_ref()).unwrap();
    let set = PolicySet::new(Policy::builtin("coding_assistant").unwrap(), None, context).unwrap();
    // Their text is no shell's, and programs start freely: in a box, what they start is caught.
    const UNREAD: [&str; 5] = ["script", "python", "perl", "node", "awk"];
    let mut wrong = String::new();
    let mut tried = 0;
    for line in TRICKS.lines().filter(|line| line.contains("nproc")) {
        let trick: Trick = serde_json::from_str(line).unwrap();
        if trick.effect == Effect::Allow || UNREAD.contains(&trick.trick.as_str()) {
            continue;
        }
        tried += 1;
        let argv: Vec<String> = trick.argv.iter().map(|word| word.replace("nproc", "ssh")).collect();
        let verdict = set.verdict(&exec(&argv));
        if verdict.effect == Effect::Allow {
            wrong.push_str(&format!("{}: {argv:?}: {}\n", trick.trick, verdict.reason));
        }
    }
    assert!(wrong.is_empty() && tried > 70, "{tried} tried\n{wrong}");
}

/// What a person reads is why, and by which rule.
#[test]
fn verdicts_say_what_held_a_line_back() {
    let set = set("bartizan: 1\nexec: { default: ask, allow: [id, timeout 5 ./check.sh], deny: [vault] }");
    let verdict = |argv: &[&str]| {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let verdict = set.verdict(&exec(&argv));
        format!("{} {}: {}", verdict.effect.as_str(), verdict.rule.rule, verdict.reason)
    };
    assert_eq!(verdict(&["sh", "-c", "id; vault read"]), "deny exec.deny[0]: the rule `vault` denies it");
    let findings = |argv: &[&str]| {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let found = set.verdict(&exec(&argv)).findings.into_iter().find(|finding| finding.guard == "exec");
        found.map(|finding| finding.message).unwrap_or_default()
    };
    for (argv, command) in [
        (&["sh", "-c", "id; vault read x"][..], "`vault read x`"),
        (&["env", "A=b", "xargs", "vault"], "`vault`"),
        (&["sh", "-c", "id && nproc"], "`nproc`"),
        (&["sh", "-c", "vault first; vault second"], "`vault first`"),
    ] {
        let said = findings(argv);
        assert!(said.ends_with(command), "{argv:?}: {said}");
    }
    assert_eq!(findings(&["vault", "read"]), "");
    // What a program is told it is called changes nothing about what a shell does.
    let named = Deed::ExecRun {
        program: "/bin/sh".into(),
        args: ["login", "-c", "vault x"].map(str::to_owned).into(),
        cwd: None,
    };
    assert_eq!(set.verdict(&named).rule.rule, "exec.deny[0]");
    assert_eq!(findings(&["sh", "-c", "id"]), "");
    assert_eq!(verdict(&["sh", "-c", "id | id"]), "allow exec.allow[0]: the rule `id` allows it");
    assert!(verdict(&["sh", "-c", "eval id"]).starts_with("ask exec.unclear: the command line can't be followed"));
    assert!(verdict(&["sh", "-c", "id; nproc"]).starts_with("ask exec.default"));
    assert!(verdict(&["sh", "-c", "cd /; :"]).starts_with("allow exec.shell"));
    // Written out, a line is taken at its word, and a stricter rule still holds.
    assert!(verdict(&["timeout", "5", "./check.sh"]).starts_with("allow exec.allow[1]"));
    assert!(verdict(&["timeout", "5", "./other.sh"]).starts_with("ask exec.default"));
}

/// Where programs start freely, a line that can't be followed is still asked about: nobody knows what it would start.
#[test]
fn a_free_default_vouches_for_nothing() {
    let set = set("bartizan: 1\nexec: { default: allow, deny: [vault] }");
    let effect = |text: &str| set.verdict(&exec(&["sh", "-c", text].map(str::to_owned))).rule.rule;
    assert_eq!(effect("id; nproc"), "exec.default");
    assert_eq!(effect("eval \"$x\""), "exec.unclear");
    assert_eq!(effect("$x vault"), "exec.unclear");
    assert_eq!(effect("id; vault"), "exec.deny[0]");
}

#[test]
fn mistakes_in_grammars_are_told() {
    let problem = |rule: &str| {
        let text = format!("bartizan: 1\nexec: {{ {rule} }}");
        bartizan_policy::parse(text.as_bytes()).unwrap_err().to_string()
    };
    for (rule, wanted) in [
        ("allow: [{ program: git, verbs: push }]", "did you mean `verb`"),
        ("allow: [{ verb: push }]", "needs the key `program`"),
        ("allow: [{ program: git, flags: [force] }]", "`force` is no flag"),
        ("allow: [{ program: git, require: --x }]", "`--x` is required but not among `flags`"),
        ("allow: [{ program: git, verb: --x }]", "is no subcommand"),
        ("allow: [{ program: git, args: <nmae> }]", "did you mean `<name>`"),
        ("allow: [{ program: git, count: some }]", "is no number of operands"),
        ("allow: [{ program: a/b }]", "a path that says where it starts"),
        ("deny: [{ program: git, deny_args: x }]", "which only `allow` means"),
        ("unclear: perhaps", "must be one of allow, ask, deny"),
    ] {
        assert!(problem(rule).contains(wanted), "{rule}: {}", problem(rule));
    }
}

/// Words that a grammar's arguments are made of in the property below.
const WORDS: &[&str] = &[
    "get",
    "delete",
    "pods",
    "secrets",
    "Secret/x",
    "pods,secrets",
    "-n",
    "web",
    "--namespace",
    "--namespace=web",
    "-nweb",
    "-A",
    "-o",
    "-o=json",
    "-ojson",
    "-oyaml",
    "--output=go-template",
    "--",
    "-",
    "--raw",
    "-f",
    "-An",
    "-fA",
    "--kubeconfig=x",
    "--context",
    "-w",
    "",
    "--names",
    "-N",
];

proptest! {
    /// Whatever the order, a command that a grammar covers holds nothing the grammar doesn't say.
    #[test]
    fn grammars_cover_only_what_they_say(words in prop::collection::vec(select(WORDS), 0..7)) {
        let set = set(POLICY);
        let argv: Vec<String> = std::iter::once("kubectl").chain(words.iter().copied()).map(str::to_owned).collect();
        if set.decide(&exec(&argv)).effect() == Effect::Allow {
            prop_assert!(words.contains(&"get"), "{:?}", words);
            for word in &words {
                prop_assert!(!word.to_lowercase().contains("secret"), "{:?}", words);
            }
            let before_end = words.iter().take_while(|word| **word != "--");
            for word in before_end.filter(|word| word.starts_with('-') && word.len() > 1) {
                let said = ["-n", "--namespace", "--context", "-A", "-o"].iter().any(|flag| word.starts_with(flag));
                prop_assert!(said || words.iter().any(|before| matches!(*before, "-n" | "--namespace" | "--context" | "-An")), "{:?}", words);
            }
        }
    }
}

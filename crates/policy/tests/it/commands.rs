//! Commands: the tricks that make one command out of another, and what grammars cover.

use bartizan_model::{Deed, Effect};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source};
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

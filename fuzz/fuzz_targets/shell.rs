//! Command lines: whatever the text, it is decided, and a command behind text that is allowed is never overlooked.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use bartizan_model::{Deed, Effect};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source};
use libfuzzer_sys::fuzz_target;

/// Lets a few programs start; `v` is none of them.
const POLICY: &str = "{ bartizan: 1, files: { default: allow }, exec: { default: deny, allow: [a, b, id, \
    { program: kubectl, verb: [get, top pods], global: ['-n=*'], flags: ['-n|--namespace=*', '-o[=*]', -A], args: '*', deny_args: '*secret*' }] } }";

fn set() -> &'static PolicySet {
    static SET: OnceLock<PolicySet> = OnceLock::new();
    SET.get_or_init(|| {
        let policy = Policy::load(&Source::new("fuzz.yaml", POLICY), &BuiltinsOnly).expect("a fixed policy");
        let context = Context::new(Path::new("/home/a"), Path::new("/home/a/project")).expect("a fixed context");
        PolicySet::new(policy, None, context).expect("a fixed policy")
    })
}

fn effect(program: &str, arguments: &[&str]) -> Effect {
    let args = std::iter::once(&program).chain(arguments).map(|argument| (*argument).to_owned()).collect();
    set().decide(&Deed::ExecRun { program: program.into(), args, cwd: None }).effect()
}

fuzz_target!(|text: &str| {
    for shell in ["sh", "bash"] {
        if effect(shell, &["-c", text]) == Effect::Allow {
            let longer = format!("{text}\nv");
            assert_ne!(effect(shell, &["-c", &longer]), Effect::Allow, "{shell}: {longer:?}");
        }
    }
    let words: Vec<&str> = text.split(' ').collect();
    for program in ["kubectl", "env", "xargs", "find", "sh", "timeout", "busybox"] {
        effect(program, &words);
    }
});

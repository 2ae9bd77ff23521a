//! Rego modules: any text is read or refused, and what is read decides in bounded time.
#![no_main]

use std::path::Path;

use bartizan_model::Deed;
use bartizan_policy::{Context, Loader, Policy, PolicySet, Source};
use libfuzzer_sys::fuzz_target;

struct Module<'a>(&'a [u8]);

impl Loader for Module<'_> {
    fn file(&self, reference: &str, _: &str) -> Result<Source, String> {
        Ok(Source::new(reference, [b"package bartizan\n", self.0].concat()))
    }
}

const POLICY: &str = "bartizan: 1\nexec: { default: allow }\nrego: [./m.rego]\n";

fuzz_target!(init: {
    // A panic of the engine is caught and refused; without this the hunt would end at it. What isn't caught still ends it.
    std::panic::set_hook(Box::new(|_| {}));
}, |bytes: &[u8]| {
    let Ok(policy) = Policy::load(&Source::new("fuzz.yaml", POLICY), &Module(bytes)) else { return };
    let context = Context::new(Path::new("/home/a"), Path::new("/home/a/project")).expect("a fixed context");
    let Ok(set) = PolicySet::new(policy, None, context) else { return };
    let deed = Deed::ExecRun { program: "/usr/bin/git".into(), args: vec!["git".into(), "push".into()], cwd: None };
    // Whatever a module says, the same action gets the same answer, unless time ran out.
    let (first, second) = (set.verdict(&deed), set.verdict(&deed));
    let timed = |reason: &str| reason.contains("time");
    assert!(first.effect == second.effect || timed(&first.reason) || timed(&second.reason));
});

//! Policies: any bytes are read or refused, and what is read compiles and decides.
#![no_main]

use std::path::Path;

use bartizan_api::check::CheckRequest;
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source};
use libfuzzer_sys::fuzz_target;

const DEEDS: &[&str] = &[
    r#"{"kind":"file.read","path":"/home/a/project/x"}"#,
    r#"{"kind":"net.connect","host":"example.com","port":443}"#,
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(policy) = Policy::load(&Source::new("fuzz.yaml", bytes), &BuiltinsOnly) else { return };
    let context = Context::new(Path::new("/home/a"), Path::new("/home/a/project")).expect("a fixed context");
    let Ok(set) = PolicySet::new(policy, None, context) else { return };
    for deed in DEEDS {
        if let Ok(request) = CheckRequest::parse(deed.as_bytes()) {
            let _ = set.verdict(&request.deed);
        }
    }
});

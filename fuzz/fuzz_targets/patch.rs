//! Patches: any bytes are judged or not understood, and no patch passes that writes where policy denies.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use bartizan_model::{Content, Deed};
use bartizan_policy::{BuiltinsOnly, Context, Policy, PolicySet, Source};
use libfuzzer_sys::fuzz_target;

static SET: LazyLock<PolicySet> = LazyLock::new(|| {
    let policy = "bartizan: 1\nfiles: { write: [./**], deny: ['**/.env'] }\npatches: { forbid: ['rm -rf'] }\n";
    let policy = Policy::load(&Source::new("fuzz", policy), &BuiltinsOnly).expect("a fixed policy");
    let context = Context::new(Path::new("/home/a"), Path::new("/home/a/w")).expect("a fixed context");
    PolicySet::new(policy, None, context).expect("a fixed policy")
});

fuzz_target!(|bytes: &[u8]| {
    let deed = Deed::FilePatch { path: "/home/a/w".into(), patch: Content::Bytes(bytes.to_vec()) };
    let _ = SET.verdict(&deed);
});

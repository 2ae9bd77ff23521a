//! Other programs' files: any bytes are imported or refused, and what is imported is read like any policy.
#![no_main]

use bartizan_import::aegisclaw::{self, AuditLog, Manifest};
use bartizan_import::clawdstrike::{self, Event, Loader};
use bartizan_import::{Mode, Report};
use bartizan_policy::{BuiltinsOnly, Policy, Source};
use libfuzzer_sys::fuzz_target;

/// Whatever is extended isn't there.
struct Nothing;

impl Loader for Nothing {
    fn load(&self, _: &str, _: &str) -> Result<(String, Vec<u8>), String> {
        Err("there are no files here".into())
    }
}

fuzz_target!(|bytes: &[u8]| {
    // Expressions and globs are taken over as they are, so the policy itself may refuse one.
    if let Ok(imported) = clawdstrike::import("fuzz.yaml", bytes, Mode::Compat, &Nothing) {
        let _ = Policy::load(&Source::new("imported", imported.policy), &BuiltinsOnly);
    }
    if let Ok(imported) = clawdstrike::import("fuzz.yaml", bytes, Mode::Hardened, &Nothing) {
        let _ = Policy::load(&Source::new("imported", imported.policy), &BuiltinsOnly);
    }
    let _ = Event::parse(bytes, "/workspace");
    let _ = Manifest::parse(bytes);
    if let Ok(imported) = aegisclaw::import_config(bytes) {
        let _ = Policy::load(&Source::new("imported", imported.policy), &BuiltinsOnly);
    }
    if let Ok(imported) = aegisclaw::import_auth(bytes) {
        assert!(imported.policy.is_empty());
    }
    let _ = aegisclaw::adapt(bytes, &mut Report::default());
    let mut log = AuditLog::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        if log.take(line).is_err() {
            break;
        }
    }
});

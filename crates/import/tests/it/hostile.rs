//! Hostile files: too large, too deep, not text, made to grow.

use bartizan_import::aegisclaw::{AuditLog, Kind, Manifest, adapt, import_auth, import_config};
use bartizan_import::clawdstrike::{Event, Loader, import};
use bartizan_import::{FILE_BYTES_MAX, Mode, Report};
use proptest::prelude::*;

/// Whatever is extended, it is the same file again.
struct Same;

impl Loader for Same {
    fn load(&self, reference: &str, _: &str) -> Result<(String, Vec<u8>), String> {
        Ok((reference.to_owned(), format!("version: 1.1.0\nextends: {reference}x\n").into_bytes()))
    }
}

fn every_reader(bytes: &[u8]) {
    for mode in [Mode::Compat, Mode::Hardened] {
        let _ = import("p", bytes, mode, &Same);
    }
    let _ = Event::parse(bytes, "/w");
    let _ = Manifest::parse(bytes);
    let _ = import_config(bytes);
    let _ = import_auth(bytes);
    let _ = adapt(bytes, &mut Report::default());
    let _ = AuditLog::default().take(bytes);
    let _ = Kind::of("x", bytes);
}

#[test]
fn large_deep_and_growing_texts_are_refused() {
    let refused = |text: &str| import("p", text.as_bytes(), Mode::Compat, &Same).unwrap_err().to_string();
    assert!(refused(&"#".repeat(FILE_BYTES_MAX + 1)).contains("at most"));
    assert!(refused("version: 1.1.0\nextends: a\n").contains("deep"));
    refused(&format!("version: {}", "[".repeat(10_000)));
    let bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nversion: 1.1.0\n";
    refused(bomb);
    assert!(import("p", &[0xff, 0xfe], Mode::Compat, &Same).is_err());
    for text in ["", "---\n---\n", "version: 1.1.0\nversion: 1.1.0\n", "\0", "version: !!binary x\n"] {
        every_reader(text.as_bytes());
    }
}

#[test]
fn what_is_imported_cannot_write_its_own_rules() {
    // A name that would end its line, its text or its comment, and go on as a rule.
    let evil = "x\\\"\\n  default: allow # \\u2028y";
    let text = format!(
        "version: 1.1.0\nname: \"{evil}\"\ndescription: \"{evil}\"\nguards: {{ mcp_tool: {{ block: [\"{evil}\"] }} }}\n"
    );
    for mode in [Mode::Compat, Mode::Hardened] {
        let imported = import("p", text.as_bytes(), mode, &Same).unwrap();
        let loaded = bartizan_policy::parse(imported.policy.as_bytes()).unwrap();
        assert_eq!(loaded.name.unwrap().value, "x\"\n  default: allow # \u{2028}y");
    }
    let manifest = format!("name: \"{evil}\"\nscopes: []\n");
    let imported = bartizan_import::aegisclaw::import_manifest(manifest.as_bytes(), &[]).unwrap();
    assert!(bartizan_policy::parse(imported.policy.as_bytes()).unwrap().exec.is_none());
}

proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        every_reader(&bytes);
    }

    #[test]
    fn nothing_panics_on_likely_text(text in "(name|scopes|guards|version|package aegisclaw.policy|\\{|\\[|: |\n|\"|`|allow|if|input\\.scope|1\\.1\\.0){0,40}") {
        every_reader(text.as_bytes());
    }
}

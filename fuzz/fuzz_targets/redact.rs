//! Redaction and the terminal filter: any bytes, and nothing that could change what a reader sees is left.
#![no_main]

use std::sync::LazyLock;

use bartizan_scan::{Redactor, printable};
use libfuzzer_sys::fuzz_target;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(Redactor::standard);

fuzz_target!(|bytes: &[u8]| {
    let _ = REDACTOR.redact_bytes(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        for found in REDACTOR.find(text) {
            assert!(text.get(found.span.clone()).is_some(), "a match lies in the text");
        }
        let shown = printable(text);
        assert!(!shown.contains('\u{1b}'), "an escape reached the terminal");
    }
});

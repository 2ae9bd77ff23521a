//! Lines of a ledger that anybody may have written.
#![no_main]

use bartizan_ledger::parse_line;
use bartizan_model::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(entry) = parse_line(bytes) else { return };
    if std::str::from_utf8(bytes).is_ok() {
        assert!(serde_json::from_slice::<serde_json::Value>(bytes).is_ok(), "an entry is one JSON value");
    }
    let _ = serde_json::from_slice::<Record>(entry.record);
});

//! Actions as JSON lines: what is understood has one canonical form, which reads back as what it was.
#![no_main]

use bartizan_api::check::CheckRequest;
use bartizan_model::{Deed, canonical};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = CheckRequest::parse(bytes) else { return };
    let canonical_bytes = canonical::bytes(&request.deed).expect("what was parsed can be written");
    let again: Deed = serde_json::from_slice(&canonical_bytes).expect("what was written can be parsed");
    // Not the value itself: RFC 8785 writes `-2.0` as `-2`.
    assert_eq!(again.target(), request.deed.target());
    assert_eq!(canonical::bytes(&again).expect("written once already"), canonical_bytes);
});

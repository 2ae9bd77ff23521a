//! Exceptions: any bytes are read or refused, and an exception never holds for another principal or without a clock.
#![no_main]

use bartizan_model::Principal;
use bartizan_policy::Exception;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(exception) = serde_json::from_slice::<Exception>(bytes) else { return };
    let other = Principal::local_human(&format!("{}x", exception.principal));
    assert!(!exception.holds(Some(&other), Some(exception.at)));
    assert!(!exception.holds(None, Some(exception.at)) && !exception.holds(Some(&other), None));
    let _ = exception.describe();
});

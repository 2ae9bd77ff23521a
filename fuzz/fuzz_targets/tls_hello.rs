//! TLS hellos: a verdict on the first bytes is never changed by the bytes after them.
#![no_main]

use bartizan_net::hello::{Hello, inspect};
use libfuzzer_sys::fuzz_target;

/// Prefixes tried of one input.
const CUTS_MAX: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let whole = inspect(bytes);
    for cut in (0..bytes.len()).step_by(bytes.len().div_ceil(CUTS_MAX).max(1)) {
        let part = inspect(&bytes[..cut]);
        assert!(part == Hello::Incomplete || part == whole, "{part:?} became {whole:?} after {cut} bytes");
    }
});

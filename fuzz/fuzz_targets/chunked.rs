//! Chunked bodies: cut anywhere, they come out the same and end at the same byte.
#![no_main]

use bartizan_net::chunked::Chunked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut whole, mut whole_out) = (Chunked::default(), Vec::new());
    let taken = whole.pass(bytes, &mut whole_out);
    let (mut cut, mut cut_out) = (Chunked::default(), Vec::new());
    let mut cut_taken = 0;
    for byte in bytes {
        match cut.pass(std::slice::from_ref(byte), &mut cut_out) {
            Ok(count) => cut_taken += count,
            Err(_) => {
                assert!(taken.is_err(), "refused only when cut");
                return;
            }
        }
    }
    assert_eq!(taken.ok(), Some(cut_taken));
    assert_eq!(whole_out, cut_out);
    assert_eq!(whole.is_done(), cut.is_done());
});

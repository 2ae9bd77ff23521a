//! Answer heads: what is forwarded is read by the program exactly as it was read here.
#![no_main]

use bartizan_net::answer::{self, AnswerReading};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for method in ["GET", "HEAD"] {
        let AnswerReading::Complete(answer, end) = answer::read(bytes, method) else { continue };
        assert!(end <= bytes.len());
        // Written anew it grows by spaces and carriage returns; near the bound that could be too much.
        if end > 16 * 1024 {
            continue;
        }
        let forwarded = answer.forward(false);
        let AnswerReading::Complete(again, length) = answer::read(&forwarded, method) else {
            panic!("what was forwarded is no head: {:?}", String::from_utf8_lossy(&forwarded));
        };
        assert_eq!(length, forwarded.len(), "one head and nothing after it");
        assert_eq!((again.status, again.body), (answer.status, answer.body), "the body ends where it ended");
    }
});

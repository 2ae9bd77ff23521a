//! DNS messages: every question that is read gets an answer to the same question, of a bounded size.
#![no_main]

use bartizan_net::dns_message::{self, Answer, Received};
use libfuzzer_sys::fuzz_target;

/// One name of 255 bytes, twice uncompressed at worst, and the fixed parts.
const ANSWER_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    match dns_message::read(bytes) {
        Received::Question(question) => {
            for answer in [
                Answer::Address([10, 0, 0, 1].into()),
                Answer::Name("a.test".to_owned()),
                Answer::NoData,
                Answer::NoSuchName,
                Answer::Refused,
                Answer::Failed,
            ] {
                let Some(message) = question.answer(&answer) else { continue };
                assert_eq!(message.get(..2), bytes.get(..2), "the id is the question's");
                assert!(message.get(2).is_some_and(|flags| flags & 0x80 != 0), "it is a response");
                assert!(message.len() <= ANSWER_BYTES_MAX, "{} bytes", message.len());
            }
        }
        Received::Rejected(message) => {
            assert_eq!(message.get(..2), bytes.get(..2), "the id is the question's");
            assert!(message.len() <= ANSWER_BYTES_MAX, "{} bytes", message.len());
        }
        _ => {}
    }
});

//! Request heads: what is forwarded is read by the next hop exactly as it was read here.
#![no_main]

use bartizan_net::{
    head::{self, Afterwards, Head, Reading, Target},
    host::Host,
    path,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Host::parse_with_optional_port(text);
        if let Some(form) = path::canonical(text) {
            assert_eq!(path::canonical(&form), Some(form), "the one form of a path is a fixed point");
        }
    }
    let Reading::Complete(head, end) = head::read(bytes) else { return };
    assert!(end <= bytes.len());
    if let Target::Origin { path, query } | Target::Absolute { path, query, .. } = &head.target
        && let Some(form) = path::canonical(path)
    {
        for afterwards in [Afterwards::Close, Afterwards::Keep, Afterwards::Upgrade] {
            check(&head, &head.forward(&form, query.as_deref(), afterwards));
        }
    }
});

fn check(head: &Head, forwarded: &[u8]) {
    let Reading::Complete(again, end) = head::read(forwarded) else {
        panic!("what was forwarded is no head: {:?}", String::from_utf8_lossy(forwarded));
    };
    assert_eq!(end, forwarded.len(), "one head and nothing after it");
    assert_eq!(again.method, head.method);
    assert_eq!(again.body, head.body, "the body ends where it ended");
    if matches!(head.target, Target::Origin { .. }) {
        assert_eq!((&again.host, again.port), (&head.host, head.port));
    }
}

//! The scanner: any bytes, through every decoder; however they are cut, the same is seen, and it lies in the content.
#![no_main]

use std::sync::LazyLock;

use bartizan_scan::Scanner;
use libfuzzer_sys::fuzz_target;

static SCANNER: LazyLock<Scanner> = LazyLock::new(Scanner::standard);

fuzz_target!(|bytes: &[u8]| {
    // The first byte says how the rest is cut, and how often it is repeated.
    let [first, content @ ..] = bytes else { return };
    let content = content.repeat(if first & 0x80 == 0 { 1 } else { 16 });
    let whole = SCANNER.scan(&content);
    for sighting in &whole {
        assert!(sighting.span.start < sighting.span.end, "a sighting has bytes");
        assert!(sighting.span.end <= content.len(), "a sighting lies in the content");
    }
    let mut stream = SCANNER.stream();
    let mut pieces = Vec::new();
    for piece in content.chunks(usize::from(first & 0x7f) * 16 + 1) {
        pieces.extend(stream.push(piece));
    }
    pieces.extend(stream.finish());
    assert_eq!(pieces, whole, "cutting changed what is seen");
});

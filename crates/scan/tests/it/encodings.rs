//! Secrets that somebody wrote in another way: each encoding, alone and nested, in a carrier, with exact places.

use std::io::Write;

use bartizan_scan::{Class, Redactor, Scanner, Sighting};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

fn token() -> String {
    format!("ghp_{}", "a1B2".repeat(9))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn each(text: &str, form: impl Fn(char) -> String) -> String {
    text.chars().map(form).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn wrapped(text: &str, width: usize, between: &str) -> String {
    let lines: Vec<_> = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join(between)
}

fn secrets(bytes: &[u8]) -> Vec<Sighting> {
    Scanner::standard().scan(bytes).into_iter().filter(|sighting| sighting.class == Class::Secret).collect()
}

/// The token must be seen in the encoded text and nowhere beyond it, and redaction must leave nothing to decode.
#[track_caller]
fn check(name: &str, encoded: &[u8]) {
    for (before, after) in [("", ""), ("config: ", "\nother: 1\n"), ("{\"data\":\"", "\"}"), ("x = '", "';")] {
        let text = [before.as_bytes(), encoded, after.as_bytes()].concat();
        let found = secrets(&text);
        let found = found.iter().find(|sighting| sighting.kind == "github-token");
        let found = found.unwrap_or_else(|| panic!("{name}: not seen in {:?}", String::from_utf8_lossy(&text)));
        let place = before.len()..before.len() + encoded.len();
        assert!(place.start <= found.span.start && found.span.end <= place.end, "{name}: {found:?} not in {place:?}");
        let clean = Redactor::standard().redact_bytes(&text).into_owned();
        assert!(secrets(&clean).is_empty(), "{name}: left {:?}", String::from_utf8_lossy(&clean));
    }
}

#[test]
fn sees_through_each_encoding() {
    let plain = format!("the token is {}, keep it", token());
    let token = token();
    for (what, text) in [("alone", token.as_str()), ("in a sentence", plain.as_str())] {
        let bytes = text.as_bytes();
        let check = |name: &str, encoded: &[u8]| check(&format!("{name}, {what}"), encoded);
        check("plain", bytes);
        check("base64", STANDARD.encode(bytes).as_bytes());
        check("base64 without padding", STANDARD_NO_PAD.encode(bytes).as_bytes());
        check("base64url", URL_SAFE.encode(bytes).as_bytes());
        check("base64url without padding", URL_SAFE_NO_PAD.encode(bytes).as_bytes());
        check("base64 wrapped", wrapped(&STANDARD.encode(bytes), 20, "\n").as_bytes());
        check("base64 wrapped and indented", wrapped(&STANDARD.encode(bytes), 32, "\r\n    ").as_bytes());
        check("hex", hex(bytes).as_bytes());
        check("hex in capitals", hex(bytes).to_uppercase().as_bytes());
        check("hex with prefix", format!("0x{}", hex(bytes)).as_bytes());
        check("percent", each(text, |letter| format!("%{:02X}", letter as u32)).as_bytes());
        check("percent twice", each(text, |letter| format!("%25{:02X}", letter as u32)).as_bytes());
        check("\\u", each(text, |letter| format!("\\u{:04x}", letter as u32)).as_bytes());
        check("\\u{}", each(text, |letter| format!("\\u{{{:x}}}", letter as u32)).as_bytes());
        check("\\x", each(text, |letter| format!("\\x{:02x}", letter as u32)).as_bytes());
        check("octal", each(text, |letter| format!("\\{:03o}", letter as u32)).as_bytes());
        check("decimal entities", each(text, |letter| format!("&#{};", letter as u32)).as_bytes());
        check("hex entities", each(text, |letter| format!("&#x{:X};", letter as u32)).as_bytes());
        check("some entities", text.replace('_', "&lowbar;").as_bytes());
        check("full-width", each(text, |letter| full_width(letter).to_string()).as_bytes());
        check("zero-width", each(text, |letter| format!("{letter}\u{200b}")).as_bytes());
        check("soft hyphens", each(text, |letter| format!("{letter}\u{ad}")).as_bytes());
        check("look-alikes", text.replace('p', "р").replace('a', "а").as_bytes());
        check("tags", each(text, |letter| char::from_u32(0xE0000 + letter as u32).unwrap().to_string()).as_bytes());
        check("gzip", &gzip(bytes));
        check("UTF-16", &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        check("UTF-16 big-endian", &text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
        check("lines that go on", text.replace("_a", "_\\\na").as_bytes());
    }
}

fn full_width(letter: char) -> char {
    match letter {
        '!'..='~' => char::from_u32(letter as u32 - 0x21 + 0xff01).unwrap(),
        letter => letter,
    }
}

#[test]
fn sees_through_nested_encodings() {
    let text = format!("export GITHUB_TOKEN={}\n", token());
    let bytes = text.as_bytes();
    check("base64 of base64", STANDARD.encode(STANDARD.encode(bytes)).as_bytes());
    check("base64 of gzip", STANDARD.encode(gzip(bytes)).as_bytes());
    check("base64 of zlib", URL_SAFE_NO_PAD.encode(zlib(bytes)).as_bytes());
    check("hex of base64", hex(STANDARD.encode(bytes).as_bytes()).as_bytes());
    check("base64 of hex", STANDARD.encode(hex(bytes)).as_bytes());
    check("gzip of gzip", &gzip(&gzip(bytes)));
    check(
        "base64 in a percent-encoded query",
        format!("q%3D{}", STANDARD.encode(bytes).replace('=', "%3D")).as_bytes(),
    );
    check(
        "base64 of escaped JSON",
        STANDARD.encode(each(&text, |letter| format!("\\u{:04x}", letter as u32))).as_bytes(),
    );
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    check("base64 of UTF-16, as PowerShell takes it", STANDARD.encode(wide).as_bytes());
    check("base64 of gzip of base64 of hex", STANDARD.encode(gzip(STANDARD.encode(hex(bytes)).as_bytes())).as_bytes());
    check("base64 behind letters glued to it", format!("ab{}", STANDARD.encode(bytes)).as_bytes());
    check("base64 in a path", format!("api/v1/x-y_z/{}", STANDARD_NO_PAD.encode(bytes)).as_bytes());
    check(
        "base64 with invisible letters",
        each(&STANDARD.encode(bytes), |letter| format!("{letter}\u{2060}")).as_bytes(),
    );
}

/// The span of a find inside of base64 is the groups of four that cover it, no more.
#[test]
fn gives_the_exact_groups() {
    let before = "x".repeat(30);
    let encoded = STANDARD.encode(format!("{before} {} and more text", token()));
    let found = secrets(encoded.as_bytes());
    // The token is at 31..71 of the decoded text.
    let spans: Vec<_> = found.into_iter().map(|sighting| (sighting.span.start, sighting.span.end)).collect();
    assert_eq!(spans, [(31 / 3 * 4, 70 / 3 * 4 + 4)]);
}

/// What only looks encoded stays, and costs nothing.
#[test]
fn leaves_what_is_not_encoded() {
    for text in [
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "integrity sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
        "fn someVeryLongCamelCaseIdentifierInSomeProgram() {}",
        "/usr/local/lib/python3.11/site-packages/Some_Package/Module.py",
        "100% of %d and %s; a&b; x=3D; C:\\new\\users\\table",
        "日本語のテキスト, Привет мир, naïve café",
    ] {
        assert_eq!(Scanner::standard().scan(text.as_bytes()), [], "{text}");
        assert!(matches!(Redactor::standard().redact(text), std::borrow::Cow::Borrowed(_)), "{text}");
    }
}

/// A few KiB that want to become gigabytes: looked at within bounds, and said so.
#[test]
fn bombs_are_bounded() {
    let mut bomb = vec![b'a'; 64 << 20];
    for _ in 0..3 {
        bomb = gzip(&bomb);
    }
    let nested = STANDARD.encode(&bomb);
    let flat = gzip(&vec![b' '; 256 << 20]);
    for bytes in [nested.as_bytes(), &flat] {
        let started = std::time::Instant::now();
        let seen = Scanner::standard().scan(bytes);
        assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
        assert!(seen.iter().all(|sighting| sighting.class == Class::Hidden), "{seen:?}");
    }
    assert!(Scanner::standard().scan(&flat).iter().any(|sighting| sighting.kind == "unread-encoding"));
}

//! Reads content of any size through the scanner, holding little of it.

use std::io::{self, Read};

use bartizan_scan::Scanner;

use super::finding::{Finding, Place, Window};

/// Content up to this size is looked at as a whole.
const WHOLE_BYTES_MAX: usize = 1 << 20;
/// Read at once.
const PIECE_BYTES: usize = 256 << 10;
/// What is kept of a stream: a find may begin as far back as the scanner's longest segment.
const KEPT_BYTES: usize = 3 << 20;
/// A zero among the first bytes means that it is no text.
const PROBE_BYTES: usize = 8 << 10;

/// What became of some content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was scanned; so many bytes.
    Scanned(u64),
    /// It is no text and was passed over.
    Binary,
}

/// Scans everything a reader gives, and hands each finding on.
pub fn scan(
    scanner: &Scanner,
    mut reader: impl Read,
    path: &str,
    with_binary: bool,
    found: &mut dyn FnMut(Finding),
) -> io::Result<Outcome> {
    let mut held = Vec::with_capacity(PIECE_BYTES);
    read_some(&mut reader, &mut held, WHOLE_BYTES_MAX)?;
    if !with_binary && is_binary(&held) {
        return Ok(Outcome::Binary);
    }
    let mut place = Place::default();
    if held.len() < WHOLE_BYTES_MAX {
        let window = Window { bytes: &held, offset: 0 };
        scanner.scan(&held).iter().filter_map(|seen| window.finding(path, seen, &mut place)).for_each(&mut *found);
        return Ok(Outcome::Scanned(held.len() as u64));
    }
    let mut stream = scanner.stream();
    let mut offset = 0;
    let mut fresh = 0;
    loop {
        let seen = stream.push(held.get(fresh..).unwrap_or_default());
        let window = Window { bytes: &held, offset };
        seen.iter().filter_map(|seen| window.finding(path, seen, &mut place)).for_each(&mut *found);
        if held.len() > 2 * KEPT_BYTES {
            let surplus = held.len() - KEPT_BYTES;
            place.pass_to(&window, offset + surplus);
            held.drain(..surplus);
            offset += surplus;
        }
        fresh = held.len();
        if read_some(&mut reader, &mut held, PIECE_BYTES)? == 0 {
            break;
        }
    }
    let window = Window { bytes: &held, offset };
    stream.finish().iter().filter_map(|seen| window.finding(path, seen, &mut place)).for_each(&mut *found);
    Ok(Outcome::Scanned((offset + held.len()) as u64))
}

/// Appends up to so many bytes; fewer only at the end.
fn read_some(reader: &mut impl Read, held: &mut Vec<u8>, bytes: usize) -> io::Result<usize> {
    reader.by_ref().take(bytes as u64).read_to_end(held)
}

/// Text has no zeros, except in UTF-16 and UTF-32, which say so in their first bytes.
fn is_binary(start: &[u8]) -> bool {
    let probe = start.get(..PROBE_BYTES).unwrap_or(start);
    let says_text = probe.starts_with(&[0xFF, 0xFE]) || probe.starts_with(&[0xFE, 0xFF]);
    !says_text && memchr::memchr(0, probe).is_some()
}

#[cfg(test)]
mod tests {
    use bartizan_scan::Scanner;

    use super::*;

    fn findings(text: &[u8]) -> Vec<Finding> {
        let mut findings = Vec::new();
        scan(&Scanner::standard(), text, "x", false, &mut |finding| findings.push(finding)).unwrap();
        findings
    }

    #[test]
    fn places_are_right_in_content_of_any_size() {
        let token = format!("ghp_{}", "aB3dE5fG7hJ9".repeat(3));
        for lines in [0, 7, 200_000] {
            let text = format!("{}é token {token}\n", "some line of text\n".repeat(lines));
            let found: Vec<_> = findings(text.as_bytes()).iter().map(|one| (one.line, one.column)).collect();
            assert_eq!(found, [(lines + 1, 9)]);
        }
    }

    #[test]
    fn one_line_of_many_bytes_has_columns_too() {
        let token = format!("ghp_{}", "aB3dE5fG7hJ9".repeat(3));
        let text = format!("{} {token} {}", "lorem ipsum ".repeat(700_000), "dolor ".repeat(100_000));
        let findings = findings(text.as_bytes());
        let tokens = findings.iter().filter(|one| one.kind == "github-token");
        assert_eq!(tokens.map(|one| (one.line, one.column)).collect::<Vec<_>>(), [(1, 12 * 700_000 + 2)]);
    }

    #[test]
    fn binary_content_is_passed_over() {
        let mut none = |_: Finding| unreachable!();
        let scanner = Scanner::standard();
        assert_eq!(scan(&scanner, &b"\x7fELF\0\0"[..], "x", false, &mut none).unwrap(), Outcome::Binary);
        assert_eq!(scan(&scanner, &b"plain"[..], "x", false, &mut none).unwrap(), Outcome::Scanned(5));
    }
}

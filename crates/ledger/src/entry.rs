//! One entry is one line of canonical JSON (RFC 8785): `{"at":…,"prev":…,"record":…,"seq":…}`.
//!
//! The frame is so small that it is composed and read byte by byte: the record is canonicalised once, by the
//! caller that makes it, and never parsed again just to be chained.

use std::fmt::Write as _;

use bartizan_crypto::Hash;
use bartizan_model::Digest;
use jiff::Timestamp;
use serde::de::IgnoredAny;

/// Largest record in canonical bytes: twice the largest action, for its verdict and approval.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Largest line without its newline: the largest record and its frame.
pub const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX + 256;
/// Sequence numbers stay exact in every JSON reader.
pub const SEQ_MAX: u64 = (1 << 53) - 1;

const AT: &[u8] = br#"{"at":""#;
const PREV: &[u8] = br#"","prev":"sha256:"#;
const RECORD: &[u8] = br#"","record":"#;
const SEQ: &[u8] = br#","seq":"#;

/// Why a line is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum LineError {
    #[error("the line is longer than an entry can be")]
    TooLong,
    #[error("the line is not an entry of the form `{{\"at\":…,\"prev\":…,\"record\":…,\"seq\":…}}`")]
    Frame,
    #[error("the entry's time can't be read")]
    Time,
    #[error("the entry's sequence number can't be read")]
    Seq,
    #[error("the entry's record is not a JSON object")]
    Record,
}

/// An entry as it stands in its line.
#[derive(Debug, Clone, Copy)]
pub struct EntryRef<'a> {
    /// When it was recorded.
    pub at: Timestamp,
    /// Hash of the entry before it.
    pub prev: Hash,
    /// The record's JSON.
    pub record: &'a [u8],
    /// Its sequence number.
    pub seq: u64,
}

/// Reads a line (without its newline) that anybody may have written. Never panics, allocates nothing.
///
/// # Errors
/// It is no entry.
pub fn parse_line(line: &[u8]) -> Result<EntryRef<'_>, LineError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LineError::TooLong);
    }
    let rest = line.strip_prefix(AT).ok_or(LineError::Frame)?;
    let quote = memchr::memchr(b'"', rest.get(..40).unwrap_or(rest)).ok_or(LineError::Frame)?;
    let (at, rest) = rest.split_at_checked(quote).ok_or(LineError::Frame)?;
    let rest = rest.strip_prefix(PREV).ok_or(LineError::Frame)?;
    let (prev, rest) = rest.split_first_chunk::<64>().ok_or(LineError::Frame)?;
    let rest = rest.strip_prefix(RECORD).and_then(|rest| rest.strip_suffix(b"}")).ok_or(LineError::Frame)?;
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, seq) = rest.split_at_checked(rest.len() - digits).ok_or(LineError::Frame)?;
    let record = rest.strip_suffix(SEQ).ok_or(LineError::Frame)?;
    let at = std::str::from_utf8(at).ok().and_then(|at| at.parse().ok()).ok_or(LineError::Time)?;
    let entry = EntryRef { at, prev: unhex(prev).ok_or(LineError::Frame)?, record, seq: parse_seq(seq)? };
    // One JSON object and nothing after it, or the frame would not be what it seems.
    let is_json = |record: &str| serde_json::from_str::<IgnoredAny>(record).is_ok();
    if record.first() != Some(&b'{') || !std::str::from_utf8(record).is_ok_and(is_json) {
        return Err(LineError::Record);
    }
    Ok(entry)
}

fn parse_seq(digits: &[u8]) -> Result<u64, LineError> {
    let canonical = matches!(digits, [b'0'] | [b'1'..=b'9', ..]);
    let seq = std::str::from_utf8(digits).ok().filter(|_| canonical).and_then(|digits| digits.parse().ok());
    seq.filter(|seq| *seq <= SEQ_MAX).ok_or(LineError::Seq)
}

fn unhex(digits: &[u8; 64]) -> Option<Hash> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut hash = [0; 32];
    let (pairs, _) = digits.as_chunks::<2>();
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(hash)
}

/// Appends the entry's line, newline included, and gives its hash.
pub(crate) fn compose_line(into: &mut Vec<u8>, at: Timestamp, prev: &Hash, record: &[u8], seq: u64) -> Hash {
    let start = into.len();
    let mut frame = String::with_capacity(64 + AT.len() + PREV.len() + 40);
    let _ = write!(frame, "{at}");
    into.extend_from_slice(AT);
    into.extend_from_slice(frame.as_bytes());
    into.extend_from_slice(PREV);
    prev.iter().for_each(|byte| into.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]));
    into.extend_from_slice(RECORD);
    into.extend_from_slice(record);
    into.extend_from_slice(SEQ);
    frame.clear();
    let _ = write!(frame, "{seq}");
    into.extend_from_slice(frame.as_bytes());
    into.push(b'}');
    let hash = entry_hash(into.get(start..).unwrap_or_default());
    into.push(b'\n');
    hash
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// Hash of an entry: SHA-256 over its line without the newline.
#[must_use]
pub fn entry_hash(line: &[u8]) -> Hash {
    *Digest::of_bytes(line).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{Record, canonical};
    use proptest::prelude::*;

    fn line(seq: u64) -> Vec<u8> {
        let record =
            Record::Noted { run: None, topic: "t".into(), message: "é,\"seq\":1}".into(), figures: [].into() };
        let mut bytes = Vec::new();
        let record = canonical::bytes(&record).unwrap();
        compose_line(&mut bytes, "2026-01-02T03:04:05.000006Z".parse().unwrap(), &[0xab; 32], &record, seq);
        assert_eq!(bytes.pop(), Some(b'\n'));
        bytes
    }

    #[test]
    fn what_is_composed_is_canonical_and_reads_back() {
        for seq in [0, 7, SEQ_MAX] {
            let line = line(seq);
            let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(canonical::bytes(&value).unwrap(), line);
            let entry = parse_line(&line).unwrap();
            assert_eq!((entry.seq, entry.prev), (seq, [0xab; 32]));
            assert!(serde_json::from_slice::<Record>(entry.record).is_ok());
        }
    }

    #[test]
    fn refuses_what_only_looks_like_an_entry() {
        let good = String::from_utf8(line(5)).unwrap();
        for bad in [
            good.replace("\"seq\":5}", "\"seq\":05}"),
            good.replace("\"seq\":5}", "\"seq\":-5}"),
            good.replace("\"seq\":5}", "\"seq\":9007199254740992}"),
            good.replace("\"seq\":5}", "\"seq\":}"),
            good.replace("\"seq\":5}", "\"x\":1,\"seq\":5}"),
            good.replace("sha256:ab", "sha256:AB"),
            good.replace("sha256:ab", "sha256:zb"),
            good.replace("2026-01", "2026-13"),
            good.replace(":{", ":{,"),
            format!("{good} "),
            format!(" {good}"),
            String::new(),
        ] {
            assert!(parse_line(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(parse_line(&vec![b'{'; LINE_BYTES_MAX + 1]).unwrap_err(), LineError::TooLong);
    }

    proptest! {
        #[test]
        fn survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_line(&bytes);
        }

        #[test]
        fn survives_any_change_of_one_byte(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut line = line(123);
            let at = at.index(line.len());
            line[at] = to;
            let _ = parse_line(&line);
        }
    }
}

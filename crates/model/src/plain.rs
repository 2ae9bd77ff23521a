//! Canonical JSON, quickly. The general canonicaliser costs more than everything else in an append together; records
//! hold almost only short ASCII keys, strings and small integers, and for these sorting the members of what `serde_json`
//! writes is enough. Whatever is not so plain goes the general way.

use std::ops::Range;

use serde::Serialize;

/// Nesting beyond this goes the general way.
const DEPTH_MAX: usize = 64;
/// Integers of so many digits are the same in every JSON reader, written as they are.
const DIGITS_MAX: usize = 15;

/// Canonical bytes, the same as the general canonicaliser's; `None` for a value that isn't plain.
pub(crate) fn bytes<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(value).ok()?;
    let mut sorter = Sorter { output: Vec::with_capacity(text.len() + 1), scratch: Vec::new(), text: &text, at: 0 };
    sorter.value(0)?;
    (sorter.at == text.len()).then_some(sorter.output)
}

/// Copies compact JSON and sorts the members of each object; `None` at anything that isn't plain.
struct Sorter<'a> {
    text: &'a [u8],
    at: usize,
    output: Vec<u8>,
    scratch: Vec<u8>,
}

impl Sorter<'_> {
    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => self.integer(),
            _ => self.word(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn copy(&mut self, end: usize) -> Option<()> {
        self.output.extend_from_slice(self.text.get(self.at..end)?);
        self.at = end;
        Some(())
    }

    /// `serde_json` escapes exactly what RFC 8785 escapes, in the same way. Whether the string is plain ASCII.
    fn string(&mut self) -> Option<bool> {
        let rest = self.text.get(self.at + 1..)?;
        let (mut plain, mut end) = (true, 0);
        loop {
            match *rest.get(end)? {
                b'"' => break,
                b'\\' => {
                    plain = false;
                    end += 2;
                }
                byte => {
                    plain &= byte.is_ascii();
                    end += 1;
                }
            }
        }
        self.copy(self.at + end + 2)?;
        Some(plain)
    }

    fn integer(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest.get(sign..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let plain = digits > 0 && digits <= DIGITS_MAX && !(sign == 1 && rest.get(1) == Some(&b'0'));
        let ends = matches!(rest.get(sign + digits), None | Some(b',' | b']' | b'}'));
        if plain && ends { self.copy(self.at + sign + digits) } else { None }
    }

    fn word(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let word = [&b"null"[..], b"true", b"false"].into_iter().find(|word| rest.starts_with(word))?;
        self.copy(self.at + word.len())
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.copy(self.at + 1)?;
        if self.peek()? == b']' {
            return self.copy(self.at + 1);
        }
        loop {
            self.value(depth + 1)?;
            let end = self.peek()?;
            self.copy(self.at + 1)?;
            match end {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.copy(self.at + 1)?;
        if self.peek()? == b'}' {
            return self.copy(self.at + 1);
        }
        let start = self.output.len();
        // Each member with its key, both as ranges of the output; commas are put between them at the end.
        let mut members: Vec<(Range<usize>, Range<usize>)> = Vec::with_capacity(8);
        loop {
            let member = self.output.len();
            // Keys beyond ASCII sort by UTF-16 units, not by bytes.
            if self.peek()? != b'"' || !self.string()? {
                return None;
            }
            let key = member + 1..self.output.len() - 1;
            if self.peek()? != b':' {
                return None;
            }
            self.copy(self.at + 1)?;
            self.value(depth + 1)?;
            members.push((key, member..self.output.len()));
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        let output = &self.output;
        members.sort_by(|(left, _), (right, _)| output.get(left.clone()).cmp(&output.get(right.clone())));
        if members.windows(2).any(
            |pair| matches!(pair, [(left, _), (right, _)] if output.get(left.clone()) == output.get(right.clone())),
        ) {
            return None;
        }
        self.scratch.clear();
        for (index, (_, member)) in members.into_iter().enumerate() {
            if index > 0 {
                self.scratch.push(b',');
            }
            self.scratch.extend_from_slice(output.get(member)?);
        }
        self.output.truncate(start);
        self.output.extend_from_slice(&self.scratch);
        self.copy(self.at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{self, general};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn plain(value: &Value) -> bool {
        let text = serde_json::to_vec(value).unwrap();
        Sorter { text: &text, at: 0, output: Vec::new(), scratch: Vec::new() }.value(0).is_some()
    }

    #[test]
    fn plain_values_go_the_quick_way_and_others_the_general() {
        let quick = json!({"b": {"z": 1, "a": [1, {"y": null, "x": "é\u{1}\"\\"}]}, "a": -12, "": true});
        assert!(plain(&quick));
        assert_eq!(bytes(&quick).unwrap(), general(&quick).unwrap());
        for other in [json!({"é": 1}), json!({"a\"": 1}), json!(0.5), json!(1_234_567_890_123_456_i64), json!(-0.0)] {
            assert!(!plain(&other), "{other}");
            assert!(bytes(&other).is_none());
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1_i64 << 53) + 1..1_i64 << 53).prop_map(Value::from),
            (-1000_i64..1000).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            let key = prop_oneof!["[a-zA-Z_.]{0,6}", any::<String>()];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                // A vector of members, so that they come in any order.
                prop::collection::vec((key, inner), 0..6).prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn gives_the_same_bytes_as_the_general_way(value in value()) {
            prop_assert_eq!(canonical::bytes(&value).unwrap(), general(&value).unwrap());
        }
    }

    /// Structs serialise in the order of their fields, which maps don't show.
    #[test]
    fn sorts_the_fields_of_structs() {
        #[derive(Serialize)]
        struct Inner {
            z: u8,
            a: &'static str,
        }
        #[derive(Serialize)]
        struct Outer {
            type_name: &'static str,
            inner: Vec<Inner>,
            at: Option<u64>,
        }
        let value = Outer { type_name: "t", inner: vec![Inner { z: 1, a: "{\"b\":1,\"a\":2}" }], at: None };
        assert_eq!(bytes(&value).unwrap(), br#"{"at":null,"inner":[{"a":"{\"b\":1,\"a\":2}","z":1}],"type_name":"t"}"#);
        assert_eq!(bytes(&value).unwrap(), general(&value).unwrap());
    }
}
